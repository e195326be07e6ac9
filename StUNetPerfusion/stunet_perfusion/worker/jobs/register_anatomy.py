"""Where an anatomic image lies, seen from an open series."""

from __future__ import annotations

from typing import Any

import numpy as np

from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.registration.anatomy import register_anatomy
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.worker.arrays import read_array
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import RegisterAnatomy
from stunet_perfusion.worker.session import Session


def run(request: RegisterAnatomy, job: Job, session: Session) -> dict[str, Any]:
    """Register it rigidly to the baseline of the series."""
    prepared = session.series(request.series).mapped()
    image = read_array(session.folder / request.image)
    if image.ndim != 3:
        raise InputError(request.name, f"has {image.ndim} dimensions, and 3 are needed", "choose a single volume")
    slices, rows, columns = image.shape
    grid = Grid((slices, rows, columns), np.array(request.ijk_to_ras, dtype=float))
    job.progress(0.1, "Registering the anatomy")
    baseline = baseline_signal(prepared.series.signal, prepared.bolus.arrival)
    found = register_anatomy(baseline, prepared.brain, prepared.series.grid, image, grid, request.name)
    job.check_cancelled()
    return found.as_json() | {"note": found.note}
