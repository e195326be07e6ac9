"""The sample case."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.phantom.sample import make_sample
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Sample
from stunet_perfusion.worker.session import Session


def run(request: Sample, job: Job, session: Session) -> dict[str, Any]:
    """Make it, and hand over everything that is known of it."""
    sample = make_sample(part_of(job.progress, 0.0, 0.95))
    series = sample.series
    files = job.save(
        signal=series.signal,
        brain=sample.brain,
        tumor=sample.tumor,
        nawm=sample.nawm,
        vessels=sample.vessels,
        cbv=sample.cbv,
    )
    return files | {
        "name": series.name,
        "times": [float(time) for time in series.times],
        "ijk_to_ras": [[float(value) for value in row] for row in series.grid.ijk_to_ras],
        "echo_time": series.echo_time,
    }
