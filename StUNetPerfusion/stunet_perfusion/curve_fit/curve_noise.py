"""The noise of curves, and what it adds to a map: by white noise, and by noise that neighbors and frames share."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.first_pass import AIR, FirstPass
from stunet_perfusion.curve_fit.mean_curve_fit import MeanCurveFit
from stunet_perfusion.curve_fit.noise_covariance import RUN, correlated_noise_of_average, noise_covariance
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.preprocessing.bolus import Bolus, end_of_first_pass
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: The largest -ln(S/S0) that a voxel of tissue has.
DEEPEST_DROP = 1.5


def correlated_noise_of_fit(found: FirstPass, fit: MeanCurveFit, sample: np.ndarray, baseline: np.ndarray) -> float:
    """:param baseline: (n, neighbors) of the sample"""
    if not found.noise > 0:
        return 0.0
    # Noise of S0 is in all frames alike.
    weights = fit.noise_weights.copy()
    weights[: found.baseline_frames] -= fit.weights.sum() / found.baseline_frames
    covariances = covariance_of_sample(sample, baseline, found.air, found.baseline_frames, found.stop)
    return correlated_noise_of_average(covariances, weights) / found.noise


def brain_noise_covariance(prepared: PreparedSeries) -> np.ndarray:
    """(RUN, lags) covariances of a series' noise, as `noise_covariance`; 0 where a brain is too thin to tell."""
    sample, bolus = sample_brain(prepared), prepared.bolus
    baseline = baseline_signal(sample, bolus.arrival)
    air = AIR * float(np.median(baseline))
    return covariance_of_sample(sample, baseline, air, bolus.arrival, end_of_first_pass(bolus, len(sample)))


def covariance_of_sample(
    sample: np.ndarray, baseline: np.ndarray, air: float, baseline_frames: int, stop: int
) -> np.ndarray:
    """:param baseline: (n, neighbors) of the sample"""
    tissue = (baseline > air).all(axis=1)
    if sample.shape[-1] < RUN or not tissue.any():
        return np.zeros((RUN, 1))
    return noise_covariance(sample[:, tissue] - baseline[tissue], baseline_frames, stop)


def noise_of_blood_volume(signal: np.ndarray, found: FirstPass) -> np.ndarray:
    """The standard deviation that the noise of the signal gives the closed form.

    Noise of standard deviation s in a signal S is s/S in its logarithm. It is independent from frame to frame, but for
    that of S0, which is the same in all frames of the first pass.

    :param signal: (T, Y, X) of the prepared series, every frame of it
    :returns: (Y, X) float32, multiples of the brain's mean; 0 in air
    """
    baseline = baseline_signal(signal, found.baseline_frames)
    tissue = baseline > found.air
    divisor = np.where(tissue, baseline, np.float32(1))
    # (S0/S)^2 of the frames that hold contrast. Where noise itself is taken for a deep drop, it would be counted as if
    # the signal were gone; and a signal that is gone has no drop, as in the curves.
    squares = np.full(baseline.shape, (found.stop - found.baseline_frames) ** 2 / found.baseline_frames, np.float32)
    for frame in signal[found.baseline_frames : found.stop]:
        ratio = frame / divisor
        np.copyto(ratio, 1, where=ratio <= 0)
        np.clip(ratio, np.float32(np.exp(-DEEPEST_DROP)), 1, out=ratio)
        squares += np.reciprocal(np.square(ratio, out=ratio), out=ratio)
    deviation = np.sqrt(squares, out=squares)
    deviation *= np.float32(found.noise / found.brain_area)
    deviation /= divisor
    return np.where(tissue, deviation, np.float32(0))


def noise_of_curves(curves: np.ndarray, bolus: Bolus) -> np.ndarray:
    """(n,) standard deviation of (T, n) signals before the bolus."""
    before = curves[: bolus.arrival]
    deviations = before - before.mean(axis=0)
    return np.sqrt(np.square(deviations, out=deviations).sum(axis=0) / np.float32(len(before) - 1))
