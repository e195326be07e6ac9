"""Our input and output: curves blind to the dose with the fit of the brain's mean curve, and a correction to that fit.

Each curve -ln(S/S0) sums up to the voxel's share of blood over the first pass, whatever dose, TE and frame interval
were. Five maps follow the curves: the fit of the brain's mean curve, which is far less noisy than the closed form; the
fit over its noise, in which all doses are alike; the logarithm of that noise, voxel by voxel; and two that tell tissues
apart where the fit does not: the baseline, in which tissues and their edges hardly have noise, and bolus arrival.

The network predicts a correction in units of the fit's noise, so that it says as much at every dose and one loss weighs
all doses alike.
"""

from __future__ import annotations

import math

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FittedFirstPass
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass
from stunet_perfusion.curve_fit.slice_curves import FittedSliceCurves, SliceCurves
from stunet_perfusion.inference.box import SquareBox, cropped, into_box
from stunet_perfusion.inference.slice_input import SliceForNetwork
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.kinetics.cbv_scale import CLOSED_FORM_UNIT, CbvScale, closed_form_scale
from stunet_perfusion.networks.quantities import (
    ARRIVAL_GAIN,
    CURVES_AND_FIT,
    FIT_OVER_NOISE_GAIN,
    LEAST_NOISE_RATIO,
    MAPS,
    SMALLEST_FIT_NOISE,
)
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Curves over the brain's mean area are so many times as large for the network: about 1 at their peak in average
#: tissue, with 8 frames under a first pass. They are cut where only arteries are, and so are the maps.
CURVE_GAIN, CURVE_CLIP = 8.0, 10.0

#: The fit that is corrected, and the truth in training, are cut at a hundred times the brain's mean, in halves of it:
#: vessels reach thirty times, and nothing that the fit knows may be lost. The network sees the fit cut at `CURVE_CLIP`.
FIT_CLIP = 200.0


class CurvesAndFitInput:
    """See `InputKind`."""

    clip = CURVE_CLIP
    target_clip = FIT_CLIP
    tells_blood_volume = True

    def first_pass(self, prepared: PreparedSeries) -> FittedFirstPass:
        """The first pass, with the fit of the brain's mean curve."""
        return find_first_pass(prepared, fitted=True)

    def of_slice(self, plan: Standardization, signal: np.ndarray, noise: bool = False) -> SliceForNetwork:
        """:param signal: (T, Y, X) of the prepared series, every frame of it
        :param noise: whether the noise is wanted
        """
        box, signal = cropped(plan.box, signal)
        curves = SliceCurves.of(signal, _first_pass(plan), len(signal))
        corrected = into_box(box, _fit_from_mean(curves))
        spread = into_box(box, _correlated_noise(curves)) if noise else None
        # Last, since the curves are cut where they are.
        return SliceForNetwork(_curves_and_maps(plan, box, curves), corrected, fit_unit(plan), spread)

    def target_scale(self, cbv: np.ndarray, brain: np.ndarray, found_brain: np.ndarray) -> CbvScale:
        """The map's own mean over the brain as it is found, so that neither dose nor arterial input count."""
        return closed_form_scale(cbv, brain & found_brain)


def noise_slice(plan: Standardization, signal: np.ndarray) -> np.ndarray:
    """The noise that the network is not told of, for one slice: what noise shared by neighbors and frames adds.

    :param plan: with a first pass and its fit
    :param signal: (T, Y, X) of the prepared series, every frame of it
    :returns: (256, 256) float32, standard deviation, in halves of the brain's mean
    """
    box, signal = cropped(plan.box, signal)
    return into_box(box, _correlated_noise(SliceCurves.of(signal, _first_pass(plan), len(signal))))


def fit_unit(plan: Standardization) -> float:
    """The unit of the network's correction: the fit's noise in a voxel of the brain, in halves of the brain's mean, and
    no less than what the fit is off without noise.

    :param plan: with a first pass and its fit
    """
    found = _first_pass(plan)
    return math.hypot(found.curve_noise * found.fit.noise_gain / CLOSED_FORM_UNIT, SMALLEST_FIT_NOISE)


def _first_pass(plan: Standardization) -> FittedFirstPass:
    if plan.first_pass is None:
        raise ValueError("the standardization was planned for another input")
    return plan.first_pass


def _fit_from_mean(curves: FittedSliceCurves) -> np.ndarray:
    """(Y, X) the fit, from the brain's mean on, in halves of it, and cut."""
    values = (curves.fitted_blood_volume() - 1) / np.float32(CLOSED_FORM_UNIT)
    return np.clip(values, -FIT_CLIP, FIT_CLIP, out=values)


def _correlated_noise(curves: FittedSliceCurves) -> np.ndarray:
    """(Y, X) in halves of the brain's mean."""
    return curves.correlated_noise() / np.float32(CLOSED_FORM_UNIT)


def _curves_and_maps(plan: Standardization, box: SquareBox, curves: FittedSliceCurves) -> np.ndarray:
    """Curves, and the maps that follow them. The curves at hand are cut.

    :param box: as it lies in the curves
    """
    window, maps = plan.window, _maps(plan, curves)
    # Curves are cut before the gain, which is the same, and get it in the box, where they are fewer.
    seen, most = curves.curves[window.min() : window.max() + 1], CURVE_CLIP / CURVE_GAIN
    result = np.empty((len(window) + MAPS[CURVES_AND_FIT], box.size, box.size), np.float32)
    resampled = into_box(box, np.clip(seen, -most, most, out=seen))
    np.multiply(resampled[window - window.min()], np.float32(CURVE_GAIN), out=result[: len(window)])
    for place, values in enumerate(maps, start=len(window)):
        result[place] = into_box(box, np.clip(values, -CURVE_CLIP, CURVE_CLIP))
    return result


def _maps(plan: Standardization, curves: FittedSliceCurves) -> list[np.ndarray]:
    """(Y, X) each: fit, fit over noise, logarithm of the noise, baseline, arrival."""
    unit, baseline = np.float32(CLOSED_FORM_UNIT), curves.baseline / np.float32(plan.signal_sd)
    fit, noise = curves.fitted_blood_volume() / unit, curves.fit_noise() / unit
    log_noise = np.log(np.maximum(noise / np.float32(SMALLEST_FIT_NOISE), np.float32(LEAST_NOISE_RATIO)))
    over_noise = fit * np.float32(FIT_OVER_NOISE_GAIN / fit_unit(plan))
    return [fit, over_noise, log_noise, baseline, curves.arrival() * np.float32(ARRIVAL_GAIN)]
