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


def noise_of_curves(curves: np.ndarray, bolus: Bolus) -> np.ndarray:
    """(n,) standard deviation of (T, n) signals before the bolus."""
    before = curves[: bolus.arrival]
    deviations = before - before.mean(axis=0)
    return np.sqrt(np.square(deviations, out=deviations).sum(axis=0) / np.float32(len(before) - 1))
