"""Measuring the first pass of a series, at its own dose and at a lower one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, overload

import numpy as np

from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.curve_noise import correlated_noise_of_fit, noise_of_curves
from stunet_perfusion.curve_fit.first_pass import AIR, FirstPass, FittedFirstPass
from stunet_perfusion.curve_fit.mean_curve_fit import fit_mean_curve
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.dose.simulate import Method, simulate_slice
from stunet_perfusion.kinetics.concentration import area_under_curves, baseline_signal
from stunet_perfusion.preprocessing.bolus import Bolus, end_of_first_pass
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.voxels import trimmed_mean, voxels_inside


@overload
def find_first_pass(prepared: PreparedSeries, fitted: Literal[True]) -> FittedFirstPass: ...
@overload
def find_first_pass(prepared: PreparedSeries, fitted: bool = False) -> FirstPass: ...
def find_first_pass(prepared: PreparedSeries, fitted: bool = False) -> FirstPass:
    """Look at a series once.

    :param fitted: fit the brain's mean curve, too
    :raises InputError: curves of the brain that sum up to nothing
    """
    signal, brain, bolus = prepared.series.signal, prepared.brain, prepared.bolus
    stop = end_of_first_pass(bolus, len(signal))

    def look_at(z: int) -> tuple[np.ndarray, ...]:
        curves = voxels_inside(signal[:stop, z], brain[z])
        return _areas(curves, bolus), baseline_signal(curves, bolus.arrival), noise_of_curves(curves, bolus)

    areas, baselines, noises = zip(*by_slice(look_at, np.flatnonzero(brain.any(axis=(1, 2)))), strict=True)
    area = trimmed_mean(np.concatenate(areas))
    if not area > 0:
        raise InputError(
            prepared.series.name,
            "takes up no contrast over the brain as a whole",
            "check the brain mask and the bolus with 'stunet-perfusion info'",
        )
    air = AIR * float(np.median(np.concatenate(baselines)))
    noise = float(np.median(np.concatenate(noises)))
    found = FirstPass(bolus.arrival, stop, prepared.series.frame_interval, area, air, noise)
    return _with_fit(found, sample_brain(prepared)) if fitted else found


def _with_fit(found: FirstPass, sample: np.ndarray) -> FittedFirstPass:
    """:param sample: (T, n, neighbors) signal of voxels of the brain"""
    curves = SliceCurves.of(sample, found)
    fit = fit_mean_curve(
        curves.curves.reshape(len(sample), -1),
        curves.noise().ravel(),
        found.stop,
        found.brain_area,
        found.curve_noise,
        found.frame_interval,
    )
    return FittedFirstPass.of(found, fit, correlated_noise_of_fit(found, fit, sample, curves.baseline))


@overload
def first_pass_at_dose(
    sample: np.ndarray, bolus: Bolus, found: FittedFirstPass, dose: float, method: Method, seed: int
) -> FittedFirstPass: ...
@overload
def first_pass_at_dose(
    sample: np.ndarray, bolus: Bolus, found: FirstPass, dose: float, method: Method, seed: int
) -> FirstPass: ...
def first_pass_at_dose(
    sample: np.ndarray, bolus: Bolus, found: FirstPass, dose: float, method: Method, seed: int
) -> FirstPass:
    """What `find_first_pass` would find in the same series at a lower dose, up to the noise of a sample.

    :param sample: (T, n, neighbors) at full dose, as `sample_brain` takes it
    :param found: at full dose
    :raises InputError: as `simulate_slice`, or a dose so low that no contrast is left
    """
    if dose == 1:
        return found
    lowered = simulate_slice(sample, bolus.arrival, dose, method, np.random.default_rng([seed, sample.shape[1]]))
    ratio = trimmed_mean(_areas(lowered, bolus)) / trimmed_mean(_areas(sample, bolus))
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError("dose", f"at {dose:g} the brain takes up no contrast", "choose a higher dose")
    before, after = (float(np.median(noise_of_curves(each, bolus))) for each in (sample, lowered))
    noise = found.noise * after / before if before > 0 else 0.0
    at_dose = replace(found, brain_area=found.brain_area * ratio, noise=noise)
    return _with_fit(at_dose, lowered) if isinstance(found, FittedFirstPass) else at_dose


def _areas(curves: np.ndarray, bolus: Bolus) -> np.ndarray:
    """(n,) sum over the first pass of (T, n) signals."""
    passage = curves[: end_of_first_pass(bolus, len(curves))]
    return area_under_curves(passage, baseline_signal(passage, bolus.arrival))
