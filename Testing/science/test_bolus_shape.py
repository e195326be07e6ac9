"""Arrival, time to peak, width, height and recovery of curves that are known in closed form."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from science.shared import shared_data
from science.synthetic import gamma_variate
from stunet_perfusion.kinetics.bolus_shape import bolus_shape, signal_recovery
from stunet_perfusion.kinetics.reference.deconvolution import oscillation_index_flow
from stunet_perfusion.preprocessing.bolus import Bolus

TIMES = 3.0 + np.arange(80) * 0.5


def bolus_of(curve: np.ndarray) -> Bolus:
    """Where the bolus of a curve is."""
    return Bolus(int(np.argmax(curve > 0.02 * curve.max())) - 1, int(np.argmax(curve)))


@settings(deadline=None, max_examples=40)
@given(arrival=st.floats(9, 14), rise=st.floats(3, 6), height=st.floats(0.5, 80))
def test_a_gamma_variate_has_the_numbers_of_its_formula(arrival: float, rise: float, height: float) -> None:
    curve = height * gamma_variate(TIMES, arrival, rise)
    found = bolus_shape(curve[:, None].astype(np.float32), TIMES, bolus_of(curve))

    def through(share: float, low: float, high: float) -> float:
        return brentq(lambda t: gamma_variate(np.array([t]), arrival, rise)[0] - share, low, high)

    peak = arrival + rise
    low, high = through(0.2, arrival, peak), through(0.8, arrival, peak)
    half = through(0.5, peak, peak + 40) - through(0.5, arrival, peak)
    onset = low - (high - low) / 3 - TIMES[0]
    assert found.arrival[0] == pytest.approx(onset, abs=0.06)
    assert found.time_to_peak[0] == pytest.approx(peak - TIMES[0] - onset, abs=0.08)
    assert found.peak_height[0] == pytest.approx(height, rel=0.003)
    assert found.width[0] == pytest.approx(half, abs=0.06)


def test_a_triangle_is_measured_exactly() -> None:
    """Up from frame 10 to frame 14, down to frame 22, at uneven times after the peak."""
    times = np.concatenate([np.arange(15.0), 14 + 1.5 * np.arange(1, 16)])
    curve = np.interp(times, [10, 14, 26], [0, 8, 0])
    found = bolus_shape(np.stack([curve, 2 * curve], axis=1).astype(np.float32), times, Bolus(10, 14))
    np.testing.assert_allclose(found.arrival, 10, atol=0.2)
    np.testing.assert_allclose(found.width, 20 - 12, atol=0.25)
    np.testing.assert_allclose(found.peak_height / [8, 16], 1, atol=0.03)


def test_what_has_no_bolus_has_no_numbers() -> None:
    generator = np.random.default_rng(0)
    clear = 20 * gamma_variate(TIMES, 12, 4)
    curves = np.stack([np.zeros(80), -clear, clear], axis=1).astype(np.float32)
    curves[:, 0] += 0.1 * generator.standard_normal(80).astype(np.float32)
    found = bolus_shape(curves, TIMES, bolus_of(clear))
    for values in (found.arrival, found.time_to_peak, found.peak_height, found.width):
        assert np.isfinite(values).all()
        assert values[1] == 0
        assert values[2] > 0
    assert found.peak_height[0] < 1


def test_a_curve_that_does_not_fall_again_has_no_width() -> None:
    curve = 10 * np.clip((TIMES - 12) / 4, 0, 1)
    found = bolus_shape(curve[:, None].astype(np.float32), TIMES, Bolus(18, 26))
    assert found.width[0] == 0
    assert found.peak_height[0] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize(("late", "expected"), [(100.0, 100.0), (85.0, 75.0), (112.0, 120.0)])
def test_signal_recovery(late: float, expected: float) -> None:
    """From 100 down to 40, and up to the late level."""
    signal = np.full((60, 1), 100.0, np.float32)
    signal[20:25] = [[80], [60], [40], [60], [70]]
    signal[25:] = late
    found = signal_recovery(signal, np.array([100.0], np.float32), Bolus(19, 22))
    assert found[0] == pytest.approx(expected, rel=1e-5)


def test_signal_that_does_not_fall_has_no_recovery() -> None:
    signal = np.full((60, 1), 100.0, np.float32)
    assert signal_recovery(signal, np.array([100.0], np.float32), Bolus(19, 22))[0] == 0


@pytest.mark.parametrize("delay", [0.0, 1.0, 2.5, 4.0])
def test_tmax_is_the_delay_of_a_box(delay: float) -> None:
    """Plug flow through a vessel that is reached later: the residue function is highest when it begins."""
    interval = 1.0
    times = np.arange(60) * interval
    aif = 60 * gamma_variate(times, 8, 4)
    residue = np.exp(-((times - delay) ** 2) / 8)
    curve = 0.01 * interval * np.convolve(aif, residue)[:60]
    _, tmax = oscillation_index_flow(curve[:, None], aif, interval, workers=1)
    assert tmax[0] == pytest.approx(delay, abs=0.45)


def test_tissue_before_the_artery_has_a_tmax_of_0() -> None:
    times = np.arange(60) * 1.0
    aif, early = 60 * gamma_variate(times, 10, 4), 0.6 * gamma_variate(times, 6, 4)
    _, tmax = oscillation_index_flow(early[:, None], aif, 1.0, workers=1)
    assert tmax[0] == 0


def test_the_osipi_reference_object() -> None:
    """Curves without delay, CNR 200: blood volume by areas, flow by deconvolution, no Tmax beyond one frame.

    Truncated deconvolution is known to underestimate flow, the more the higher it is.
    """
    with open(shared_data("data/curves/osipi_dsc_dro.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        tissue, artery = (np.array(row[name].split(), dtype=float) for name in ("C_tis", "C_aif"))
        interval, cbv, cbf = (float(row[name]) for name in ("tr", "cbv", "cbf"))
        flow, tmax = oscillation_index_flow(tissue[:, None], artery, interval, workers=1)
        assert 100 * tissue.sum() / artery.sum() == pytest.approx(cbv, rel=0.2)
        assert 0.5 * cbf < 6000 * flow[0] < 1.35 * cbf
        assert tmax[0] <= 3 * interval
