"""Some slices, soon."""

from __future__ import annotations

import time
from typing import Any

from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.dose.simulate import check_dose
from stunet_perfusion.inference.predict import plan_for
from stunet_perfusion.inference.preview import (
    aif_at_dose,
    plan_at_dose,
    preview_slices,
    slices_at_dose,
)
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.worker.arterial_input import AifFinder
from stunet_perfusion.worker.computing import use_device
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Preview
from stunet_perfusion.worker.session import Session


def run(request: Preview, job: Job, session: Session) -> dict[str, Any]:
    """Predict slices in two rounds, each of which is told slice by slice."""
    started = time.monotonic()
    handle = request.series
    opened = session.series(handle)
    method = check_dose(request.dose, request.method)
    if not all(isinstance(z, int) and not isinstance(z, bool) for z in request.slices):
        raise InputError("slices", f"{request.slices} are not all integers", "give numbers of slices")
    device = use_device(request.device, request.threads)
    job.progress(0.0, "Preparing the preview")
    ready = session.network_on(request.checkpoint, device)
    info = session.checkpoint(request.checkpoint).info
    prepared = opened.mapped()
    plan = session.remember(
        handle,
        ("plan", info.input),
        lambda: plan_for(prepared, info),
    )
    job.check_cancelled()
    find_aif = AifFinder(request.aif, prepared.brain.shape, session.folder, job.check_cancelled)
    aif = find_aif(prepared) if request.aif != "auto" else session.remember(handle, "aif", lambda: find_aif(prepared))
    job.check_cancelled()
    slices = list(dict.fromkeys(request.slices))
    lowered = slices_at_dose(prepared, slices, request.dose, method, request.seed)
    job.check_cancelled()
    if plan.first_pass is not None:
        sample = session.remember(handle, "sample of the brain", lambda: sample_brain(prepared))
        plan = plan_at_dose(plan, sample, prepared.bolus, request.dose, method, request.seed)
    curve = aif_at_dose(prepared, aif, request.dose, method, request.seed).curve
    rounds = preview_slices(
        lowered,
        ready.network,
        info,
        plan,
        curve,
        stages=ready.stages,
        batch=request.batch,
        device=device,
        check_cancelled=job.check_cancelled,
    )
    seconds: dict[str, float] = {}
    for each in rounds:
        for place, z in enumerate(slices):
            maps = {
                "cbv": each.map.cbv[place],
                "uncertainty": each.map.uncertainty[place],
                "closed_form": each.closed_form[place],
            }
            files = job.save(**{f"{each.stage}_{name}_{z:03d}": values for name, values in maps.items()})
            told = dict(zip(maps, files.values(), strict=True))
            job.reply("part", slice=z, stage=each.stage, uncertainty_is=each.map.uncertainty_is, **told)
        seconds[each.stage] = round(time.monotonic() - started, 3)
        job.check_cancelled()
    return {"device": device, "seconds": seconds["exact"], "seconds_to_first": seconds["first"]}
