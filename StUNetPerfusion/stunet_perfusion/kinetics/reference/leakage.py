"""Correction of CBV for contrast agent that leaks out of the vessels (Boxerman, Schmainda, Weisskoff).

AJNR Am J Neuroradiol 27:859, 2006. Where the blood-brain barrier is broken, contrast agent outside of the vessels
shortens T1 (the signal overshoots, CBV comes out too low) or, after a preload or at a low flip angle, T2* (CBV too
high). Both add to delta R2* what grows like the integral over time of the contrast that has passed:

    delta R2*(t) = K1 Rbar(t) - K2 int_0^t Rbar(s) ds,

Rbar being the mean delta R2* of the voxels that do not enhance. K2 > 0 is T1 leakage, K2 < 0 is T2* leakage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

from stunet_perfusion.kinetics.concentration import concentration_curves
from stunet_perfusion.kinetics.reference.circulant import checked_aif
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
)

#: A voxel enhances when its mean signal over the last frames is above its baseline by more than its baseline's
#: standard deviation (Boxerman 2006).
LATE_FRAMES = 10
LARGEST_ENHANCEMENT = 1.0

#: The standard deviation of fewer frames says nothing about noise.
_FEWEST_BASELINE_FRAMES = 3


@dataclass(frozen=True, eq=False)
class LeakageCorrection:
    """CBV without the part that leaked contrast agent adds or takes away.

    :param cbv: (Z, Y, X) float32, fraction; as it was outside the mask
    :param k2: (Z, Y, X) float32, 1/s; positive where T1 shortening prevails, 0 outside the mask
    :param rbar: (T,) mean delta R2* of the voxels that do not enhance
    :param not_enhancing: how many voxels that is the mean of
    """

    cbv: np.ndarray
    k2: np.ndarray
    rbar: np.ndarray
    not_enhancing: int


def correct_leakage(
    cbv: np.ndarray,
    series: DscSeries,
    baseline_frames: int,
    aif_curve: np.ndarray,
    mask: np.ndarray,
    noise_frames: int,
    *,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> LeakageCorrection:
    """CBV_corr = sum_t (delta R2* + K2 int Rbar) / sum_t C_aif.

    :param cbv: (Z, Y, X) uncorrected CBV of the same series with the same baseline and AIF
    :param series: steady frames only
    :param baseline_frames: frames that S0 is the mean of
    :param aif_curve: (T,) delta R2* of the artery
    :param mask: (Z, Y, X) bool, the brain
    :param noise_frames: frames before the bolus arrives; their standard deviation is what enhancement is judged by
    :raises InputError: too short a baseline, or no voxel that does not enhance
    """
    aif = checked_aif(aif_curve, series.frames)
    rbar, count = mean_of_not_enhancing(series, baseline_frames, mask, noise_frames)
    integral = cumulative_trapezoid(rbar, series.times, initial=0)
    # Least squares for K1 and K2 of all voxels at once.
    solve_k2 = np.linalg.pinv(np.stack([rbar, -integral], axis=1))[1].astype(np.float32)
    corrected, k2 = cbv.astype(np.float32, copy=True), np.zeros(cbv.shape, dtype=np.float32)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        check_cancelled()
        progress(z / len(mask), f"Correcting leakage in slice {z + 1} of {len(mask)}")
        curves = concentration_curves(series.signal[:, z][:, mask[z]], baseline_frames, series.echo_time)
        k2[z, mask[z]] = np.nan_to_num(solve_k2 @ curves, nan=0.0, posinf=0.0, neginf=0.0)
    corrected += k2 * np.float32(integral.sum() / aif.sum())
    return LeakageCorrection(corrected, k2, rbar, count)


def does_not_enhance(signal: np.ndarray, noise_frames: int) -> np.ndarray:
    """Which voxels show no enhancement late in the series.

    :param signal: (T, ...)
    :param noise_frames: frames before the bolus arrives
    :returns: (...) bool
    """
    baseline = signal[:noise_frames]
    late = signal[-LATE_FRAMES:].mean(axis=0)
    allowed = LARGEST_ENHANCEMENT * baseline.std(axis=0, ddof=1)
    return (baseline.min(axis=0) > 0) & (late <= baseline.mean(axis=0) + allowed)


def mean_of_not_enhancing(
    series: DscSeries, baseline_frames: int, mask: np.ndarray, noise_frames: int
) -> tuple[np.ndarray, int]:
    """(T,) float64 mean delta R2* of the voxels that do not enhance, and their number.

    :param mask: (Z, Y, X) bool, the brain
    :param noise_frames: frames before the bolus arrives
    :raises InputError: too short a baseline, or no voxel that does not enhance
    """
    if noise_frames < _FEWEST_BASELINE_FRAMES:
        raise InputError(
            series.name,
            f"has {noise_frames} frames before the bolus, too few to tell enhancement from noise",
            f"do not correct for leakage, or give a series with {_FEWEST_BASELINE_FRAMES} or more",
            Setting.LEAKAGE_CORRECTION,
        )
    total, count = np.zeros(series.frames), 0
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        signal = series.signal[:, z][:, mask[z]]
        signal = signal[:, does_not_enhance(signal, noise_frames)]
        total += concentration_curves(signal, baseline_frames, series.echo_time).sum(axis=1, dtype=np.float64)
        count += signal.shape[1]
    if not count:
        raise InputError(
            series.name,
            "has no voxel in the brain that does not enhance, so leakage has nothing to be compared with",
            "check the brain mask, or do not correct for leakage",
            Setting.LEAKAGE_CORRECTION,
        )
    return total / count, count
