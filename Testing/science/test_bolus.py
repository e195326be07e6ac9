"""Unsteady frames, baseline, arrival and peak on mean curves whose every number is chosen here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from science.synthetic import gamma_variate
from stunet_perfusion.preprocessing.bolus import Bolus, count_unsteady_frames, find_bolus
from stunet_perfusion.support.errors import InputError

ARTERIAL_ARRIVAL = 20.0


def brain_curve(
    frames: int = 60,
    frame_interval: float = 1.5,
    *,
    arrival: float = ARTERIAL_ARRIVAL,
    drop: float = 0.3,
    noise: float = 0.0,
    excess: tuple[float, ...] = (),
    seed: int = 0,
) -> np.ndarray:
    """Mean signal of a brain, 1000 before the bolus.

    An arterial first pass that peaks 4.5 s after `arrival` goes through tissue with a mean transit time of 5 s; a
    twelfth of the peak stays. The first frames lie above the steady state by `excess`.
    """
    fine = np.arange(0, frames * frame_interval, 0.05)
    artery = gamma_variate(fine, arrival, 4.5)
    tissue = np.convolve(artery, np.exp(-fine / 5.0))[: len(fine)]
    tissue = tissue / tissue.max() + np.cumsum(artery) / artery.sum() / 12
    signal = 1000 * np.exp(np.log(1 - drop) * np.interp(np.arange(frames) * frame_interval, fine, tissue))
    signal[: len(excess)] *= 1 + np.array(excess)
    return signal * (1 + noise * np.random.default_rng(seed).standard_normal(frames))


@pytest.mark.parametrize("excess", [(), (0.23,), (0.2, 0.05), (0.22, 0.09, 0.03)])
@pytest.mark.parametrize(("frames", "frame_interval"), [(24, 3.0), (50, 2.0), (60, 1.5), (150, 0.5)])
@pytest.mark.parametrize("drop", [0.3, 0.075])
def test_every_unsteady_frame_is_counted_and_no_other(excess, frames, frame_interval, drop):
    # 7.5 % is the drop at a quarter dose: a third of the excess of the first frame
    curve = brain_curve(frames, frame_interval, excess=excess, drop=drop)
    assert count_unsteady_frames(curve) == len(excess)


@given(
    frame_interval=st.floats(0.5, 2.5),
    noise=st.floats(0.0, 0.01),
    drop=st.floats(0.15, 0.4),
    first=st.floats(0.12, 0.23),
    unsteady=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_frames_far_above_the_noise_are_counted(frame_interval, noise, drop, first, unsteady, seed):
    # excess of at least 12 standard deviations in frame 0, and of 7 % in frame 1
    excess = (first, 0.07)[:unsteady]
    curve = brain_curve(int(75 / frame_interval), frame_interval, excess=excess, drop=drop, noise=noise, seed=seed)
    counted = count_unsteady_frames(curve)
    assert min(unsteady, 1) <= counted
    if noise < 0.005:
        # One frame more is possible where noise lifts it by four standard deviations
        assert unsteady <= counted <= unsteady + 1


def test_noise_alone_is_rarely_taken_for_a_transient():
    # 4 standard deviations: of 300 curves, one or two by chance; 2 % are allowed for
    counts = [count_unsteady_frames(brain_curve(noise=0.02, seed=seed)) for seed in range(300)]
    assert np.count_nonzero(counts) <= 6


def test_a_bolus_in_the_first_frames_is_not_taken_for_a_transient():
    for arrival in (0.0, 1.5, 3.0):
        assert count_unsteady_frames(brain_curve(arrival=arrival)) == 0


def test_one_unsteady_frame_before_an_early_bolus():
    curve = brain_curve(arrival=7.0, excess=(0.22,))
    assert count_unsteady_frames(curve) == 1
    assert find_bolus(curve[1:], "early").arrival >= 3


def test_slow_drift_is_not_taken_for_a_transient():
    curve = brain_curve() * np.linspace(1.01, 0.99, 60)
    assert count_unsteady_frames(curve) == 0


@pytest.mark.parametrize(("frames", "frame_interval"), [(24, 3.0), (50, 2.0), (60, 1.5), (90, 1.0), (150, 0.5)])
@pytest.mark.parametrize("drop", [0.35, 0.075])
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_arrival_is_that_of_the_arteries_and_peak_the_lowest_signal(frames, frame_interval, drop, noise):
    clean = brain_curve(frames, frame_interval, drop=drop)
    bolus = find_bolus(brain_curve(frames, frame_interval, drop=drop, noise=noise), "brain")
    # Noise of 0.2 % hides the first 0.6 % of the drop, which at a quarter dose is 8 % of it: one second more
    late = 0.0 if noise == 0 else 1.5
    assert -3.0 <= bolus.arrival * frame_interval - ARTERIAL_ARRIVAL <= max(frame_interval, 1.0) + late
    assert abs(bolus.peak - int(np.argmin(clean))) * frame_interval <= max(frame_interval, 1.5)


def test_no_contrast_in_the_baseline():
    for frame_interval in (0.5, 1.0, 1.5, 2.0, 3.0):
        frames = int(75 / frame_interval)
        bolus = find_bolus(brain_curve(frames, frame_interval), "brain")
        times = np.arange(frames) * frame_interval
        artery = gamma_variate(times, ARTERIAL_ARRIVAL, 4.5)
        assert artery[: bolus.arrival].max() < 0.1, frame_interval


def test_one_spoilt_frame_is_not_the_bolus():
    curve = brain_curve(drop=0.25)
    curve[50] *= 0.7
    assert find_bolus(curve, "moved").peak < 30


@given(st.floats(1e-3, 1e5), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_the_unit_of_the_signal_does_not_matter(factor, seed):
    curve = brain_curve(noise=0.003, excess=(0.2,), seed=seed)
    assert count_unsteady_frames(curve * factor) == count_unsteady_frames(curve)
    assert find_bolus(curve[1:] * factor, "brain") == find_bolus(curve[1:], "brain")


@pytest.mark.parametrize("frames", [16, 30, 60, 150])
def test_noise_is_no_bolus(frames):
    for seed in range(50):
        curve = 1000 * (1 + 0.003 * np.random.default_rng(seed).standard_normal(frames))
        with pytest.raises(InputError, match="no contrast bolus"):
            find_bolus(curve, "resting.nii.gz")


def test_a_constant_curve_is_no_bolus():
    assert count_unsteady_frames(np.full(40, 500.0)) == 0
    with pytest.raises(InputError, match=r"resting\.nii\.gz: shows no contrast bolus.*; give"):
        find_bolus(np.full(40, 500.0), "resting.nii.gz")


@pytest.mark.parametrize("arrival", [-8.0, -4.0, 0.0, 1.0])
def test_bolus_cut_off_at_the_start(arrival):
    with pytest.raises(InputError, match=r"late\.nii\.gz: cuts the bolus off at the start.*; give"):
        find_bolus(brain_curve(arrival=arrival), "late.nii.gz")


@pytest.mark.parametrize("frames", [17, 18, 19, 20])
def test_bolus_cut_off_at_the_end(frames):
    # arrival in frame 13, lowest signal in frame 18
    with pytest.raises(InputError, match=r"short\.nii\.gz: cuts the bolus off at the end.*; give"):
        find_bolus(brain_curve()[:frames], "short.nii.gz")


def test_a_first_pass_without_tail_is_enough():
    # two thirds of the drop are made up 15 s after the arrival at the lowest signal
    assert find_bolus(brain_curve()[:28], "first pass") == find_bolus(brain_curve(), "complete")


def test_bolus_is_a_plain_value():
    assert Bolus(5, 9) == Bolus(arrival=5, peak=9)
