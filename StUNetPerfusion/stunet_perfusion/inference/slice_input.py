"""What is made of a slice for a network: its input, and the map that it corrects.

The frames around the bolus in the box, as the paper's z-scores or as curves of -ln(S/S0), which maps may follow; see
`network_quantities`. A plan, as `standardize` makes it of the whole series, says how.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.curve_fit.curve_noise import noise_of_blood_volume
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.inference.box import SquareBox, cropped, into_box
from stunet_perfusion.inference.standardize import LOG_RATIO_CLIP, LOG_RATIO_GAIN, Standardization
from stunet_perfusion.kinetics.cbv_scale import CLIP, CLOSED_FORM_UNIT
from stunet_perfusion.networks.quantities import (
    ARRIVAL_GAIN,
    CORRECTION_TO_FIT,
    CORRECTIONS,
    CURVES_AND_FIT,
    CURVES_AND_MAPS,
    FIT_OVER_NOISE_GAIN,
    LEAST_NOISE_RATIO,
    SIGNAL,
    SMALLEST_FIT_NOISE,
)

#: Noise of the closed form may well be outside of what z-scores are cut to. It is cut where it is beyond use.
CLOSED_FORM_CLIP = 10.0

#: The fit is less noisy, and what is beyond that in it is blood: a hot tumor holds six times the brain's mean and more.
FIT_CLIP = 20.0


@dataclass(frozen=True, eq=False)
class SliceForNetwork:
    """All that is made of a slice for a network, in the box.

    :param given: (64, 256, 256) float32, its input: z-scores in [-5, 5], or curves of -ln(S/S0) in [-10, 10], which
        maps may follow
    :param corrected: (256, 256) float32, the map that it corrects, in halves of the brain's mean (0 at the mean, -2
        without blood), or None
    :param unit: what it says its correction in, in halves of the brain's mean
    :param noise: (256, 256) float32, as `noise_slice`, or None where it is not wanted
    """

    given: np.ndarray
    corrected: np.ndarray | None = None
    unit: float = 1.0
    noise: np.ndarray | None = None


def slice_for_network(plan: Standardization, target: str, signal: np.ndarray, noise: bool = False) -> SliceForNetwork:
    """The network's input for one slice, and what its output is to be added to.

    :param target: what the network says, one of `TARGETS`
    :param signal: (T, Y, X) of the prepared series, every frame of it
    :param noise: whether the noise is wanted
    """
    box, signal = cropped(plan.box, signal)
    if plan.first_pass is None:
        return SliceForNetwork(_signal_in_box(plan, box, signal))
    of_slice = SliceCurves.of(signal, plan.first_pass, _frames_needed(plan, target, len(signal)))
    corrected = into_box(box, _corrected(target, of_slice)) if target in CORRECTIONS else None
    spread = into_box(box, _noise(plan, of_slice, signal)) if noise else None
    # Last, since the curves are cut where they are.
    given = _signal_in_box(plan, box, signal) if plan.quantity == SIGNAL else _curves_and_maps(plan, box, of_slice)
    return SliceForNetwork(given, corrected, fit_unit(plan) if target == CORRECTION_TO_FIT else 1.0, spread)


def noise_slice(plan: Standardization, signal: np.ndarray) -> np.ndarray:
    """The standard deviation of noise that a network hardly learns of, for one slice: that of the closed form; or,
    where there is a fit, of whose white noise it is told, what the noise's texture adds to it.

    :param plan: with a first pass
    :param signal: (T, Y, X) of the prepared series, every frame of it
    :returns: (256, 256) float32, in halves of the brain's mean
    """
    box, signal = cropped(plan.box, signal)
    frames = plan.first_pass.stop if plan.first_pass.fit is None else len(signal)
    return into_box(box, _noise(plan, SliceCurves.of(signal, plan.first_pass, frames), signal))


def fit_unit(plan: Standardization) -> float:
    """What a network that corrects the fit says its correction in: the fit's noise in a voxel of the brain, in halves
    of the brain's mean, and no less than what the fit is off without noise.

    :param plan: with a fit
    """
    found = plan.first_pass
    return math.hypot(found.curve_noise * found.fit.noise_gain / CLOSED_FORM_UNIT, SMALLEST_FIT_NOISE)


def _frames_needed(plan: Standardization, target: str, frames: int) -> int:
    """How many first frames of the curves anything is made of."""
    if plan.quantity == CURVES_AND_FIT or target == CORRECTION_TO_FIT:
        return frames
    return max(int(plan.window.max()) + 1, plan.first_pass.stop)


def _signal_in_box(plan: Standardization, box: SquareBox, signal: np.ndarray) -> np.ndarray:
    """The paper's input: (T, Y, X), cropped, to z-scores."""
    resampled = into_box(box, signal[plan.window])
    resampled -= plan.signal_mean
    resampled /= plan.signal_sd
    return np.clip(resampled, -CLIP, CLIP, out=resampled)


def _curves_and_maps(plan: Standardization, box: SquareBox, of_slice: SliceCurves) -> np.ndarray:
    """Curves, and the maps that follow them. The curves at hand are cut.

    :param box: as it lies in the curves
    """
    window = plan.window
    maps = _maps(plan, of_slice)
    # Curves are cut before the gain, which is the same, and get it in the box, where they are fewer.
    seen, most = of_slice.curves[window[0] : window[-1] + 1], LOG_RATIO_CLIP / LOG_RATIO_GAIN
    result = np.empty((len(window) + len(maps), box.size, box.size), np.float32)
    curves = into_box(box, np.clip(seen, -most, most, out=seen))
    np.multiply(curves[window - window[0]], np.float32(LOG_RATIO_GAIN), out=result[: len(window)])
    for place, values in enumerate(maps, start=len(window)):
        result[place] = into_box(box, np.clip(values, -LOG_RATIO_CLIP, LOG_RATIO_CLIP))
    return result


def _maps(plan: Standardization, of_slice: SliceCurves) -> list[np.ndarray]:
    """(Y, X) each, what follows the frames; see `network_quantities`."""
    unit, baseline = np.float32(CLOSED_FORM_UNIT), of_slice.baseline / np.float32(plan.signal_sd)
    if plan.quantity == CURVES_AND_MAPS:
        return [of_slice.blood_volume() / unit, baseline]
    if plan.quantity == CURVES_AND_FIT:
        fit, noise = of_slice.fitted_blood_volume() / unit, of_slice.fit_noise() / unit
        log_noise = np.log(np.maximum(noise / np.float32(SMALLEST_FIT_NOISE), np.float32(LEAST_NOISE_RATIO)))
        over_noise = fit * np.float32(FIT_OVER_NOISE_GAIN / fit_unit(plan))
        return [fit, over_noise, log_noise, baseline, of_slice.arrival() * np.float32(ARRIVAL_GAIN)]
    return []


def _corrected(target: str, of_slice: SliceCurves) -> np.ndarray:
    """(Y, X) what a network corrects, from the brain's mean on and cut."""
    of_fit = target == CORRECTION_TO_FIT
    volume, clip = (of_slice.fitted_blood_volume(), FIT_CLIP) if of_fit else (of_slice.blood_volume(), CLOSED_FORM_CLIP)
    values = (volume - 1) / np.float32(CLOSED_FORM_UNIT)
    return np.clip(values, -clip, clip, out=values)


def _noise(plan: Standardization, of_slice: SliceCurves, signal: np.ndarray) -> np.ndarray:
    """(Y, X) what `noise_slice` brings into the box."""
    fitted = plan.first_pass.fit is not None
    noise = of_slice.correlated_noise() if fitted else noise_of_blood_volume(signal, plan.first_pass)
    return noise / np.float32(CLOSED_FORM_UNIT)
