"""`stunet-perfusion batch`: the maps of many cases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from stunet_perfusion.cases import Case, read_cases
from stunet_perfusion.cli import options
from stunet_perfusion.cohort.batch import compute, remove_leftovers
from stunet_perfusion.cohort.cluster import Workers, local_workers, remote_workers
from stunet_perfusion.cohort.jobs import CaseJob, CaseOutcome, kept_outcome, make_job
from stunet_perfusion.cohort.overview import write_overview
from stunet_perfusion.cohort.summary import summary_rows, write_summary
from stunet_perfusion.dose.simulate import DEFAULT_METHOD, METHODS, check_dose
from stunet_perfusion.inference.settings import PredictionSettings
from stunet_perfusion.networks.checkpoint_document import read_info
from stunet_perfusion.runs.provenance import describe_files, sha256_of_path, versions
from stunet_perfusion.runs.results import REPORT, USE
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.identity import Identity
from stunet_perfusion.support.progress import Cancelled, Progress, part_of
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.support.staged import staged_output
from stunet_perfusion.writing import write_json

#: Said of a scheduler that everybody in its network can talk to.
UNENCRYPTED = (
    "The connection to {} is not encrypted: whoever reaches it can read what passes, and run code on its workers. "
    "Where others share that network, start scheduler and workers with TLS and give a tls:// address."
)

#: Exit status where a case failed.
SOME_FAILED = 1


def command(
    table: Annotated[Path, typer.Argument(metavar="CASES.csv", help="table with the columns case, series and more")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="folder for the results, with a folder for each case")
    ],
    checkpoint_path: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="trained network; the shipped stU-Net by default"),
    ] = None,
    dose: Annotated[
        float, typer.Option("--dose", metavar="D", help="simulated share of the contrast dose, in (0, 1]")
    ] = 1.0,
    method: Annotated[
        str, typer.Option("--method", metavar="|".join(METHODS), help="how the lower dose is simulated; see 'simulate'")
    ] = DEFAULT_METHOD,
    stride: Annotated[
        int, typer.Option("--stride", metavar="N", help="strip stride in rows; 1 is the paper's choice, more is faster")
    ] = 1,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="strips computed together; fewer need less memory")
    ] = 8,
    seed: options.Seed = 0,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda|cuda:0|mps", help="where to compute; cuda: all GPUs, one worker each")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="processes on this machine, one thread each")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="use the workers of this Dask scheduler instead"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Computes the cases that are missing, failed, or were made with other settings. A case that fails does not stop
    the others. Writes a folder for each case as 'predict' does, summary.csv, overview.html and report.json. The exit
    status is 1 if a case failed.
    """
    known_method = check_dose(dose, method)
    if scheduler is not None and workers is not None:
        raise InputError("--workers", "contradicts --scheduler, which has workers of its own", "give one of them")
    if scheduler is not None and not scheduler.startswith("tls://"):
        options.console.print(UNENCRYPTED.format(scheduler))
    cases = [_with_absolute_paths(case) for case in read_cases(table)]
    checkpoint = (checkpoint_path or shipped_checkpoint()).resolve()
    read_info(checkpoint)
    settings = PredictionSettings(dose=dose, method=known_method, seed=seed, stride=stride, batch=batch)
    digest = sha256_of_path(checkpoint)
    jobs = [make_job(case, output.resolve(), checkpoint, digest, settings) for case in cases]
    kept = {job.case.name: done for job in jobs if (done := kept_outcome(job)) is not None}
    missing = [job for job in jobs if job.case.name not in kept]
    if missing:
        _check_before_computing(checkpoint, stride)
    with staged_output(output):
        pass  # A folder that cannot be written costs no computation.
    with options.progress_bar(quiet=json) as progress:
        computed: Sequence[CaseOutcome] = ()
        if missing:
            progress(0.0, "Starting workers")
            place = remote_workers(scheduler, device) if scheduler is not None else local_workers(workers, device)
            computed = _compute(missing, place, part_of(progress, 0.0, 0.95))
        outcomes = kept | {outcome.name: outcome for outcome in computed}
        progress(0.95, "Writing the overview")
        document = _write(output, table, cases, outcomes, checkpoint, settings)
    if json:
        options.print_json(document)
    else:
        _print(cases, outcomes, output)
    if any(outcome.status == "failed" for outcome in outcomes.values()):
        raise typer.Exit(SOME_FAILED)


def _check_before_computing(checkpoint: Path, stride: int) -> None:
    """Refuse what would fail in every case: a damaged checkpoint, or a stride that its strips do not take.

    Torch is imported here, and not for a cohort of which every case is done.
    """
    from stunet_perfusion.inference.strips.rule import strip_starts
    from stunet_perfusion.networks.checkpoint import load

    expected = load(checkpoint).info
    strip_starts(expected.input.size, expected.strip.rows, stride)


def _with_absolute_paths(case: Case) -> Case:
    files = {name: path.resolve() for name, path in case.files.items()}
    return replace(case, series=case.series.resolve(), files=files)


def _compute(
    jobs: Sequence[CaseJob], place: AbstractContextManager[Workers], progress: Progress
) -> Sequence[CaseOutcome]:
    try:
        with place as workers:
            with_device = [replace(job, settings=replace(job.settings, device=workers.device)) for job in jobs]
            return compute(with_device, workers, progress)
    except KeyboardInterrupt:
        raise Cancelled("stopped; finished cases are kept, and the same command goes on from there") from None
    finally:
        remove_leftovers(jobs)


def _write(
    output: Path,
    table: Path,
    cases: Sequence[Case],
    outcomes: dict[str, CaseOutcome],
    checkpoint: Path,
    settings: PredictionSettings,
) -> dict[str, Any]:
    """Write summary, overview and report, and return the report."""
    shown = {"Checkpoint": checkpoint.name, "dose": f"{100 * settings.dose:g} %", "stride": settings.stride}
    if settings.dose < 1:
        shown["method"] = settings.method
    write_summary(output / "summary.csv", summary_rows(cases, outcomes))
    write_overview(output / "overview.html", cases, outcomes, shown)
    document = {
        "use": USE,
        "cases": [{"case": case.name, **_describe(outcomes[case.name])} for case in cases],
        "provenance": {
            "verb": "batch",
            "versions": versions(),
            "inputs": describe_files({"cases": table, "checkpoint": checkpoint}, output, Identity()),
            "arguments": {"settings": asdict(settings)},
        },
    }
    write_json(output / REPORT, document)
    return document


def _describe(outcome: CaseOutcome) -> dict[str, Any]:
    if outcome.status == "failed":
        return {"status": outcome.status, "error": outcome.error}
    notes = list(outcome.notes)
    return {"status": outcome.status, "report": f"{outcome.name}/{REPORT}", **outcome.numbers, "notes": notes}


def _print(cases: Sequence[Case], outcomes: dict[str, CaseOutcome], output: Path) -> None:
    statuses = [outcome.status for outcome in outcomes.values()]
    for case in cases:
        if outcomes[case.name].status == "failed":
            options.console.print(f"{case.name} failed: {outcomes[case.name].error}")
    options.console.print(
        f"{statuses.count('computed')} cases computed, {statuses.count('kept')} kept from before, "
        f"{statuses.count('failed')} failed. Wrote summary.csv and overview.html to {output}. "
        "Research use only: not for diagnosis."
    )
