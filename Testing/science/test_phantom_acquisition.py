"""The phantom's scanner: steady state, approach to it, signal equation and Rician noise, against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from stunet_perfusion.phantom import Protocol, random_protocol
from stunet_perfusion.phantom.acquisition import add_noise, baseline, relaxation, signal_of_slice, steady_state
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.support.errors import InputError

QUIET = Protocol(drift=0.0)


def pure(tissue: Tissue) -> np.ndarray:
    """(tissues, 1, 2, 2) shares: nothing but one tissue."""
    fractions = np.zeros((len(Tissue), 1, 2, 2), dtype=np.float32)
    fractions[tissue] = 1
    return fractions


def scan(delta_r2_star: np.ndarray, protocol: Protocol = QUIET) -> np.ndarray:
    """Signal (T,) of one voxel of cortex."""
    before = baseline(pure(Tissue.CORTEX), np.ones((1, 2, 2), np.float32), protocol)
    change = np.broadcast_to(delta_r2_star.astype(np.float32)[:, None, None], (len(delta_r2_star), 2, 2))
    nowhere = np.zeros((2, 2), dtype=bool)
    leaked = np.zeros((len(change), 0), np.float32)
    return signal_of_slice(change, leaked, nowhere, before, 0, protocol)[:, 0, 0]


def test_steady_state_is_where_the_bloch_recursion_ends():
    t1, protocol = 1.33, QUIET
    decay, longitudinal = np.exp(-protocol.repetition_time / t1), 1.0
    for _ in range(200):
        transverse = longitudinal * np.sin(protocol.flip)
        longitudinal = longitudinal * np.cos(protocol.flip) * decay + 1 - decay
    assert steady_state(1 / t1, protocol) == pytest.approx(transverse, rel=1e-12)


def test_first_frames_follow_the_bloch_recursion():
    t1 = relaxation(Tissue.CORTEX, QUIET)[0]
    decay, longitudinal, expected = np.exp(-QUIET.repetition_time / t1), 1.0, []
    for _ in range(20):
        expected.append(longitudinal * np.sin(QUIET.flip))
        longitudinal = longitudinal * np.cos(QUIET.flip) * decay + 1 - decay
    signal = scan(np.zeros(20))
    np.testing.assert_allclose(signal / signal[-1], np.array(expected) / expected[-1], rtol=1e-3)
    assert 1.05 < signal[0] / signal[-1] < 1.25
    assert signal[1] / signal[-1] < 1.05


def test_logarithm_of_the_signal_is_minus_te_times_delta_r2_star():
    relaxation_rate = np.concatenate([np.zeros(10), np.linspace(0, 60, 30)])
    signal = scan(relaxation_rate)
    np.testing.assert_allclose(-np.log(signal[10:] / signal[9]) / QUIET.echo_time, relaxation_rate[10:], atol=2e-3)


def test_leaked_agent_brightens_by_the_ratio_of_steady_states():
    before = baseline(pure(Tissue.TUMOR_RIM), np.ones((1, 2, 2), np.float32), QUIET)
    everywhere = np.ones((2, 2), dtype=bool)
    faster = 0.8  # 1/s
    signal = signal_of_slice(
        np.zeros((20, 2, 2), np.float32), np.full((20, 4), faster, np.float32), everywhere, before, 0, QUIET
    )
    t1 = relaxation(Tissue.TUMOR_RIM, QUIET)[0]
    expected = steady_state(1 / t1 + faster, QUIET) / steady_state(1 / t1, QUIET)
    assert expected > 1.1
    np.testing.assert_allclose(signal[10] / before.signal[0], expected, rtol=1e-5)


def test_after_a_preload_the_same_agent_brightens_less():
    brightening = []
    for preloaded in (0.0, 0.45):
        before = baseline(pure(Tissue.TUMOR_RIM), np.ones((1, 2, 2), np.float32), QUIET, preloaded)
        everywhere, still = np.ones((2, 2), dtype=bool), np.zeros((20, 2, 2), np.float32)
        signal = signal_of_slice(still, np.full((20, 4), 0.8, np.float32), everywhere, before, 0, QUIET)
        brightening.append(signal[10, 0, 0] / before.signal[0, 0, 0])
    r1 = 1 / relaxation(Tissue.TUMOR_RIM, QUIET)[0] + 0.45
    assert brightening[1] == pytest.approx(steady_state(r1 + 0.8, QUIET) / steady_state(r1, QUIET), rel=1e-5)
    assert brightening[1] - 1 < 0.5 * (brightening[0] - 1)


def test_noise_is_rician_strong_signal():
    noisy = add_noise(np.full(400_000, 500.0, np.float32), 8.0, np.random.default_rng(1))
    assert noisy.mean() == pytest.approx(500 + 8**2 / (2 * 500), abs=0.05)
    assert noisy.std() == pytest.approx(8.0, rel=0.01)


def test_noise_is_rician_weak_signal():
    level, strength = 10.0, 12.0
    noisy = add_noise(np.full(400_000, strength, np.float32), level, np.random.default_rng(2))
    half = strength**2 / (4 * level**2)
    laguerre = np.exp(-half) * ((1 + 2 * half) * special.i0(half) + 2 * half * special.i1(half))
    mean = level * np.sqrt(np.pi / 2) * laguerre
    assert noisy.mean() == pytest.approx(mean, rel=0.005)
    assert noisy.var() == pytest.approx(2 * level**2 + strength**2 - mean**2, rel=0.02)


def test_noise_without_signal_is_rayleigh():
    noisy = add_noise(np.zeros(400_000, np.float32), 5.0, np.random.default_rng(3))
    assert noisy.mean() == pytest.approx(5 * np.sqrt(np.pi / 2), rel=0.005)


def test_random_protocols_are_usual_and_long_enough():
    drawn = [random_protocol(np.random.default_rng(seed)) for seed in range(200)]
    for protocol in drawn:
        assert 60 <= protocol.frames <= 121
        assert 1.0 <= protocol.repetition_time <= 2.0
        assert 0.020 <= protocol.echo_time <= 0.045
        assert 40 <= protocol.temporal_snr <= 110
        assert protocol.arrival >= 10 * protocol.repetition_time  # a baseline, after the unsteady frames
        assert protocol.frames * protocol.repetition_time >= protocol.arrival + 42
    assert {protocol.field for protocol in drawn} == {1.5, 3.0}


def test_impossible_protocols_are_refused():
    with pytest.raises(InputError, match="7 T"):
        replace(QUIET, field=7.0)
    with pytest.raises(InputError, match="slice thickness"):
        replace(QUIET, slice_thickness=6.0)
