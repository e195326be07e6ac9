"""Blood volume by the fit of the brain's mean curve: exact where curves are made of it, noise as predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma
from torch import nn

from science.slices import corrected_slice, standardize_slice
from science.test_network_quantities import HEAD, SHAPE, prepared_at, untrained
from stunet_perfusion.checkpoint import Checkpoint, CheckpointInfo
from stunet_perfusion.checkpoint_document import NetworkInput
from stunet_perfusion.dose import simulate_slice
from stunet_perfusion.evaluation.classical import averaged_fit, fitted_cbv
from stunet_perfusion.first_pass import (
    SliceCurves,
    find_first_pass,
    first_pass_at_dose,
    sample_brain,
)
from stunet_perfusion.metrics import l2, standardized
from stunet_perfusion.network_quantities import (
    BLOOD_VOLUME,
    CORRECTION_TO_FIT,
    CURVES_AND_FIT,
    MAPS,
    SMALLEST_FIT_NOISE,
)
from stunet_perfusion.phantom import Protocol, make_phantom, mni_anatomy
from stunet_perfusion.predict import PredictionSettings, predict_case, predict_standardized
from stunet_perfusion.preparation import prepare
from stunet_perfusion.slice_input import fit_unit, noise_slice
from stunet_perfusion.standardize import into_box, out_of_box, plan_standardization
from stunet_perfusion.strip_rule import StripRule
from stunet_perfusion.template_fit import fit_template

FRAMES, STOP = 60, 34


def mean_curve(interval=1.5):
    return gamma.pdf(interval * np.arange(FRAMES) - 18, 4, scale=1.6)


def voxels(count=4000, seed=0, early=0.0, wide=0.0):
    """Curves that are known shares of one curve, its slope and its bend, and the shares."""
    generator = np.random.default_rng(seed)
    curve = mean_curve()
    slope = np.gradient(curve)
    volumes = generator.uniform(0.3, 2.0, count)
    volumes /= volumes.mean()
    shift, width = early * generator.standard_normal(count), wide * generator.standard_normal(count)
    # The mean curve stays what it is.
    shift, width = shift - (shift * volumes).mean(), width - (width * volumes).mean()
    curves = volumes * (curve[:, None] + shift * slope[:, None] + width * np.gradient(slope)[:, None])
    return curves, volumes


@settings(deadline=None, max_examples=20)
@given(early=st.floats(0, 0.6), wide=st.floats(0, 0.4), dose=st.floats(0.1, 2.0))
def test_without_noise_the_fit_is_exact_for_curves_that_come_early_or_are_wide(early, wide, dose):
    curves, volumes = voxels(early=early, wide=wide)
    fit = fit_template(dose * curves, STOP, 0.0, 0.0)
    of_mean = dose * mean_curve()[:STOP].sum()
    found = fit.blood_volume(dose * curves) / of_mean
    # The mean curve is that of the voxels between two percentiles, which is not quite that of all.
    np.testing.assert_allclose(found / found.mean(), volumes, rtol=0.06, atol=0.03)
    assert np.corrcoef(found, volumes)[0, 1] > 0.9995


def test_the_area_under_the_mean_curve_is_the_fits_own_unit():
    curves, _ = voxels(early=0.3)
    areas = curves[:STOP].sum(axis=0)
    low, high = np.percentile(areas, (5, 95))
    inner = (areas >= low) & (areas <= high)
    mean = curves[:, inner].mean(axis=1)
    fit = fit_template(curves, STOP, 0.0, 0.0)
    assert fit.blood_volume(mean[:, None])[0] == pytest.approx(mean[:STOP].sum(), rel=1e-5)


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_gain_is_the_spread_of_repeated_scans_and_below_that_of_the_sum(noise):
    """Of normal noise the sum over the first pass has sqrt(frames) times its spread; the fit has less."""
    curves, _ = voxels(early=0.3, wide=0.2)
    generator = np.random.default_rng(1)
    noisy = curves + noise * generator.standard_normal(curves.shape)
    fit = fit_template(noisy, STOP, 0.0, noise)
    repeats = fit.blood_volume(noise * generator.standard_normal((FRAMES, 40_000)))
    assert repeats.std() == pytest.approx(noise * fit.noise_gain, rel=0.02)
    assert fit.noise_gain < 0.75 * np.sqrt(STOP)


def test_the_noisier_a_series_the_less_its_fit_asks_for_what_is_early_or_wide():
    """Held back, the constant, slope and bend leave the frames nearly the weights of the mean curve alone."""
    curves, _ = voxels(early=0.3, wide=0.2)
    generator = np.random.default_rng(1)
    gains = []
    for noise in (0.0, 0.005, 0.05):
        noisy = curves + noise * generator.standard_normal(curves.shape)
        gains.append(fit_template(noisy, STOP, 0.0, noise).noise_gain)
    curve = mean_curve()
    alone = curve[:STOP].sum() / np.sqrt((curve**2).sum())
    assert gains[0] > gains[1] > gains[2] >= 0.98 * alone


@pytest.mark.parametrize("drop", [0.0, 4.0])
def test_where_all_curves_are_alike_frames_count_as_in_a_matched_filter(drop):
    """By least squares each frame counts for its curve over the variance of its noise, exp(2 drop curve)."""
    curves, _ = voxels()
    generator = np.random.default_rng(1)
    mean = mean_curve()
    spread = 0.01 * np.exp(drop * mean)[:, None]
    weights = fit_template(curves + spread * generator.standard_normal(curves.shape), STOP, drop, 0.01).weights
    matched = mean * np.exp(-2 * drop * mean)
    matched *= mean[:STOP].sum() / (matched @ mean)
    np.testing.assert_allclose(weights, matched, atol=0.03 * matched.max())


@pytest.mark.parametrize("dose", [0.5, 0.25])
def test_the_fit_of_a_series_does_not_know_the_dose(dose):
    full, low = prepared_at(40.0), prepared_at(40.0 * dose)
    maps = [
        SliceCurves.of(each.series.signal[:, 1], find_first_pass(each, fitted=True)).fitted_blood_volume()
        for each in (full, low)
    ]
    np.testing.assert_allclose(maps[0][HEAD[1]], maps[1][HEAD[1]], rtol=5e-3, atol=5e-3)


def test_curves_that_are_all_alike_give_the_closed_form():
    prepared = prepared_at(40.0)
    found = find_first_pass(prepared, fitted=True)
    signal = prepared.series.signal[:, 1]
    closed = SliceCurves.of(signal, found).blood_volume()[HEAD[1]]
    fitted = SliceCurves.of(signal, found).fitted_blood_volume()[HEAD[1]]
    assert np.corrcoef(closed, fitted)[0, 1] > 0.999
    assert np.polyfit(closed, fitted, 1)[0] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_the_fit_at_a_dose_is_found_in_a_sample(method):
    prepared = prepared_at(40.0, noise=4.0)
    full = find_first_pass(prepared, fitted=True)
    found = first_pass_at_dose(sample_brain(prepared), prepared.bolus, full, 0.5, method, 7)
    planes = [
        simulate_slice(plane, prepared.bolus.arrival, 0.5, method, np.random.default_rng(z))
        for z, plane in enumerate(np.moveaxis(prepared.series.signal, 1, 0))
    ]
    lowered = replace(prepared, series=replace(prepared.series, signal=np.stack(planes, axis=1)))
    expected = find_first_pass(lowered, fitted=True)
    assert found.fit.noise_gain == pytest.approx(expected.fit.noise_gain, rel=0.1)
    curves = SliceCurves.of(planes[1], expected).curves[:, HEAD[1]]
    maps = [each.fit.blood_volume(curves) for each in (found, expected)]
    assert np.corrcoef(*maps)[0, 1] > 0.99


def test_the_fit_is_closer_to_a_phantoms_truth_than_the_sum_over_the_first_pass():
    """With vessels, delays, partial volumes and noise, by the brute force of a simulated scan."""
    phantom = make_phantom(mni_anatomy(), protocol=Protocol(), seed=0, slices=[9, 13])
    truth = standardized(phantom.cbv, phantom.mask)
    for dose in (0.5, 0.25):
        prepared = prepare(phantom.series(dose), mask=phantom.mask)
        found = find_first_pass(prepared, fitted=True)
        planes = np.moveaxis(prepared.series.signal, 1, 0)
        closed = np.stack([SliceCurves.of(plane, found).blood_volume() for plane in planes])
        fitted = np.stack([SliceCurves.of(plane, found).fitted_blood_volume() for plane in planes])
        errors = [l2(standardized(each, phantom.mask), truth, phantom.mask) for each in (closed, fitted)]
        assert errors[1] < 0.75 * errors[0]
        np.testing.assert_allclose(
            standardized(fitted_cbv(prepared), phantom.mask)[phantom.mask],
            standardized(fitted, phantom.mask)[phantom.mask],
            atol=1e-4,
        )
    # What is averaged away is noise, of which there must be some: this is the quarter of the dose.
    like_neighbors = standardized(averaged_fit(prepared), phantom.mask)
    assert l2(like_neighbors, truth, phantom.mask) < 0.8 * errors[1]


def test_the_maps_beside_the_curves_are_the_fit_its_noise_and_the_baseline():
    prepared = prepared_at(40.0, noise=4.0)
    signal = prepared.series.signal[:, 1]
    plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT, CORRECTION_TO_FIT)
    given = standardize_slice(plan, signal)
    assert given.shape == (64 + MAPS[CURVES_AND_FIT], 64, 64)
    fit, in_units, log_noise, _ = given[64:]
    middle = into_box(plan.box, HEAD[1].astype(np.float32)) > 0.999
    np.testing.assert_allclose(fit[middle], 2 + corrected_slice(plan, CORRECTION_TO_FIT, signal)[middle], atol=1e-4)
    np.testing.assert_allclose(in_units[middle], 0.2 * fit[middle] / fit_unit(plan), rtol=1e-3, atol=1e-3)
    # Resampling the logarithm of the noise, or the logarithm of resampled noise, is not quite the same.
    np.testing.assert_allclose(
        SMALLEST_FIT_NOISE * np.exp(log_noise[middle]), noise_slice(plan, signal)[middle], rtol=0.1
    )
    typical = np.median(noise_slice(plan, signal)[middle])
    assert fit_unit(plan) == pytest.approx(np.hypot(typical, SMALLEST_FIT_NOISE), rel=0.1)


@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_an_untrained_correction_to_the_fit_is_the_fit(dose):
    known = untrained(CORRECTION_TO_FIT, CURVES_AND_FIT)
    prepared = prepared_at(40.0, noise=1.0)
    settings_ = PredictionSettings(dose=dose, method="noise-matched", stride=16, drop_frames=0)
    case = predict_case(prepared.series, known, settings_, mask=HEAD)
    plan = plan_standardization(case.prepared, 64, 64, CURVES_AND_FIT, CORRECTION_TO_FIT)
    said = predict_standardized(case.prepared, known, stride=16).mean
    expected = np.stack(
        [
            out_of_box(plan.box, corrected_slice(plan, CORRECTION_TO_FIT, plane), SHAPE[1:])
            for plane in np.moveaxis(case.prepared.series.signal, 1, 0)
        ]
    )
    np.testing.assert_allclose(said[HEAD], expected[HEAD], atol=1e-5)


def test_what_the_network_says_counts_in_units_of_the_fits_noise():
    """A head that says 1 everywhere, and an error of 0.5, at two doses: a unit more than the fit, half of it unsure."""

    class SaysOne(nn.Module):
        row_step, row_reach, maps, says_error = 1, 0, 4, True

        def forward(self, strips):
            ones = strips[:, :1] * 0 + 1
            return torch.cat([ones, ones * 0 + float(np.log(0.5))], dim=1)

        def check_strip(self, frames, rows, columns):
            assert frames == 64

    info = CheckpointInfo(
        "stunet", {}, NetworkInput(size=64, quantity=CURVES_AND_FIT), StripRule(16), target=CORRECTION_TO_FIT
    )
    units = []
    for peak in (40.0, 10.0):
        prepared = prepared_at(peak, noise=40.0)
        plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT, CORRECTION_TO_FIT)
        said = predict_standardized(prepared, Checkpoint(info, SaysOne(), "one"), stride=16)
        fit = corrected_slice(plan, CORRECTION_TO_FIT, prepared.series.signal[:, 1])
        more = said.mean[1] - out_of_box(plan.box, fit, SHAPE[1:])
        unit = fit_unit(plan)
        np.testing.assert_allclose(more[HEAD[1]], unit, rtol=1e-3)
        np.testing.assert_allclose(said.error[1][HEAD[1]], 0.5 * unit, rtol=1e-3)
        units.append(unit)
    # A quarter of the dose has four times the noise, but a fit that asks for less.
    of_noise = [np.sqrt(unit**2 - SMALLEST_FIT_NOISE**2) for unit in units]
    assert 1.8 < of_noise[1] / of_noise[0] < 4.2


def test_blood_volume_may_be_said_of_the_fits_maps_too():
    known = untrained(BLOOD_VOLUME, CURVES_AND_FIT)
    prepared = prepared_at(40.0, noise=1.0)
    assert not predict_standardized(prepared, known, stride=16).mean.any()
