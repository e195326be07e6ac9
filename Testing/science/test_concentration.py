"""Concentration from signal: the logarithm, and the conventions where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from stunet_perfusion.kinetics.concentration import area_under_curves, baseline_signal, concentration
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.voxels import voxels_inside


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mono_exponential_signal_gives_its_relaxation_rate(dtype):
    rate = np.linspace(-5, 90, 50)
    signal = (700 * np.exp(-0.03 * rate)).astype(dtype)[:, None]
    result = concentration(signal, np.array([700], dtype), 0.03)
    assert result.dtype == dtype
    np.testing.assert_allclose(result[:, 0], rate, rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-5)


def test_where_there_is_no_logarithm():
    """S0 = 0: q = 0. q <= 0: C = -q / TE. So a frame of 0 signal is no contrast, and -S0 is 1 / TE."""
    signal = np.array([[0.0, 100.0, 100.0], [50.0, 0.0, -100.0]])
    result = concentration(signal, np.array([0.0, 100.0, 100.0]), 0.05)
    np.testing.assert_allclose(result, [[0, 0, 0], [0, 0, 20]])


def test_nan_stays_where_it_is():
    result = concentration(np.array([[1.0, 1.0], [np.nan, 1.0]]), np.array([1.0, 1.0]), 0.03)
    np.testing.assert_array_equal(np.isnan(result), [[False, False], [True, False]])


def test_float32_is_rounded_once_from_the_exact_logarithm():
    quotient = np.random.default_rng(0).uniform(0.05, 1.2, 20000).astype(np.float32)
    result = concentration(quotient[None], np.ones_like(quotient), 1.0)[0]
    np.testing.assert_array_equal(result, -np.log(quotient.astype(np.float64)).astype(np.float32))


def test_unknown_echo_time_leaves_te_times_delta_r2star():
    signal, baseline = np.array([[200.0], [100.0]]), np.array([200.0])
    assert concentration(signal, baseline, None)[1, 0] == pytest.approx(np.log(2))
    assert concentration(signal, baseline, 0.02)[1, 0] == pytest.approx(np.log(2) / 0.02)


def test_baseline_is_the_mean_of_the_first_frames():
    signal = np.array([[10.0], [20.0], [60.0]])
    assert baseline_signal(signal, 1) == 10
    assert baseline_signal(signal, 2) == 15
    for frames in (0, 4):
        with pytest.raises(InputError, match="baseline"):
            baseline_signal(signal, frames)


def test_the_area_is_the_sum_of_the_curves_with_the_same_conventions():
    """Also where S0 is 0, where the signal is gone in a frame, and where interpolation left it slightly negative."""
    generator = np.random.default_rng(4)
    signal = generator.uniform(100, 700, (40, 9, 7)).astype(np.float32)
    baseline = baseline_signal(signal, 8)
    signal[20, 2, 3], signal[21, 4, 4], baseline[5, 5] = 0, -3, 0
    expected = concentration(signal, baseline, None).sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(area_under_curves(signal, baseline), expected, rtol=1e-5, atol=1e-5)
    assert area_under_curves(signal, baseline)[5, 5] == 0
    doubled = 600 * np.exp(-np.linspace(0, 1, 5))[:, None]
    # -ln(S/S0) is 0, 1/4, 1/2, 3/4, 1.
    np.testing.assert_allclose(area_under_curves(doubled, np.array([600.0])), 2.5, rtol=1e-12)


def test_blocks_of_frames_are_computed_as_all_at_once(monkeypatch):
    signal = np.random.default_rng(5).uniform(-20, 700, (30, 6, 5)).astype(np.float32)
    baseline = baseline_signal(signal, 8)
    baseline[2, 2] = 0
    at_once = concentration(signal, baseline, 0.03)
    monkeypatch.setattr("stunet_perfusion.kinetics.concentration._VALUES_AT_ONCE", 70)
    np.testing.assert_array_equal(concentration(signal, baseline, 0.03), at_once)


def test_voxels_inside_a_mask_are_those_that_indexing_gives():
    generator = np.random.default_rng(6)
    series, mask = generator.normal(size=(5, 3, 8, 7)).astype(np.float32), generator.random((8, 7)) > 0.5
    inside = voxels_inside(series[:, 1], mask)
    np.testing.assert_array_equal(inside, series[:, 1][:, mask])
    assert inside.flags.c_contiguous
    assert voxels_inside(series[:, 1], np.zeros_like(mask)).shape == (5, 0)
