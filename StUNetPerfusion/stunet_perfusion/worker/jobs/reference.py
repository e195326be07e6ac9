"""The reference maps of a series, at any dose."""

from __future__ import annotations

import time
from typing import Any

from stunet_perfusion.kinetics.reference.baseline import baseline_frames
from stunet_perfusion.kinetics.reference.case import ReferenceSettings, describe_reference, reference_case
from stunet_perfusion.runs.normalized import normalized_maps, ratios_to_white_matter
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.worker.arterial_input import AifFinder, describe_aif
from stunet_perfusion.worker.computing import thread_count
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.lowering import lowered_series
from stunet_perfusion.worker.protocol import Reference
from stunet_perfusion.worker.session import Session
from stunet_perfusion.worker.white_matter import unit_of


def run(request: Reference, job: Job, session: Session) -> dict[str, Any]:
    """Compute the maps of the series, or of a low-dose copy of it."""
    started = time.monotonic()
    opened = session.series(request.series)
    workers = thread_count(request.threads)
    find_aif = AifFinder(request.aif, opened.facts.brain.shape, session.folder, job.check_cancelled)
    unit = unit_of(session, request.series, request.nawm)
    prepared = lowered_series(opened, request.dose, request.method, request.seed, part_of(job.progress, 0.0, 0.1))
    settings = ReferenceSettings(request.baseline, request.absolute, request.leakage_correction, request.all_maps)
    job.progress(0.1, "Finding the arterial input")
    aif = find_aif(prepared, baseline_frames(settings.baseline, prepared.bolus))
    case = reference_case(
        prepared,
        settings,
        find_aif=lambda prepared, frames: aif,
        workers=workers,
        progress=part_of(job.progress, 0.1, 0.99),
        check_cancelled=job.check_cancelled,
    )
    normalized = normalized_maps(case.maps["cbv"], prepared.brain, unit, prepared.series.grid)
    ratios = ratios_to_white_matter(case.maps, prepared.brain, unit) if request.all_maps else {}
    files = job.save(
        **case.maps,
        **{name: map_.values for name, map_ in ratios.items()},
        **{name: map_.values for name, map_ in normalized.maps.items()},
        **{name: region.voxels for name, region in normalized.regions.items()},
        aif_voxels=aif.voxels,
    )
    units = case.units | {name: map_.unit for name, map_ in ratios.items()}
    maps = {name: {"file": files[name], "unit": unit_} for name, unit_ in units.items()}
    described = describe_reference(case, settings)
    report = described | {
        "white_matter": normalized.report,
        "notes": [*described["notes"], *normalized.notes],
        "input": opened.name,
        "dose": request.dose,
        "method": request.method,
        "seed": request.seed,
        "use": "Research use only: not for diagnosis.",
    }
    return {
        "maps": maps,
        "ncbv": files.get("ncbv"),
        "nawm": files.get("nawm"),
        "aif": describe_aif(aif, prepared) | {"voxels": files["aif_voxels"]},
        "report": report,
        "seconds": round(time.monotonic() - started, 1),
    }
