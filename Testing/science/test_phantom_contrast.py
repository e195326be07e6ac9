"""The phantom's contrast agent: AIF, residue function and their convolution, against closed forms and dense sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, signal

from stunet_perfusion.phantom.contrast import ArterialBolus, convolve_residue, residue_integral, response_table

FIRST_PASS = ArterialBolus(arrival=12.0, peak=300.0, recirculation=0.0, tail=0.0)


def test_first_pass_peaks_where_and_as_high_as_its_formula_says():
    bolus = ArterialBolus(arrival=12.0, peak=300.0, alpha=3.0, beta=1.5, recirculation=0.0, tail=0.0)
    times = np.arange(0, 60, 0.01)
    curve = bolus(times)
    assert times[np.argmax(curve)] == pytest.approx(12.0 + 4.5, abs=0.01)
    assert curve.max() == pytest.approx(300.0, rel=1e-6)
    assert not curve[times <= 12.0].any()
    # (t - t0)^3 exp(-(t - t0) / 1.5), scaled to its peak
    assert bolus(np.array([14.0]))[0] == pytest.approx(300 * 2**3 * np.exp(-2 / 1.5) / (4.5**3 * np.exp(-3)))


def test_area_is_the_integral_of_the_curve():
    bolus = ArterialBolus(arrival=15.0, peak=2.0, alpha=2.9, beta=1.4, recirculation=0.1, tail=0.07, tail_decay=40.0)
    numeric = integrate.quad(bolus, 15.0, 70.0, limit=200)[0] + integrate.quad(bolus, 70.0, 900.0, limit=200)[0]
    assert bolus.area == pytest.approx(numeric, rel=1e-6)


def test_area_of_a_pure_gamma_variate_with_integer_shape():
    bolus = ArterialBolus(arrival=5.0, peak=4.5**3 * np.exp(-3), alpha=3.0, beta=1.5, recirculation=0.0, tail=0.0)
    assert bolus.area == pytest.approx(6 * 1.5**4)  # integral of s^3 exp(-s / beta) = 3! beta^4


@settings(deadline=None)
@given(transit=st.floats(0.5, 12.0), shape=st.floats(1.0, 6.0))
def test_residue_function_starts_at_one_falls_and_has_the_mean_transit_time_as_area(transit, shape):
    times = np.linspace(0, 40 * transit, 20001)
    area = residue_integral(times, transit, shape)
    residue = np.diff(area) / np.diff(times)
    assert residue[0] == pytest.approx(1.0, abs=0.02)
    assert (np.diff(residue) <= 1e-9).all()
    assert area[-1] == pytest.approx(transit, rel=1e-6)


def test_exponential_residue_against_the_closed_form():
    # (t^3 exp(-t/b)) conv exp(-t/m) = exp(-t/m) * integral of s^3 exp(-s k), k = 1/b - 1/m
    beta, transit, step = 1.5, 4.0, 0.05
    times = np.arange(1200) * step
    curve = times**3 * np.exp(-times / beta)
    k = 1 / beta - 1 / transit
    series = 1 + k * times + (k * times) ** 2 / 2 + (k * times) ** 3 / 6
    exact = np.exp(-times / transit) * 6 / k**4 * (1 - np.exp(-k * times) * series)
    ours = convolve_residue(curve, step, np.array([[transit]]))[0] * transit
    np.testing.assert_allclose(ours, exact, atol=2e-4 * exact.max())


@pytest.mark.parametrize("shape", [1.0, 2.5])
def test_table_against_a_dense_sum_for_any_transit_time_and_delay(shape):
    frames, interval, step = 70, 1.5, 0.005
    bolus = ArterialBolus(arrival=14.0, peak=300.0)
    table = response_table(bolus, frames, interval, shape=shape)
    transit = np.array([1.37, 3.3, 4.61, 9.2])
    delay = np.array([0.0, 0.43, 1.97, 3.11])
    curves = table.read(transit, delay)
    fine = np.arange(0, frames * interval, step)
    for n in range(4):
        residue = np.diff(residue_integral(np.append(fine, fine[-1] + step), transit[n], shape)) / step
        dense = signal.fftconvolve(bolus(fine - delay[n]), residue)[: len(fine)] * step / transit[n]
        expected = np.interp(np.arange(frames) * interval, fine, dense)
        np.testing.assert_allclose(curves[:, n], expected, atol=1.5e-3 * expected.max())


def blood_volume_from_areas(transit: float, delay: float, interval: float) -> tuple[float, float]:
    """Area of a tissue curve of blood volume 1 over that of the sampled AIF, and over that of the AIF's formula."""
    frames = int(160 / interval)
    table = response_table(FIRST_PASS, frames, interval, dtype=np.float64)
    area = table.read(np.array([transit]), np.array([delay])).sum()
    return area / FIRST_PASS(np.arange(frames) * interval).sum(), area * interval / FIRST_PASS.area


@settings(deadline=None, max_examples=20)
@given(transit=st.floats(0.5, 8.0), delay=st.floats(0.0, 5.0))
def test_mass_balance_area_of_tissue_over_area_of_aif_is_the_blood_volume(transit, delay):
    assert blood_volume_from_areas(transit, delay, 0.5) == pytest.approx((1.0, 1.0), abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(transit=st.floats(0.5, 8.0), delay=st.floats(0.0, 5.0), interval=st.floats(1.0, 2.0))
def test_mass_balance_suffers_little_from_a_scanners_few_frames(transit, delay, interval):
    # 2 s are coarse for a first pass of 6 s: the sums differ from the integrals, whatever the convolution
    assert blood_volume_from_areas(transit, delay, interval) == pytest.approx((1.0, 1.0), abs=1e-2)


def test_plug_flow_is_the_aif_itself():
    table = response_table(FIRST_PASS, 60, 1.5, dtype=np.float64)
    curve = table.read(np.array([0.0]), np.array([0.0]))[:, 0]
    np.testing.assert_allclose(curve, FIRST_PASS(np.arange(60) * 1.5), atol=1e-3 * 300)


def test_a_delay_of_one_frame_moves_the_curve_by_one_frame():
    table = response_table(FIRST_PASS, 60, 1.5)
    early, late = table.read(np.array([4.0, 4.0]), np.array([0.0, 1.5])).T
    np.testing.assert_allclose(late[1:], early[:-1], atol=1e-3)
    assert late[0] == 0
