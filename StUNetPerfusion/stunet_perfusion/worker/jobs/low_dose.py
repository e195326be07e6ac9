"""A whole series at a lower dose."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.dose.simulate import check_dose, simulate_dose
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import LowDose
from stunet_perfusion.worker.session import Session


def run(request: LowDose, job: Job, session: Session) -> dict[str, Any]:
    """Lower a copy of the series in place: its steady frames share the memory of all frames."""
    opened = session.series(request.series)
    method = check_dose(request.dose, request.method)
    signal, prepared = opened.loaded()
    simulate_dose(
        prepared.series,
        prepared.bolus.arrival,
        request.dose,
        method,
        request.seed,
        in_place=True,
        progress=job.progress,
    )
    files = job.save(signal=signal)
    return files | {"note": f"Simulated at {request.dose:g} of the dose ({request.method})."}
