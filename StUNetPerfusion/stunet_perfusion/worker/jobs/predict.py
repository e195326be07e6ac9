"""The CBV map of a whole series."""

from __future__ import annotations

import time
from typing import Any

from stunet_perfusion.dose.simulate import check_dose
from stunet_perfusion.inference.predict import PredictionSettings, predict_prepared
from stunet_perfusion.runs.prediction import normalized_prediction, prediction_report
from stunet_perfusion.support.devices import give_back_memory
from stunet_perfusion.worker.arterial_input import AifFinder, describe_aif
from stunet_perfusion.worker.computing import use_device
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Predict
from stunet_perfusion.worker.session import Session
from stunet_perfusion.worker.white_matter import unit_of


def run(request: Predict, job: Job, session: Session) -> dict[str, Any]:
    """Predict from a copy of the series, which is consumed: it and some slices are all that is in memory."""
    started = time.monotonic()
    opened = session.series(request.series)
    method = check_dose(request.dose, request.method)
    settings = PredictionSettings(
        dose=request.dose,
        method=method,
        seed=request.seed,
        drop_frames=opened.drop_frames,
        stride=request.stride,
        batch=request.batch,
        device=use_device(request.device, request.threads),
    )
    unit = unit_of(session, request.series, request.nawm)
    find_aif = AifFinder(request.aif, opened.facts.brain.shape, session.folder, job.check_cancelled)
    job.progress(0.0, "Loading the network")
    checkpoint = session.checkpoint(request.checkpoint)
    job.progress(0.01, "Reading the series")
    _, prepared = opened.loaded()
    try:
        case = predict_prepared(
            prepared,
            checkpoint,
            settings,
            find_aif=find_aif,
            unit=unit,
            consume=True,
            progress=job.progress,
            check_cancelled=job.check_cancelled,
        )
    finally:
        give_back_memory(settings.device)
    normalized = normalized_prediction(case)
    files = job.save(
        **{name: map_.values for name, map_ in normalized.maps.items()},
        **{name: region.voxels for name, region in normalized.regions.items()},
        cbv=case.map.cbv,
        standardized=case.map.standardized,
        uncertainty=case.map.uncertainty,
        closed_form=case.closed_form,
    )
    seconds = round(time.monotonic() - started, 1)
    report = prediction_report(case, checkpoint, settings, (), normalized) | {"input": opened.name, "seconds": seconds}
    return files | {
        "ncbv": files.get("ncbv"),
        "ncbv_uncertainty": files.get("ncbv_uncertainty"),
        "nawm": files.get("nawm"),
        "aif": describe_aif(case.aif, case.prepared),
        "report": report,
        "device": settings.device,
        "seconds": seconds,
    }
