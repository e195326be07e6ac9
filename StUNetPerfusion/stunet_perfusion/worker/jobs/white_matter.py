"""Normal white matter of an open series, which nCBV is in multiples of."""

from __future__ import annotations

from typing import Any

import numpy as np

from stunet_perfusion.regions.blood_volume_unit import describe_unit
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import WhiteMatter
from stunet_perfusion.worker.session import Session
from stunet_perfusion.worker.white_matter import unit_of


def run(request: WhiteMatter, job: Job, session: Session) -> dict[str, Any]:
    """Find it, or say that there is none."""
    job.progress(0.0, "Finding normal white matter")
    unit = unit_of(session, request.series, None)
    job.check_cancelled()
    voxel_ml = float(np.prod(session.series(request.series).facts.series.grid.spacing)) / 1000
    told = describe_unit(unit, None, voxel_ml)
    files = {"nawm": None} if unit.region is None else job.save(nawm=unit.region)
    return files | {name: told[name] for name in ("source", "side", "milliliters")} | {"note": unit.note}
