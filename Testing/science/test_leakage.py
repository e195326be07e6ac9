"""Leakage correction on simulated leakage of known size."""

from __future__ import annotations

import numpy as np
import pytest

from science.synthetic import gamma_variate
from stunet_perfusion.kinetics.reference import correct_leakage, reference_cbv
from stunet_perfusion.kinetics.reference.leakage import does_not_enhance
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError

TIMES = 1.5 * np.arange(80)
ECHO_TIME = 0.03
#: Arrival at 20 s.
BASELINE = 13
AIF = 400 * gamma_variate(TIMES, 20.0, 5.0)
#: Delta R2* of healthy tissue of CBV 0.04.
HEALTHY = 0.04 * AIF


def series_of(delta_r2star: np.ndarray, noise: float = 0.0) -> DscSeries:
    """One row of voxels with these delta R2*, (T, V)."""
    signal = 500 * np.exp(-ECHO_TIME * delta_r2star)
    signal = signal + noise * np.random.default_rng(0).standard_normal(signal.shape)
    signal = signal[:, None, None, :].astype(np.float32)
    return DscSeries(signal, TIMES, Grid(signal.shape[1:], np.eye(4)), ECHO_TIME)


def passed(curve: np.ndarray) -> np.ndarray:
    """(T,) integral of a curve from the start, 1/s * s, by the trapezoidal rule."""
    return np.concatenate([[0], np.cumsum((curve[1:] + curve[:-1]) / 2 * np.diff(TIMES))])


def corrected(series: DscSeries):
    everywhere = np.ones(series.grid.shape, bool)
    cbv = reference_cbv(series, BASELINE, AIF)
    correction = correct_leakage(cbv, series, BASELINE, AIF, everywhere, BASELINE)
    return cbv[0, 0], correction.cbv[0, 0], correction.k2[0, 0], correction


def test_finds_k2_and_the_leak_free_cbv_of_the_model():
    """delta R2* = K1 Rbar - K2 int Rbar, word for word. K2 > 0 lowers CBV (T1), K2 < 0 raises it (T2*)."""
    k2 = np.array([0.02, 0.005, 0.0, 0.01])
    leaking = 3 * HEALTHY[:, None] - k2 * passed(HEALTHY)[:, None]
    series = series_of(np.concatenate([leaking, np.repeat(HEALTHY[:, None], 60, axis=1)], axis=1))
    before, after, found, correction = corrected(series)
    # The voxel without leakage has three times the blood and is one of the 61 that Rbar is the mean of.
    np.testing.assert_allclose(found[:4], k2 * 61 / 63, rtol=0.01, atol=1e-5)
    np.testing.assert_allclose(after[:4], 0.12, rtol=0.005)
    np.testing.assert_allclose(before[4:], after[4:], rtol=1e-3)
    assert before[0] < before[3] < before[1] < 0.99 * 0.12
    # Only the three whose signal ends above the baseline do not count as healthy.
    assert correction.not_enhancing == 61
    np.testing.assert_allclose(correction.rbar, (60 * HEALTHY + leaking[:, 2]) / 61, rtol=1e-3, atol=1e-3)


def spoiled_gradient_echo(r1: np.ndarray, repetition_time: float = 1.5, flip: float = np.deg2rad(60)) -> np.ndarray:
    """Steady-state signal for a relaxation rate in 1/s, without its T2* factor."""
    decay = np.exp(-repetition_time * r1)
    return (1 - decay) / (1 - np.cos(flip) * decay)


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_corrects_simulated_t1_and_t2star_leakage(noise):
    """Physical leakage: C_e = K_trans int C_p shortens T1 (1.5 s) of one tumor, T2* of another; both have CBV 0.1.

    Neither is the linear model: the signal saturates in C_e. Noise is that of SNR 100.
    """
    vascular = 0.1 * AIF
    # delta R2* of blood of 400 1/s is 4.6 mM at 87 1/s/mM; K_trans 0.1/min.
    extravascular = 0.1 / 60 * passed(AIF / 87)
    t1_factor = spoiled_gradient_echo(1 / 1.5 + 4.0 * extravascular) / spoiled_gradient_echo(np.array(1 / 1.5))
    t1_leak = vascular - np.log(t1_factor) / ECHO_TIME
    t2star_leak = vascular + 40.0 * extravascular
    curves = np.repeat(np.stack([t1_leak, t2star_leak], axis=1), 60, axis=1)
    healthy = np.repeat(HEALTHY[:, None], 6000, axis=1)
    before, after, k2, _ = corrected(series_of(np.concatenate([curves, healthy], axis=1), noise))
    t1, t2star, rest = slice(0, 60), slice(60, 120), slice(120, None)
    assert np.mean(before[t1]) < 0.8 * 0.1
    assert np.mean(before[t2star]) > 1.2 * 0.1
    assert np.mean(after[t1]) == pytest.approx(0.1, rel=0.05)
    assert np.mean(after[t2star]) == pytest.approx(0.1, rel=0.05)
    assert np.mean(after[rest]) == pytest.approx(0.04, rel=0.03)
    assert np.mean(k2[t1]) > 0.002
    assert np.mean(k2[t2star]) < -0.002
    assert abs(np.mean(k2[rest])) < 0.0005


def test_leaves_what_is_outside_the_mask_alone():
    series = series_of(np.stack([HEALTHY - 0.01 * passed(HEALTHY), HEALTHY, HEALTHY], axis=1))
    mask = np.array([[[False, True, True]]])
    cbv = reference_cbv(series, BASELINE, AIF)
    before = cbv.copy()
    correction = correct_leakage(cbv, series, BASELINE, AIF, mask, BASELINE)
    assert correction.cbv[0, 0, 0] == before[0, 0, 0]
    assert correction.k2[0, 0, 0] == 0
    np.testing.assert_array_equal(cbv, before)


def test_voxels_without_signal_stay_zero():
    series = series_of(np.stack([HEALTHY, HEALTHY, HEALTHY], axis=1))
    series.signal[..., 0] = 0
    _, after, k2, correction = corrected(series)
    assert after[0] == 0
    assert k2[0] == 0
    assert correction.not_enhancing == 2


def test_enhancement_is_judged_by_the_noise_of_the_baseline():
    """Baseline 90, 100, 110 (mean 100, standard deviation 10): late frames up to 110 do not enhance."""
    late = np.array([60.0, 100.0, 109.9, 110.1, 150.0])
    signal = np.concatenate([np.repeat([[90.0], [100.0], [110.0]], 5, axis=1), np.repeat(late[None], 10, axis=0)])
    np.testing.assert_array_equal(does_not_enhance(signal, 3), [True, True, True, False, False])


def test_refuses_when_everything_enhances():
    series = series_of(np.repeat((HEALTHY - 0.1 * passed(HEALTHY))[:, None], 5, axis=1))
    with pytest.raises(InputError, match="does not enhance"):
        corrected(series)


def test_refuses_a_baseline_without_noise_estimate():
    series = series_of(np.repeat(HEALTHY[:, None], 5, axis=1))
    everywhere = np.ones(series.grid.shape, bool)
    with pytest.raises(InputError, match="too few"):
        correct_leakage(np.zeros(series.grid.shape, np.float32), series, 1, AIF, everywhere, 2)
