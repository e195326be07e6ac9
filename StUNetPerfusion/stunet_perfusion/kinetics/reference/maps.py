"""Reference maps of a series: CBV, CBF and MTT as `verbena -modelfree` defines them, some slices at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.kinetics.concentration import area_under_curves, baseline_signal, concentration_curves
from stunet_perfusion.kinetics.reference.circulant import checked_aif
from stunet_perfusion.kinetics.reference.deconvolution import oscillation_index_flow
from stunet_perfusion.preprocessing.bolus import Bolus, end_of_first_pass
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
)

#: Share of red cells in the blood of large vessels and of capillaries, and density of the brain in g/ml. The contrast
#: agent is in the plasma only. The values are those of the T1 bookend method.
HEMATOCRIT_LARGE, HEMATOCRIT_SMALL = 0.45, 0.25
BRAIN_DENSITY = 1.04

#: Values of concentration that are held at a time, 64 MB, if one slice has not more.
_VALUES_AT_ONCE = 2**24


@dataclass(frozen=True, eq=False)
class ReferenceMaps:
    """Maps on the grid of the series.

    :param cbv: (Z, Y, X) float32, fraction (or ml/100 g where absolute), in all voxels; may be negative
    :param cbf: (Z, Y, X) float32, 1/s (or ml/100 g/min where absolute), 0 outside the mask
    :param mtt: (Z, Y, X) float32, seconds, 0 where CBF is 0
    :param tmax: (Z, Y, X) float32, seconds, when the residue function is highest; 0 outside the mask
    """

    cbv: np.ndarray
    cbf: np.ndarray
    mtt: np.ndarray
    tmax: np.ndarray


def reference_cbv(
    series: DscSeries, baseline_frames: int, aif_curve: np.ndarray, progress: Progress = no_progress
) -> np.ndarray:
    """CBV = sum_t C / sum_t C_aif over all frames. No deconvolution is involved, and negative values are kept.

    :param series: steady frames only
    :param baseline_frames: frames that S0 is the mean of
    :param aif_curve: (T,) delta R2* of the artery, in 1/s where the series knows its TE, else TE * delta R2*
    :returns: (Z, Y, X) float32, fraction; 0 where the curve has no number
    :raises InputError: an AIF without positive area or of another length
    """
    aif = checked_aif(aif_curve, series.frames)
    cbv = np.empty(series.grid.shape, dtype=np.float32)
    for slab in _slabs(series):
        progress(slab.start / len(cbv), f"CBV of {_name(slab, len(cbv))}")
        cbv[slab] = blood_volume(concentration_curves(series.signal[:, slab], baseline_frames, series.echo_time), aif)
    return cbv


def first_pass_cbv(
    series: DscSeries, bolus: Bolus, aif_curve: np.ndarray, progress: Progress = no_progress
) -> np.ndarray:
    """CBV over the first pass alone, with a mean baseline: blood volume with a zero that can be trusted.

    Summed over all frames, a drift of the scanner by 1 % is an offset that grows with the square of the series' length;
    at a quarter of the dose it moves the zero by as much as white matter holds. The first pass is short and strong.
    Slow leakage enters less for the same reason. What recirculates is left out of tissue and artery alike.

    :param series: steady frames only
    :param bolus: the first pass ends two times its rise after its peak
    :param aif_curve: (T,) as in `reference_cbv`
    :returns: (Z, Y, X) float32, fraction of the artery's first pass
    :raises InputError: an AIF without positive area or of another length
    """
    stop = end_of_first_pass(bolus, series.frames)
    artery = checked_aif(checked_aif(aif_curve, series.frames)[:stop], stop).sum()
    if series.echo_time is not None:
        artery *= series.echo_time
    cbv = np.empty(series.grid.shape, np.float32)
    for z in range(len(cbv)):
        progress(z / len(cbv), f"CBV of slice {z + 1} of {len(cbv)}")
        passage = series.signal[:stop, z]
        cbv[z] = _finite(area_under_curves(passage, baseline_signal(passage, bolus.arrival)) / np.float32(artery))
    return cbv


def reference_maps(
    series: DscSeries,
    baseline_frames: int,
    aif_curve: np.ndarray,
    mask: np.ndarray,
    *,
    workers: int | None = None,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> ReferenceMaps:
    """CBV of all voxels, CBF and MTT of those in the mask.

    Deviates from Verbena in two kinds of voxels: one with NaN or infinite signal is 0 in all maps (Verbena: CBV
    NaN), and CBF is truncated in the Fourier basis, which does not depend on the LAPACK.

    :param series: steady frames only, evenly spaced
    :param baseline_frames: frames that S0 is the mean of
    :param aif_curve: (T,) delta R2* of the artery, in 1/s where the series knows its TE, else TE * delta R2*
    :param mask: (Z, Y, X) bool, where CBF is wanted
    :param workers: processes; None takes as many as help
    :raises InputError: an AIF without positive area or of another length
    """
    aif = checked_aif(aif_curve, series.frames)
    shape = series.grid.shape
    cbv = np.empty(shape, dtype=np.float32)
    cbf, tmax = (np.zeros(shape, dtype=np.float32) for _ in range(2))
    for slab in _slabs(series):
        check_cancelled()
        progress(slab.start / shape[0], f"Deconvolving {_name(slab, shape[0])}")
        curves, inside = concentration_curves(series.signal[:, slab], baseline_frames, series.echo_time), mask[slab]
        cbv[slab] = blood_volume(curves, aif)
        flow, latest = oscillation_index_flow(curves[:, inside], aif, series.frame_interval, workers, check_cancelled)
        cbf[slab][inside], tmax[slab][inside] = _finite(flow), _finite(latest)
    return ReferenceMaps(cbv, cbf, transit_time(cbv, cbf), tmax)


def blood_volume(curves: np.ndarray, aif: np.ndarray) -> np.ndarray:
    """CBV = sum_t C / sum_t C_aif.

    The sums run in double precision and are rounded to the curves' type as means, which is where the original rounds:
    from the same concentrations the result is the same to the last bit.

    :param curves: (T, ...) delta R2*
    :param aif: (T,) delta R2* of the artery
    :returns: (...) fraction, in the curves' floating type; 0 where it is not a finite number
    """
    frames = curves.dtype.type(len(aif))
    with np.errstate(invalid="ignore", over="ignore"):
        tissue = curves.mean(axis=0, dtype=np.float64).astype(curves.dtype) * frames
        artery = aif.astype(curves.dtype).mean(dtype=np.float64).astype(curves.dtype) * frames
        return _finite(tissue / artery)


def transit_time(cbv: np.ndarray, cbf: np.ndarray) -> np.ndarray:
    """MTT = CBV / CBF in seconds, by the central volume theorem; 0 where CBF is 0."""
    return np.divide(cbv, cbf, out=np.zeros_like(cbv), where=cbf != 0)


def absolute_maps(maps: ReferenceMaps) -> ReferenceMaps:
    """The maps in ml/100 g, ml/100 g/min and seconds.

    CBV * 100 * k_H / rho and CBF * 6000 * k_H / rho with k_H = (1 - Hct_large) / (1 - Hct_small). It is as absolute as
    the AIF: partial volume in the artery scales both.

    :param maps: CBV as fraction, CBF in 1/s
    """
    factor = (1 - HEMATOCRIT_LARGE) / (1 - HEMATOCRIT_SMALL) / BRAIN_DENSITY
    cbv, cbf = maps.cbv * np.float32(100 * factor), maps.cbf * np.float32(6000 * factor)
    return ReferenceMaps(cbv, cbf, maps.mtt, maps.tmax)


def _slabs(series: DscSeries) -> list[slice]:
    """Slices that are worked on together: few for a large series, all for a small one."""
    slices = len(series.signal[0])
    thickness = max(_VALUES_AT_ONCE // max(series.signal[:, 0].size, 1), 1)
    return [slice(start, min(start + thickness, slices)) for start in range(0, slices, thickness)]


def _name(slab: slice, slices: int) -> str:
    return f"slices {slab.start + 1} to {slab.stop} of {slices}"


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
