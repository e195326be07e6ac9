"""The second phantom family: its AIF, residue functions and noise against closed forms, and its choices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import exponnorm

from science.heads import ellipsoid_head
from stunet_perfusion.phantom import Protocol, make_phantom, random_physiology, random_protocol
from stunet_perfusion.phantom.acquisition import add_noise
from stunet_perfusion.phantom.lagged_normal import LaggedNormalBolus, lagged_normal
from stunet_perfusion.phantom.noise import add_scanner_noise
from stunet_perfusion.phantom.residues import RESIDUES
from stunet_perfusion.phantom.second_family import second_physiology, second_protocol
from stunet_perfusion.preprocessing.preparation import prepare


@settings(deadline=None, max_examples=30)
@given(width=st.floats(0.5, 4.0), lag=st.floats(0.05, 12.0))
def test_lagged_normal_is_a_normal_curve_dispersed_by_an_exponential(width, lag):
    seconds = np.linspace(0.01, 80, 400)
    expected = exponnorm.pdf(seconds, lag / width, loc=3 * width, scale=width)
    np.testing.assert_allclose(lagged_normal(seconds, width, lag), expected, rtol=1e-6, atol=1e-12)


def test_second_bolus_begins_at_its_arrival_and_has_its_peak():
    bolus = LaggedNormalBolus(arrival=20.0, peak=500.0, width=2.0, lag=3.0, recirculation=0.0, tail=0.0)
    times = np.arange(0, 90, 0.01)
    curve = bolus(times)
    assert not curve[times < 20].any()
    assert curve.max() == pytest.approx(500.0, rel=1e-4)
    first_moment = (times * curve).sum() / curve.sum()
    assert first_moment == pytest.approx(20 + 3 * 2.0 + 3.0, abs=0.02)


@pytest.mark.parametrize("name", sorted(RESIDUES))
@settings(deadline=None, max_examples=25)
@given(transit=st.floats(0.5, 12.0), shape=st.floats(0.8, 4.0))
def test_every_residue_function_starts_at_one_falls_and_has_the_mean_transit_time_as_area(name, transit, shape):
    times = np.linspace(0, 400 * transit, 400001)
    area = RESIDUES[name](times, transit, shape)
    residue = np.diff(area) / np.diff(times)
    assert area[0] == 0
    assert residue[0] == pytest.approx(1.0, abs=0.01)
    assert (np.diff(residue) <= 1e-7).all()
    assert area[-1] == pytest.approx(transit, rel=2e-3)


def test_lognormal_residue_against_a_sum_over_its_distribution():
    """R(t) = 1 - F(t): the share of drawn transit times that are longer than t."""
    transit, shape, spread = 4.0, 1.5, np.sqrt(np.log1p(1 / 1.5))
    drawn = np.exp(np.random.default_rng(0).normal(np.log(transit) - spread**2 / 2, spread, 400_000))
    for time in (1.0, 4.0, 11.0):
        expected = np.minimum(drawn, time).mean()
        assert RESIDUES["lognormal"](np.array([time]), transit, shape)[0] == pytest.approx(expected, rel=5e-3)


def test_biexponential_residue_is_the_sum_of_two_known_paths():
    value = RESIDUES["biexponential"](np.array([3.0]), 6.0, 1.0)[0]
    fast, slow = 3.0, 6.0 * (1 - 0.7 * 0.5) / 0.3
    assert value == pytest.approx(0.7 * fast * (1 - np.exp(-1)) + 0.3 * slow * (1 - np.exp(-3 / slow)))


def test_area_over_area_is_the_true_blood_volume_in_the_second_family_too():
    generator = np.random.default_rng(3)
    person = second_physiology(generator, True)
    protocol = Protocol(matrix=48, frames=400, slices=3, slice_spacing=20.0, slice_thickness=5.0, arrival=15.0)
    phantom = make_phantom(ellipsoid_head(3.0), physiology=person, protocol=protocol, seed=1)
    quotient = phantom.delta_r2_star(1).sum(axis=0) / phantom.aif.sum()
    np.testing.assert_allclose(quotient[phantom.mask[1]], phantom.cbv[1][phantom.mask[1]], rtol=0.03)


def test_noise_without_texture_is_that_of_the_training_family_bit_for_bit():
    clean = np.full((5, 32, 32), 500.0, np.float32)
    plain = add_noise(clean.copy(), 550.0 / 70, np.random.default_rng(5))
    np.testing.assert_array_equal(
        add_scanner_noise(clean, Protocol(temporal_snr=70.0), np.random.default_rng(5)), plain
    )


def test_blurred_noise_keeps_its_strength_and_neighbors_agree():
    """Two values of smoothed noise a voxel apart correlate by exp(-1 / (4 sigma^2)) where sigma is not small."""
    protocol = Protocol(temporal_snr=55.0, noise_blur=0.8)
    noisy = add_scanner_noise(np.full((40, 64, 64), 5000.0, np.float32), protocol, np.random.default_rng(0)) - 5000
    assert noisy.std() == pytest.approx(10.0, rel=0.02)
    neighbors = np.corrcoef(noisy[:, :, 1:].ravel(), noisy[:, :, :-1].ravel())[0, 1]
    assert neighbors == pytest.approx(np.exp(-1 / (4 * 0.8**2)), abs=0.02)


def test_noise_is_stronger_in_the_middle_and_the_body_adds_noise_that_lasts():
    protocol = Protocol(temporal_snr=55.0, noise_center=0.5)
    noisy = add_scanner_noise(np.full((300, 33, 33), 5000.0, np.float32), protocol, np.random.default_rng(0))
    spread = noisy.std(axis=0)
    assert spread[14:19, 14:19].mean() / spread[0].mean() == pytest.approx(1.5, rel=0.05)
    still = Protocol(temporal_snr=float("inf"), physiological_noise=0.01)
    drifting = add_scanner_noise(np.full((2000, 32, 32), 1000.0, np.float32), still, np.random.default_rng(1)) - 1000
    assert drifting.std() == pytest.approx(10.0, rel=0.1)
    course = drifting[:, 16, 16]
    assert np.corrcoef(course[1:], course[:-1])[0, 1] == pytest.approx(0.6, abs=0.06)


def test_choices_lie_outside_of_what_training_draws():
    people = [(second_physiology(g), random_physiology(g)) for g in map(np.random.default_rng, range(100))]
    scanners = [(second_protocol(g), random_protocol(g)) for g in map(np.random.default_rng, range(100))]
    assert max(s.gray_cbv / s.white_cbv for s, _ in people) < min(t.gray_cbv / t.white_cbv for _, t in people) + 0.05
    assert all(s.aif_model != t.aif_model and s.residue != t.residue for s, t in people)
    assert min(s.largest_delay for s, _ in people) >= max(t.largest_delay for _, t in people)
    assert min(s.leakage_ve for s, _ in people) > max(t.leakage_ve for _, t in people)
    assert min(s.blur for s, _ in scanners) > max(t.blur for _, t in scanners)
    assert min(s.shading for s, _ in scanners) > max(t.shading for _, t in scanners)
    assert min(s.t1_scale for s, _ in scanners) > max(t.t1_scale for _, t in scanners)
    assert [s.r2_star for s, _ in scanners if s.field == 1.5] == pytest.approx(
        [32.0] * sum(s.field == 1.5 for s, _ in scanners)
    )


def test_grade_can_be_asked_for_without_changing_what_else_is_drawn():
    free = random_physiology(np.random.default_rng(11))
    assert free in [random_physiology(np.random.default_rng(11), grade) for grade in (True, False)]


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_dose_of_the_second_family_can_still_be_prepared(seed):
    generator = np.random.default_rng(seed)
    person, protocol = second_physiology(generator), second_protocol(generator)
    phantom = make_phantom(
        ellipsoid_head(2.0), physiology=person, protocol=protocol, seed=seed, slices=range(0, protocol.slices, 6)
    )
    prepared = prepare(phantom.series(0.25), mask=phantom.mask)
    arrival = (prepared.bolus.arrival + prepared.dropped_frames) * protocol.repetition_time
    assert abs(arrival - protocol.arrival) < 8
