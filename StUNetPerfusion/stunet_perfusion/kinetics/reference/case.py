"""The reference maps of one case: baseline, arterial input, maps, and what is asked for on top of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from stunet_perfusion.kinetics.aif import ArterialInput, automatic_aif
from stunet_perfusion.kinetics.reference.all_maps import extra_maps
from stunet_perfusion.kinetics.reference.baseline import baseline_frames
from stunet_perfusion.kinetics.reference.leakage import correct_leakage
from stunet_perfusion.kinetics.reference.maps import (
    absolute_maps,
    reference_maps,
    transit_time,
)
from stunet_perfusion.kinetics.result_quality import quality_of_results
from stunet_perfusion.kinetics.venous_output import BLOOD_RELAXIVITY, find_venous_output
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.series import DscSeries, is_evenly_spaced
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
    part_of,
)

_UNITS = {"cbv": "fraction", "cbf": "1/s", "mtt": "s", "k2": "1/s", "tmax": "s"}
_ABSOLUTE_UNITS = _UNITS | {"cbv": "ml/100 g", "cbf": "ml/100 g/min"}


@dataclass(frozen=True)
class ReferenceSettings:
    """What is wanted of the reference.

    :param baseline: S0 from the `first` frame, from all before the bolus (`auto`), or from that many frames
    :param absolute: CBV in ml/100 g and CBF in ml/100 g/min; the artery's partial volume is corrected by a vein
    :param leakage_correction: correct CBV for leakage, with a map `k2` on top
    :param all_maps: the maps of `all_maps` and Tmax, too
    """

    baseline: Literal["first", "auto"] | int = "auto"
    absolute: bool = False
    leakage_correction: bool = False
    all_maps: bool = False


@dataclass(frozen=True, eq=False)
class ReferenceCase:
    """Reference maps with what they were made from.

    :param prepared: the series
    :param aif: the arterial input
    :param baseline_frames: frames that S0 is the mean of
    :param maps: (Z, Y, X) float32 by name: `cbv`, `cbf`, `mtt`, and `k2` where leakage was corrected
    :param units: of the maps, by name
    :param leakage: how leakage was corrected, or None
    :param notes: what was odd, one sentence each
    """

    prepared: PreparedSeries
    aif: ArterialInput
    baseline_frames: int
    maps: dict[str, np.ndarray]
    units: dict[str, str]
    leakage: dict[str, Any] | None
    notes: tuple[str, ...]


def reference_case(
    prepared: PreparedSeries,
    settings: ReferenceSettings,
    *,
    find_aif: Callable[[PreparedSeries, int], ArterialInput] = automatic_aif,
    workers: int | None = None,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> ReferenceCase:
    """All reference maps of a series.

    :param find_aif: finds the arterial input, given the number of baseline frames too
    :param workers: processes that deconvolve; None takes as many as help
    :raises InputError: as `baseline_frames`, the functions of `aif`, `correct_leakage`, and `find_venous_output` where
        absolute maps are wanted
    """
    series, brain = prepared.series, prepared.brain
    s0_frames = baseline_frames(settings.baseline, prepared.bolus)
    progress(0.0, "Finding the arterial input")
    aif = find_aif(prepared, s0_frames)
    check_cancelled()
    computed = reference_maps(
        series,
        s0_frames,
        aif.curve,
        brain,
        workers=workers,
        progress=part_of(progress, 0.1, 0.7),
        check_cancelled=check_cancelled,
    )
    extra: dict[str, np.ndarray] = {}
    leakage: dict[str, Any] | None = None
    if settings.leakage_correction:
        corrected = correct_leakage(
            computed.cbv,
            series,
            s0_frames,
            aif.curve,
            brain,
            prepared.bolus.arrival,
            progress=part_of(progress, 0.7, 0.8),
            check_cancelled=check_cancelled,
        )
        transit = transit_time(corrected.cbv, computed.cbf)
        computed = replace(computed, cbv=corrected.cbv, mtt=transit)
        extra["k2"] = corrected.k2
        leakage = {"method": "Boxerman-Schmainda-Weisskoff", "not_enhancing_voxels": corrected.not_enhancing}
    notes = _notes_on_times(series)
    if settings.absolute:
        # Whoever gives a curve knows what it is. One that was measured in the image holds tissue.
        if aif.voxels is not None:
            vein = find_venous_output(prepared, aif, s0_frames)
            scale = np.float32(vein.factor * BLOOD_RELAXIVITY)
            computed = replace(computed, cbv=computed.cbv * scale, cbf=computed.cbf * scale)
            notes += (vein.note,)
        else:
            notes += ("Absolute values are as right as the arterial input that was given: no vein corrects them.",)
        computed = absolute_maps(computed)
    known = _ABSOLUTE_UNITS if settings.absolute else _UNITS
    if settings.all_maps:
        others = extra_maps(
            prepared, s0_frames, aif.curve, progress=part_of(progress, 0.8, 1.0), check_cancelled=check_cancelled
        )
        extra |= {"tmax": computed.tmax} | others.maps
        known |= others.units
        notes += others.notes
    maps = {"cbv": computed.cbv, "cbf": computed.cbf, "mtt": computed.mtt} | extra
    return ReferenceCase(prepared, aif, s0_frames, maps, {name: known[name] for name in maps}, leakage, notes)


def describe_reference(case: ReferenceCase, settings: ReferenceSettings) -> dict[str, Any]:
    """What the maps were computed with, as JSON. Frames are numbered from 0 in the input."""
    prepared, series = case.prepared, case.prepared.series
    dropped = prepared.dropped_frames
    quality = quality_of_results(prepared, case.aif, case.maps["cbv"], case.maps["mtt"])
    return {
        "frames": series.frames + dropped + prepared.dropped_last,
        "dropped_frames": dropped,
        "frame_interval_s": series.frame_interval,
        "echo_time_s": series.echo_time,
        "baseline": str(settings.baseline),
        "baseline_frames": case.baseline_frames,
        "arrival_frame": dropped + prepared.bolus.arrival,
        "peak_frame": dropped + prepared.bolus.peak,
        "brain_voxels": int(prepared.brain.sum()),
        "aif": {
            "source": case.aif.source,
            "unit": concentration_unit(series),
            "curve": [float(value) for value in case.aif.curve],
        },
        "leakage_correction": case.leakage,
        "quality": None if quality is None else quality.document(),
        "notes": [*series.notes, *case.notes],
    }


def concentration_unit(series: DscSeries) -> str:
    """The unit of concentrations of this series, for people."""
    return "1/s" if series.echo_time is not None else "TE * delta R2*, without unit"


def _notes_on_times(series: DscSeries) -> tuple[str, ...]:
    if is_evenly_spaced(series.times):
        return ()
    return (f"CBF takes the frames as evenly spaced, {series.frame_interval:g} s apart; they are not.",)
