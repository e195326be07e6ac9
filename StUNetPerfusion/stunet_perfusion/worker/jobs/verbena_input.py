"""What FSL's program `verbena` reads: a series at a dose, its brain, and an arterial input."""

from __future__ import annotations

from typing import Any

import numpy as np

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, part_of
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.lowering import lowered_series
from stunet_perfusion.worker.protocol import VerbenaInput
from stunet_perfusion.worker.session import Session


def run(request: VerbenaInput, job: Job, session: Session) -> dict[str, Any]:
    """Write the three files into the job's folder."""
    from stunet_perfusion.writing.nifti import write_nifti

    opened = session.series(request.series)
    progress = part_of(job.progress, 0.0, 0.3)
    prepared = lowered_series(opened, request.dose, request.method, request.seed, progress)
    series = prepared.series
    curve = np.asarray(request.curve, dtype=np.float32)
    if curve.shape != (series.frames,):
        raise InputError("curve", f"has {curve.size} values for {series.frames} frames", "give one a steady frame")
    # Relaxation scales with the dose.
    curve *= np.float32(request.dose)
    everywhere = np.broadcast_to(curve[:, None, None, None], series.signal.shape)
    with job.stage() as folder:
        write_nifti(folder / "mask.nii", prepared.brain.astype(np.uint8), series.grid)
        for name, array, start in (("data", series.signal, 0.3), ("aif", everywhere, 0.65)):
            write_nifti(folder / f"{name}.nii", array, series.grid, series.times, _telling(job, start, start + 0.35))
    return {"folder": str(job.number)}


def _telling(job: Job, start: float, stop: float) -> Progress:
    progress = part_of(job.progress, start, stop)
    return lambda fraction, message: progress(fraction, "Writing the series for verbena")
