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

from science.heads import ball
from science.slices import corrected_slice, standardize_slice
from science.test_quantities import HEAD, SHAPE, prepared_at, untrained
from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass, first_pass_at_dose
from stunet_perfusion.curve_fit.mean_curve_fit import fit_mean_curve
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.dose.simulate import simulate_slice
from stunet_perfusion.evaluation.classical import fitted_cbv, nonlocal_means_fit
from stunet_perfusion.inference.box import into_box, out_of_box
from stunet_perfusion.inference.curves_and_fit_input import fit_unit, noise_slice
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.predict import PredictionSettings, predict_case, predict_standardized
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.kinetics.cbv_scale import CLOSED_FORM_UNIT
from stunet_perfusion.metrics import l2, standardized
from stunet_perfusion.networks.checkpoint import Checkpoint, CheckpointInfo
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.networks.quantities import (
    ARRIVAL_GAIN,
    CORRECTION_TO_FIT,
    CURVES_AND_FIT,
    MAPS,
    PIXELS,
    SMALLEST_FIT_NOISE,
)
from stunet_perfusion.networks.strip_rule import StripRule
from stunet_perfusion.phantom import Physiology, Protocol, make_phantom, mni_anatomy
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.preprocessing.preparation import prepare

FRAMES, STOP, INTERVAL = 60, 34, 1.5


def mean_curve():
    return gamma.pdf(INTERVAL * np.arange(FRAMES) - 18, 4, scale=1.6)


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


def fitted(curves, drop, noise):
    return fit_mean_curve(curves, np.full(curves.shape[1], noise), STOP, drop, noise, INTERVAL)


@settings(deadline=None, max_examples=20)
@given(early=st.floats(0, 0.6), wide=st.floats(0, 0.4), dose=st.floats(0.1, 2.0))
def test_without_noise_the_fit_is_exact_for_curves_that_come_early_or_are_wide(early, wide, dose):
    curves, volumes = voxels(early=early, wide=wide)
    fit = fitted(dose * curves, 0.0, 0.0)
    of_mean = dose * mean_curve()[:STOP].sum()
    found = fit.measure(dose * curves, 0.0)[0] / of_mean
    # The mean curve is that of the voxels between two percentiles, which is not quite that of all.
    np.testing.assert_allclose(found / found.mean(), volumes, rtol=0.06, atol=0.03)
    assert np.corrcoef(found, volumes)[0, 1] > 0.9995


def test_the_area_under_the_mean_curve_is_the_fits_own_unit():
    curves, _ = voxels(early=0.3)
    areas = curves[:STOP].sum(axis=0)
    low, high = np.percentile(areas, (5, 95))
    inner = (areas >= low) & (areas <= high)
    mean = curves[:, inner].mean(axis=1)
    fit = fitted(curves, 0.0, 0.0)
    assert fit.measure(mean[:, None], 0.0)[0][0] == pytest.approx(mean[:STOP].sum(), rel=1e-5)


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_gain_is_the_spread_of_repeated_scans_and_below_that_of_the_sum(noise):
    """Of normal noise the sum over the first pass has sqrt(frames) times its spread; the fit has less."""
    curves, _ = voxels(early=0.3, wide=0.2)
    generator = np.random.default_rng(1)
    noisy = curves + noise * generator.standard_normal(curves.shape)
    fit = fitted(noisy, 0.0, noise)
    repeats = fit.measure(noise * generator.standard_normal((FRAMES, 40_000)), noise)[0]
    assert repeats.std() == pytest.approx(noise * fit.noise_gain, rel=0.02)
    assert fit.noise_gain < 0.75 * np.sqrt(STOP)


def test_the_noisier_a_series_the_less_its_fit_asks_for_what_is_early_or_wide():
    """Held back, the constant, slope and bend leave the frames nearly the weights of the mean curve alone."""
    curves, _ = voxels(early=0.3, wide=0.2)
    generator = np.random.default_rng(1)
    gains = []
    for noise in (0.0, 0.005, 0.05):
        noisy = curves + noise * generator.standard_normal(curves.shape)
        gains.append(fitted(noisy, 0.0, noise).noise_gain)
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
    weights = fitted(curves + spread * generator.standard_normal(curves.shape), drop, 0.01).weights
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
    maps = [each.fit.measure(curves, 0.0)[0] for each in (found, expected)]
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
    like_neighbors = standardized(nonlocal_means_fit(prepared), phantom.mask)
    assert l2(like_neighbors, truth, phantom.mask) < 0.8 * errors[1]


@settings(deadline=None, max_examples=20)
@given(shift=st.floats(0.05, 0.6), dose=st.floats(0.1, 2.0))
def test_without_noise_curves_are_as_early_as_they_were_made(shift, dose):
    """A curve that is so much of the slope more than the mean curve is so early, by its sign too, at any dose."""
    generator = np.random.default_rng(0)
    curve = mean_curve()
    shifts = shift * generator.uniform(-1, 1, 4000)
    shifts -= shifts.mean()
    curves = dose * (curve[:, None] + shifts * np.gradient(curve)[:, None])
    fit = fitted(curves, 0.0, 0.0)
    # The mean curve is that of the voxels between two percentiles, which is not quite that of all.
    np.testing.assert_allclose(fit.arrival_weights @ curves, shifts, atol=0.1 * shift)
    assert not fit.arrival(curves, 0.0).any(), "without noise there is no unit for it"


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_how_early_noise_seems_is_1_on_the_whole(noise):
    curves, _ = voxels(early=0.3, wide=0.2)
    generator = np.random.default_rng(1)
    fit = fitted(curves + noise * generator.standard_normal(curves.shape), 0.0, noise)
    seen = fit.arrival(noise * generator.standard_normal((FRAMES, 40_000)), np.full(40_000, noise))
    assert seen.std() == pytest.approx(1, rel=0.02)


def test_the_maps_beside_the_curves_are_the_fit_its_noise_and_the_baseline():
    prepared = prepared_at(40.0, noise=4.0)
    signal = prepared.series.signal[:, 1]
    plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT)
    given = standardize_slice(plan, signal)
    assert given.shape == (64 + MAPS[CURVES_AND_FIT], 64, 64)
    fit, in_units, log_noise, _, _ = given[64:]
    middle = into_box(plan.box, HEAD[1].astype(np.float32)) > 0.999
    np.testing.assert_allclose(fit[middle], 2 + corrected_slice(plan, signal)[middle], atol=1e-4)
    np.testing.assert_allclose(in_units[middle], 0.2 * fit[middle] / fit_unit(plan), rtol=1e-3, atol=1e-3)
    # Resampling the logarithm of the noise, or the logarithm of resampled noise, is not quite the same.
    noise = into_box(plan.box, SliceCurves.of(signal, plan.first_pass).fit_noise()) / np.float32(CLOSED_FORM_UNIT)
    np.testing.assert_allclose(SMALLEST_FIT_NOISE * np.exp(log_noise[middle]), noise[middle], rtol=0.1)
    typical = np.median(noise[middle])
    assert fit_unit(plan) == pytest.approx(np.hypot(typical, SMALLEST_FIT_NOISE), rel=0.1)


def test_where_all_curves_are_alike_what_seems_early_is_noise():
    prepared = prepared_at(40.0, noise=4.0)
    plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT, PIXELS)
    early = standardize_slice(plan, prepared.series.signal[:, 1])[-1]
    middle = into_box(plan.box, HEAD[1].astype(np.float32)) > 0.999
    assert early[middle].std() == pytest.approx(ARRIVAL_GAIN, rel=0.1)
    assert abs(early[middle].mean()) < 0.1 * ARRIVAL_GAIN


def test_the_texture_of_the_noise_is_a_share_of_the_fits_noise():
    plan = plan_standardization(prepared_at(40.0, noise=4.0), 64, 64, CURVES_AND_FIT)
    plan = replace(plan, first_pass=replace(plan.first_pass, correlated_noise=0.5 * plan.first_pass.fit.noise_gain))
    signal = prepared_at(40.0, noise=4.0).series.signal[:, 1]
    known = 0.5 * into_box(plan.box, SliceCurves.of(signal, plan.first_pass).fit_noise()) / np.float32(CLOSED_FORM_UNIT)
    np.testing.assert_allclose(noise_slice(plan, signal), known, rtol=1e-5)
    of_slice = slice_for_network(plan, signal, noise=True)
    np.testing.assert_array_equal(of_slice.noise, noise_slice(plan, signal))


@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_an_untrained_correction_to_the_fit_is_the_fit(dose):
    known = untrained()
    prepared = prepared_at(40.0, noise=1.0)
    settings_ = PredictionSettings(dose=dose, method="noise-matched", stride=16, drop_frames=0)
    case = predict_case(prepared.series, known, settings_, mask=HEAD)
    plan = plan_standardization(case.prepared, 64, 64, CURVES_AND_FIT)
    said = predict_standardized(case.prepared, known, stride=16).mean
    expected = np.stack(
        [
            out_of_box(plan.box, corrected_slice(plan, plane), SHAPE[1:])
            for plane in np.moveaxis(case.prepared.series.signal, 1, 0)
        ]
    )
    np.testing.assert_allclose(said[HEAD], expected[HEAD], atol=1e-5)


@pytest.mark.parametrize("times", [8.0, 28.0])
def test_a_vessel_keeps_its_blood_volume_where_the_network_corrects_nothing(times):
    """Vessels hold up to 28 times the brain's mean: what the fit finds there reaches the map, hot tumors likewise."""
    prepared = prepared_at(40.0)
    signal = prepared.series.signal.copy()
    vessel = np.s_[1, 17:22, 15:20]
    baseline = signal[0][vessel]
    drop = -np.log(signal[:, 1, 20, 25] / signal[0, 1, 20, 25])
    here = SliceCurves.of(signal[:, 1], find_first_pass(prepared, fitted=True)).fitted_blood_volume()[20, 25]
    # A short echo time keeps the signal of so much blood above zero.
    signal[(slice(None), *vessel)] = baseline * np.exp(-drop[:, None, None] * times / here)
    with_vessel = replace(prepared, series=replace(prepared.series, signal=signal))
    plan = plan_standardization(with_vessel, 64, 64, CURVES_AND_FIT)
    predicted = predict_standardized(with_vessel, untrained(), stride=16).mean
    mean = SliceCurves.of(signal[:, 1], plan.first_pass).fitted_blood_volume()[19, 17]
    assert mean > 0.7 * times
    assert predicted[1, 19, 17] == pytest.approx((mean - 1) / CLOSED_FORM_UNIT, rel=0.02)


def test_what_the_network_says_counts_in_units_of_the_fits_noise():
    """A head that says 1 everywhere, and an error of 0.5, at two doses: a unit more than the fit, half of it unsure."""

    class SaysOne(nn.Module):
        row_step, row_reach, maps, says_error = 1, 0, 5, True

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
        plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT)
        said = predict_standardized(prepared, Checkpoint(info, SaysOne(), "one"), stride=16)
        fit = corrected_slice(plan, prepared.series.signal[:, 1])
        more = said.mean[1] - out_of_box(plan.box, fit, SHAPE[1:])
        unit = fit_unit(plan)
        np.testing.assert_allclose(more[HEAD[1]], unit, rtol=1e-3)
        np.testing.assert_allclose(said.error[1][HEAD[1]], 0.5 * unit, rtol=1e-3)
        units.append(unit)
    # A quarter of the dose has four times the noise, but a fit that asks for less.
    of_noise = [np.sqrt(unit**2 - SMALLEST_FIT_NOISE**2) for unit in units]
    assert 1.8 < of_noise[1] / of_noise[0] < 4.2


def leaking(amounts, time=40.0, noise=0.0, count=4000):
    """Curves of which the first few leak, as agent does that leaves the vessels and comes back after `time` seconds;
    and their blood volumes."""
    curves, volumes = voxels(count)
    curve = mean_curve()
    out = np.convolve(curve, np.exp(-INTERVAL * np.arange(FRAMES) / time))[:FRAMES]
    curves[:, : len(amounts)] += np.asarray(amounts) * (out * curve.max() / out.max())[:, None]
    return curves + noise * np.random.default_rng(2).standard_normal(curves.shape), volumes


@settings(deadline=None, max_examples=20)
@given(amount=st.floats(0.3, 1.5), sign=st.sampled_from([-1, 1]), dose=st.floats(0.1, 2.0))
def test_agent_that_leaks_is_no_blood_volume_whether_it_darkens_or_brightens(amount, sign, dose):
    curves, volumes = leaking([sign * amount] * 100)
    fit = fitted(dose * curves, 0.0, 0.0)
    unit = dose * mean_curve()[:STOP].sum()
    found = fit.measure(dose * curves, 0.0)[0] / unit
    np.testing.assert_allclose(found, volumes, atol=0.03)
    # Without the term, leakage would be taken for blood.
    alone = fit.weights @ (dose * curves) / unit
    assert sign * (alone - volumes)[:100].mean() > 0.1 * amount


def test_leakage_that_noise_explains_is_not_believed():
    curves, _ = leaking([], noise=0.05)
    fit = fitted(curves, 0.0, 0.05)
    volume, noise = fit.measure(curves, 0.05)
    # Three standard deviations and more, of normally distributed values.
    assert (np.abs(volume - fit.weights @ curves) > 1e-4 * volume.std()).mean() < 0.01
    np.testing.assert_allclose(np.median(noise), 0.05 * fit.noise_gain, rtol=1e-5)


def test_what_leaks_is_measured_less_precisely_and_says_so():
    noise, amounts = 0.01, [0.8] * 200
    fit = fitted(leaking(amounts, noise=noise)[0], 0.0, noise)
    clean, _ = leaking(amounts)
    scans = clean[:, :1] + noise * np.random.default_rng(3).standard_normal((FRAMES, 40_000))
    volume, said = fit.measure(scans, noise)
    assert volume.std() == pytest.approx(said.mean(), rel=0.02)
    assert said.mean() > 1.05 * noise * fit.noise_gain


def test_a_phantoms_leaking_tumor_keeps_its_blood_volume():
    """By the physics of T1 and T2* in a simulated scan without preload, in which agent stays outside of vessels."""
    physiology = replace(Physiology(), k_trans=0.15)
    protocol = Protocol(preload=False, flip_angle=70.0)
    head = mni_anatomy()
    phantom = make_phantom(
        head, tumor=ball(head, (30, 20, 25), 18), physiology=physiology, protocol=protocol, seed=0, slices=[11, 13, 15]
    )
    prepared = prepare(phantom.series(0.5), mask=phantom.mask)
    found = find_first_pass(prepared, fitted=True)
    rim = phantom.fractions[Tissue.TUMOR_RIM] > 0.9
    planes = [SliceCurves.of(plane, found) for plane in np.moveaxis(prepared.series.signal, 1, 0)]
    fit = np.stack([plane.fitted_blood_volume() for plane in planes])
    alone = np.stack([np.tensordot(found.fit.weights, plane.curves, axes=1) for plane in planes])
    truth = phantom.cbv / phantom.cbv[phantom.mask].mean()
    errors = [np.abs(each - truth)[rim].mean() for each in (fit, alone)]
    assert errors[0] < 0.5 * errors[1]
