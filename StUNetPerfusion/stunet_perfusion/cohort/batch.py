"""Computing what is missing of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stunet_perfusion.cohort.cluster import Workers
from stunet_perfusion.cohort.jobs import CaseJob, CaseOutcome, run_job
from stunet_perfusion.support.folders import STAGE_PREFIX
from stunet_perfusion.support.held import sweep
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.support.staged import restore

if TYPE_CHECKING:
    from distributed import Future


def compute(jobs: Sequence[CaseJob], workers: Workers, progress: Progress = no_progress) -> list[CaseOutcome]:
    """Compute jobs on workers, in whatever order they get done.

    A worker that dies is replaced and its case given to another, so that the result is as if nothing had happened. A
    case whose workers die again and again has failed.

    :returns: outcomes in the order of `jobs`
    """
    from distributed import as_completed

    futures = {
        workers.client.submit(
            run_job, job, key=f"{job.case.name}-{job.key}", resources=workers.resources, pure=False
        ): job.case.name
        for job in jobs
    }
    outcomes: dict[str, CaseOutcome] = {}
    progress(0.0, f"Computing {len(jobs)} cases")
    for future in as_completed(futures):
        name = futures[future]
        outcomes[name] = _outcome(future, name)
        progress(len(outcomes) / len(jobs), f"Computed {len(outcomes)} of {len(jobs)} cases")
    return [outcomes[job.case.name] for job in jobs]


def remove_leftovers(jobs: Sequence[CaseJob]) -> None:
    """Remove what workers that died in the middle of a case had begun to write."""
    for folder in dict.fromkeys(place for job in jobs for place in (job.output, job.output.parent)):
        sweep(folder, STAGE_PREFIX, restore)


def _outcome(future: Future[CaseOutcome], name: str) -> CaseOutcome:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        fact = "ended its worker again and again, most likely because it needs more memory than a worker has"
        return CaseOutcome(name, "failed", {}, f"{name}: {fact}; use fewer workers")
    except Exception as error:
        return CaseOutcome(name, "failed", {}, f"{name}: {type(error).__name__}: {error}")
