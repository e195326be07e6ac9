"""CBV in closed form, relative to the brain's mean: sum C / sum C_mean, and the same smoothed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stunet_perfusion.kinetics.concentration import concentration_curves
from stunet_perfusion.kinetics.reference import reference_cbv
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Full width at half maximum of a Gaussian over its standard deviation.
_FWHM = 2.3548


def closed_form(prepared: PreparedSeries, baseline_frames: int | None = None) -> np.ndarray:
    """(Z, Y, X) float32 CBV relative to the brain's mean.

    :param baseline_frames: frames that S0 is the mean of: 1 as Verbena has it; None takes all before arrival
    """
    frames = prepared.bolus.arrival if baseline_frames is None else baseline_frames
    return reference_cbv(prepared.series, frames, mean_curve(prepared))


def mean_curve(prepared: PreparedSeries) -> np.ndarray:
    """(T,) mean concentration over the brain, in the unit of `concentration`, with a mean baseline."""
    series, brain = prepared.series, prepared.brain
    total = np.zeros(series.frames)
    for z in np.flatnonzero(brain.any(axis=(1, 2))):
        curves = concentration_curves(series.signal[:, z][:, brain[z]], prepared.bolus.arrival, series.echo_time)
        total += np.nan_to_num(curves).sum(axis=1, dtype=np.float64)
    return total / brain.sum()


def smoothed(cbv: np.ndarray, prepared: PreparedSeries, width: float) -> np.ndarray:
    """A map smoothed in the plane by a Gaussian, within the brain: what is outside has no weight.

    :param width: full width at half maximum, mm
    """
    sigma = width / _FWHM / prepared.series.grid.spacing[1::-1]
    weight = prepared.brain.astype(np.float64)
    over = ndimage.gaussian_filter(cbv * weight, (0, *sigma))
    under = ndimage.gaussian_filter(weight, (0, *sigma))
    return np.where(prepared.brain, over / np.maximum(under, 1e-9), cbv).astype(np.float32)
