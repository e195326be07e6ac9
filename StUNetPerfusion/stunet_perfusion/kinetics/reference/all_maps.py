"""The other maps that are read in perfusion: timing, shape and recovery of the bolus, and leakage, in one pass.

One slice at a time its concentrations are computed once, and everything is made of them. Leakage-corrected CBV is

    CBV_corr = sum_t (delta R2* + K2 leaked(t)) / sum_t C_aif,

with the leaked part of Boxerman 2006 (`leakage`) or of Leu 2016 (`bidirectional_leakage`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.kinetics.bolus_shape import bolus_shape, signal_recovery
from stunet_perfusion.kinetics.concentration import baseline_signal, concentration
from stunet_perfusion.kinetics.reference.bidirectional_leakage import BidirectionalModel
from stunet_perfusion.kinetics.reference.circulant import checked_aif
from stunet_perfusion.kinetics.reference.leakage import mean_of_not_enhancing
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import CheckCancelled, Progress, never_cancelled, no_progress
from stunet_perfusion.support.voxels import voxels_inside

#: Maps of the bolus, and maps that need voxels that do not enhance, with their units.
BOLUS_MAPS = {"bat": "s", "ttp": "s", "peak_height": "1/s", "fwhm": "s", "psr": "%"}
LEAKAGE_MAPS = {
    "k2": "1/s",
    "cbv_corrected": "fraction",
    "k2_bidirectional": "1/s",
    "kep": "1/s",
    "cbv_corrected_bidirectional": "fraction",
}

#: Concentrations are in units of TE * delta R2* where TE is not known.
WITHOUT_ECHO_TIME = "TE * delta R2*, without unit"


@dataclass(frozen=True, eq=False)
class ExtraMaps:
    """Maps beside CBV, CBF and MTT.

    :param maps: (Z, Y, X) float32 by name, 0 outside the brain
    :param units: by name
    :param notes: why some are missing, one sentence each
    """

    maps: dict[str, np.ndarray]
    units: dict[str, str]
    notes: tuple[str, ...]


def extra_maps(
    prepared: PreparedSeries,
    baseline_frames: int,
    aif_curve: np.ndarray,
    *,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> ExtraMaps:
    """Every map beside CBV, CBF, MTT and Tmax.

    :param prepared: steady frames, brain and bolus
    :param baseline_frames: frames that S0 is the mean of
    :param aif_curve: (T,) delta R2* of the artery
    """
    series, brain, bolus = prepared.series, prepared.brain, prepared.bolus
    aif = checked_aif(aif_curve, series.frames)
    notes: tuple[str, ...] = ()
    model: BidirectionalModel | None = None
    try:
        model = BidirectionalModel.of(
            mean_of_not_enhancing(series, baseline_frames, brain, bolus.arrival)[0], series.times
        )
    except InputError as error:
        notes = (f"Leakage is not mapped: {error.subject} {error.fact}.",)
    units = BOLUS_MAPS | ({} if model is None else LEAKAGE_MAPS)
    if series.echo_time is None:
        units |= {"peak_height": WITHOUT_ECHO_TIME}
    maps = {name: np.zeros(brain.shape, np.float32) for name in units}
    with_brain = np.flatnonzero(brain.any(axis=(1, 2)))

    def of_slice(z: int) -> None:
        check_cancelled()
        signal = voxels_inside(series.signal[:, z], brain[z])
        baseline = baseline_signal(signal, baseline_frames)
        curves = np.nan_to_num(concentration(signal, baseline, series.echo_time), nan=0.0, posinf=0.0, neginf=0.0)
        for name, values in _of_voxels(signal, baseline, curves, prepared, aif, model).items():
            maps[name][z, brain[z]] = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)

    for done, _ in enumerate(by_slice(of_slice, with_brain), start=1):
        progress(done / len(with_brain), f"Measuring the bolus in slice {done} of {len(with_brain)}")
    return ExtraMaps(maps, units, notes)


def _of_voxels(
    signal: np.ndarray,
    baseline: np.ndarray,
    curves: np.ndarray,
    prepared: PreparedSeries,
    aif: np.ndarray,
    model: BidirectionalModel | None,
) -> dict[str, np.ndarray]:
    """(n,) of each map."""
    bolus = prepared.bolus
    shape = bolus_shape(curves, prepared.series.times, bolus)
    found = {
        "bat": shape.arrival,
        "ttp": shape.time_to_peak,
        "peak_height": shape.peak_height,
        "fwhm": shape.width,
        "psr": signal_recovery(signal, baseline, bolus),
    }
    if model is None:
        return found
    area = curves.sum(axis=0, dtype=np.float64)
    k2 = model.solve_k2[0] @ curves
    k2_both, rate, leaked = model.fit(curves)
    return found | {
        "k2": k2,
        "cbv_corrected": (area + k2 * model.areas[0]) / aif.sum(),
        "k2_bidirectional": k2_both,
        "kep": rate,
        "cbv_corrected_bidirectional": (area + leaked) / aif.sum(),
    }
