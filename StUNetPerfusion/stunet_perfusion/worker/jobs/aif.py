"""The arterial input of an open series at full dose."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.kinetics.reference.baseline import baseline_frames
from stunet_perfusion.worker.arterial_input import AifFinder, describe_aif
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Aif
from stunet_perfusion.worker.session import Session


def run(request: Aif, job: Job, session: Session) -> dict[str, Any]:
    """Find it."""
    prepared = session.series(request.series).mapped()
    find = AifFinder(request.aif, prepared.brain.shape, session.folder, job.check_cancelled)
    job.progress(0.0, "Finding the arterial input")
    frames = baseline_frames(request.baseline, prepared.bolus)
    if request.aif == "auto" and request.baseline == "auto":
        # Previews want the same one.
        aif = session.remember(request.series, "aif", lambda: find(prepared, frames))
    else:
        aif = find(prepared, frames)
    job.check_cancelled()
    return describe_aif(aif, prepared) | {"voxel_count": int(aif.voxels.sum())} | job.save(voxels=aif.voxels)
