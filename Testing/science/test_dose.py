"""Dose simulation against closed forms and against ensembles of really scanned low doses."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from science.synthetic import gamma_variate, make_series
from stunet_perfusion.dose.simulate import (
    METHODS,
    centered_mean,
    moving_average,
    simulate_dose,
    simulate_slice,
)
from stunet_perfusion.kinetics.concentration import baseline_signal, concentration
from stunet_perfusion.support.errors import InputError

ECHO_TIME = 0.03
BASELINE = 10


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mono_exponential(peak_drop: float, frames: int = 60, dose: float = 1.0) -> np.ndarray:
    """(T,) S(t) = 1000 exp(-d TE delta R2*(t)), whose lowest value at full dose is `peak_drop` below 1000."""
    times = 1.5 * np.arange(frames)
    first_pass = gamma_variate(times, 15.0, 6.0)
    first_pass /= first_pass.max()
    return 1000 * np.exp(dose * np.log(1 - peak_drop) * first_pass)


def scanned(clean: np.ndarray, voxels: int, noise: float, seed: int) -> np.ndarray:
    """(T, voxels) float32: magnitude of the signal with complex normal noise, as a scanner gives it."""
    real, imaginary = noise * generator(seed).standard_normal((2, len(clean), voxels))
    return np.hypot(clean[:, None] + real, imaginary).astype(np.float32)


def relative_cbv(signal: np.ndarray) -> np.ndarray:
    return concentration(signal, baseline_signal(signal, BASELINE), ECHO_TIME).sum(axis=0, dtype=np.float64)


# --- Equation 1 ------------------------------------------------------------------------------------------------------


def test_moving_average_is_the_mean_over_the_window():
    signal = generator().random((9, 3)).astype(np.float32)
    # Beyond the ends stand the frames before them: the first and the last frame are mirrors.
    whole = np.concatenate([signal[2:0:-1], signal, signal[-2:-4:-1]])
    expected = [whole[i : i + 5].mean(axis=0) for i in range(9)]
    np.testing.assert_allclose(moving_average(signal, 5), expected, rtol=1e-6)
    np.testing.assert_allclose(moving_average(signal, 5)[0], (signal[0] + 2 * signal[1] + 2 * signal[2]) / 5, rtol=1e-6)


@settings(deadline=None)
@given(frames=st.integers(2, 12), window=st.sampled_from([1, 3, 5, 7]), seed=st.integers(0, 99))
def test_moving_average_is_that_of_scipy(frames, window, seed):
    """Wherever the series is as long as half a window."""
    signal = generator(seed).random((frames, 3)).astype(np.float32)
    half = min(window // 2, frames - 1)
    expected = ndimage.uniform_filter1d(signal, 2 * half + 1, axis=0, mode="mirror")
    np.testing.assert_allclose(moving_average(signal, window), expected, rtol=1e-5)


def test_all_frames_of_the_moving_average_at_once_are_each_of_them_alone():
    """Bit for bit: a preview computes one frame, a case all."""
    signal = generator().normal(500, 90, (30, 5, 4)).astype(np.float32)
    for window in (1, 3, 5, 9):
        alone = [centered_mean(signal, frame, window) for frame in range(len(signal))]
        np.testing.assert_array_equal(moving_average(signal, window), alone)


def test_moving_average_returns_a_slope_as_it_is_away_from_the_ends():
    ramp = (100 + 3.5 * np.arange(20, dtype=np.float32))[:, None]
    for window in (1, 3, 5, 7):
        inner = np.s_[window // 2 : 20 - window // 2]
        np.testing.assert_allclose(moving_average(ramp, window)[inner], ramp[inner], rtol=1e-6)


def test_the_first_frame_keeps_the_noise_that_a_whole_window_leaves_it():
    """Of white noise of 1, at a quarter of the dose: 1 - 0.75 (1/5) of its own, and twice 0.75 (2/5) of two others."""
    noise = 1000 + generator().standard_normal((40, 20_000)).astype(np.float32)
    low = simulate_slice(noise[:, None], BASELINE, 0.25, "equation1", generator())[0, 0]
    low = low - 0.75 * noise[:BASELINE].mean(axis=0)
    assert low.std() == pytest.approx(np.sqrt(0.85**2 + 2 * 0.3**2), rel=0.02)


@pytest.mark.parametrize("dose", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("slope", [-4.0, 0.0, 7.0])
def test_equation1_of_a_ramp(dose, slope):
    # Sbar = S, so that S_d = S - (1 - d) (S - S(0)) = d S + (1 - d) S(0)
    ramp = (500 + slope * np.arange(40, dtype=np.float32))[:, None, None] * np.ones((1, 2, 3), np.float32)
    expected = dose * ramp + (1 - dose) * ramp[:BASELINE].mean(axis=0)
    inner = np.s_[2:-2]  # beyond it the average sees a mirrored ramp, which is none
    found = simulate_slice(ramp, BASELINE, dose, "equation1", generator())
    np.testing.assert_allclose(found[inner], expected[inner], rtol=2e-6)


@pytest.mark.parametrize("window", [3, 5, 9])
def test_equation1_word_by_word(window):
    signal = scanned(mono_exponential(0.4), 7, 15.0, 1)
    dose, half = 0.25, window // 2
    for t in range(half, len(signal) - half):
        mean = signal[t - half : t + half + 1].astype(float).mean(axis=0)
        expected = signal[t] - (1 - dose) * (mean - signal[:BASELINE].astype(float).mean(axis=0))
        result = simulate_slice(signal, BASELINE, dose, "equation1", generator(), window)
        np.testing.assert_allclose(result[t], expected, rtol=1e-5)


@given(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.05, 1))
@settings(max_examples=30, deadline=None)
def test_equation1_is_linear(a, b, dose):
    first, second = (scanned(mono_exponential(drop), 5, 10.0, 2).astype(np.float32) for drop in (0.3, 0.6))
    mixed = np.float32(a) * first + np.float32(b) * second
    one, two, both = (simulate_slice(s, BASELINE, dose, "equation1", generator()) for s in (first, second, mixed))
    np.testing.assert_allclose(both, a * one + b * two, rtol=1e-4)


@pytest.mark.parametrize(("lowest", "bias"), [(0.78, -0.06), (0.40, -0.22)])
def test_equation1_biases_the_peak_even_without_smoothing(lowest, bias):
    # -ln(1 - d (1 - s)) against -d ln s at d = 0.5: gray matter with s = 0.78 and an artery with s = 0.40
    signal = mono_exponential(1 - lowest).astype(np.float32)[:, None]
    low = simulate_slice(signal, BASELINE, 0.5, "equation1", generator(), window=1)
    full = concentration(signal, signal[0], ECHO_TIME).max()
    half = concentration(low, low[0], ECHO_TIME).max()
    assert half / (0.5 * full) - 1 == pytest.approx(bias, abs=0.005)


# --- noise-matched ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dose", [0.05, 0.25, 0.5, 0.75, 0.999])
@pytest.mark.parametrize("drop", [0.1, 0.35, 0.8])
def test_noise_matched_is_exact_without_noise(dose, drop):
    signal = mono_exponential(drop).astype(np.float32)[:, None, None]
    low = simulate_slice(signal, BASELINE, dose, "noise-matched", generator())
    np.testing.assert_allclose(low[:, 0, 0], mono_exponential(drop, dose=dose), rtol=3e-6)


@pytest.mark.parametrize("dose", [0.25, 0.5, 0.75])
def test_noise_of_every_frame_is_that_of_a_low_dose_scan(dose):
    # Beside sigma^2, S0 brings the noise of a mean over the baseline with it. To first order, relative to sigma^2:
    # 1 + (1 - d^2) / n in the baseline, 1 + (1 - d)^2 (S_d/S0)^2 / n after it. The standard deviation of 20 000
    # voxels is known to 0.5 %; 2 % are four times that.
    sigma, voxels = 20.0, 20_000
    low = simulate_slice(
        scanned(mono_exponential(0.25), voxels, sigma, 3), BASELINE, dose, "noise-matched", generator()
    )
    relative = mono_exponential(0.25, dose=dose) / 1000
    excess = (1 - dose) ** 2 * relative**2 / BASELINE
    excess[:BASELINE] = (1 - dose**2) / BASELINE
    np.testing.assert_allclose(low.std(axis=1, dtype=float), sigma * np.sqrt(1 + excess), rtol=0.02)


@pytest.mark.parametrize("dose", [0.25, 0.5])
@pytest.mark.parametrize("signal_to_noise", [40, 100])
def test_noise_matched_cbv_has_the_noise_and_the_mean_of_a_low_dose_scan(dose, signal_to_noise):
    # Two standard deviations of 20 000 voxels each: their ratio is known to 0.7 %, and 3 % are four times that.
    sigma, voxels = 1000 / signal_to_noise, 20_000
    full = scanned(mono_exponential(0.25), voxels, sigma, 4)
    real = relative_cbv(scanned(mono_exponential(0.25, dose=dose), voxels, sigma, 5))
    simulated = relative_cbv(simulate_slice(full, BASELINE, dose, "noise-matched", generator(6)))
    assert simulated.std() / real.std() == pytest.approx(1, abs=0.03)
    assert simulated.mean() == pytest.approx(real.mean(), abs=4 * 1.5 * real.std() / np.sqrt(voxels))


@pytest.mark.parametrize(("dose", "least", "most"), [(0.5, 1.75, 2.0), (0.25, 2.6, 3.5)])
def test_equation1_understates_the_noise_of_cbv(dose, least, most):
    # Sums over time hardly see the moving average: the noise of Equation 1's CBV would be d times that of the full
    # dose, while a real scan's stays. The frames at both ends of the baseline, where the average looks beyond it,
    # bring the factor from 1/d = 2 and 4 down to about 1.9 and 3.
    sigma, voxels = 20.0, 20_000
    full = scanned(mono_exponential(0.35), voxels, sigma, 7)
    real = relative_cbv(scanned(mono_exponential(0.35, dose=dose), voxels, sigma, 8))
    simulated = relative_cbv(simulate_slice(full, BASELINE, dose, "equation1", generator()))
    assert least < real.std() / simulated.std() < most


@pytest.mark.parametrize("dose", [0.5, 0.25])
def test_weak_bolus_limit_of_equation1(dose):
    # For a weak bolus CBV is w n, with w = 1 - T/b in the b frames of the baseline and 1 after it, and Equation 1 is
    # the matrix I - (1 - d) (A - B) of averages over the window and over the baseline.
    frames = 60
    average, base = np.zeros((2, frames, frames))
    for t in range(frames):
        for other in range(t - 2, t + 3):
            average[t, abs(other) if other < frames else 2 * (frames - 1) - other] += 1 / 5
    base[:, :BASELINE] = 1 / BASELINE
    weights = np.ones(frames)
    weights[:BASELINE] -= frames / BASELINE
    expected = np.linalg.norm(weights) / np.linalg.norm(weights @ (np.eye(frames) - (1 - dose) * (average - base)))
    full = scanned(mono_exponential(0.02), 20_000, 10.0, 9)
    real = relative_cbv(scanned(mono_exponential(0.02, dose=dose), 20_000, 10.0, 10))
    simulated = relative_cbv(simulate_slice(full, BASELINE, dose, "equation1", generator()))
    assert real.std() / simulated.std() == pytest.approx(expected, rel=0.03)


def test_no_noise_is_added_where_the_low_dose_has_enough():
    # g = d (S/S0)^(d-1) >= 1 where S/S0 <= d^(1/(1-d)), a quarter at half dose: there S_d is S0 (S/S0)^d alone
    signal = scanned(mono_exponential(0.9), 50, 20.0, 11)
    baseline = baseline_signal(signal, BASELINE)
    low = simulate_slice(signal, BASELINE, 0.5, "noise-matched", generator())
    deep = signal / baseline < 0.25
    assert deep.any()
    assert not deep.all()
    scaled = np.sqrt(signal.astype(float) * baseline)
    np.testing.assert_allclose(low[deep], scaled[deep], rtol=1e-5)
    assert np.mean(np.abs(low - scaled)[~deep] > 1e-3) > 0.99


# --- both ------------------------------------------------------------------------------------------------------------


@given(
    hnp.arrays(np.float32, (16, 3, 2), elements=st.floats(-100, 65504, width=32)),
    st.sampled_from(METHODS),
    st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_full_dose_is_the_signal_bit_for_bit(signal, method, seed):
    result = simulate_slice(signal, 5, 1.0, method, generator(seed))
    assert result.tobytes() == signal.tobytes()
    assert not np.shares_memory(result, signal)


@given(
    hnp.arrays(
        np.float32,
        (16, 2, 2),
        elements=st.one_of(
            st.just(0.0),
            st.floats(-100, 65504, width=32),
            st.floats(0, 2**40, width=32),
            st.just(1.401298464324817e-45),
        ),
    ),
    st.sampled_from(METHODS),
    st.floats(0.01, 1, exclude_max=True),
)
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("error")
def test_the_result_is_finite_and_never_negative(signal, method, dose):
    result = simulate_slice(signal, 5, dose, method, generator())
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert (result >= 0).all()


def test_voxels_without_baseline_or_signal():
    signal = np.full((20, 1, 3), 100, np.float32)
    signal[:, 0, 0] = 0  # air
    signal[:8, 0, 1] = 0  # no baseline, signal later
    signal[12, 0, 2] = 0  # all signal gone in one frame
    low = simulate_slice(signal, 8, 0.5, "noise-matched", generator())
    assert np.array_equal(low[:, 0, :2], signal[:, 0, :2])
    assert low[12, 0, 2] == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_slice_alone_equals_the_slice_of_the_whole(method):
    series = make_series(shape=(5, 24, 20), noise=10.0)
    whole = simulate_dose(series, 9, 0.5, method, seed=7)
    for z in (0, 3, 4):
        alone = simulate_slice(series.signal[:, z], 9, 0.5, method, np.random.default_rng([7, z]))
        assert np.array_equal(alone, whole.signal[:, z])


@given(st.integers(0, 2**31), st.floats(0.05, 0.95))
@settings(max_examples=20, deadline=None)
def test_the_seed_decides_the_noise(seed, dose):
    series = make_series(frames=20, shape=(2, 12, 10), arrival=8.0, noise=10.0)
    once, again, other = (
        simulate_dose(series, 5, dose, "noise-matched", seed=s).signal for s in (seed, seed, seed + 1)
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


@given(st.floats(1e-3, 1e3), st.sampled_from(METHODS), st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_scaling_the_signal_scales_the_result(factor, method, dose):
    signal = scanned(mono_exponential(0.4), 6, 15.0, 12)
    one = simulate_slice(signal, BASELINE, dose, method, generator())
    scaled = simulate_slice(signal * np.float32(factor), BASELINE, dose, method, generator())
    np.testing.assert_allclose(scaled, one * np.float32(factor), rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_in_place_gives_the_same_in_the_memory_of_the_series(method):
    series, same = (make_series(shape=(3, 24, 20), noise=10.0) for _ in range(2))
    before = series.signal.copy()
    expected = simulate_dose(series, 9, 0.5, method)
    assert np.array_equal(series.signal, before)
    result = simulate_dose(same, 9, 0.5, method, in_place=True)
    assert np.shares_memory(result.signal, same.signal)
    assert np.array_equal(result.signal, expected.signal)
    assert f"0.5 of the dose ({method})" in result.notes[-1]
    assert result.echo_time == series.echo_time


def test_in_place_needs_the_memory_of_a_few_slices():
    series = make_series(frames=40, shape=(32, 64, 64))
    for method in METHODS:
        tracemalloc.start()
        simulate_dose(series, 9, 0.5, method, in_place=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * series.signal[:, 0].nbytes


def test_full_dose_is_the_series_itself():
    series = make_series()
    assert simulate_dose(series, 9, 1.0, "noise-matched") is series


@pytest.mark.parametrize("dose", [0.0, -0.5, 1.0001, 2, float("nan"), float("inf")])
def test_a_dose_that_is_none(dose):
    with pytest.raises(InputError, match=r"^dose: .* is not in \(0, 1\]; give"):
        simulate_dose(make_series(), 9, dose)


def test_other_arguments_that_are_none():
    signal = scanned(mono_exponential(0.3), 2, 10.0, 0)
    with pytest.raises(InputError, match="there is no method 'half'; choose equation1 or noise-matched"):
        simulate_slice(signal, 5, 0.5, "half", generator())
    with pytest.raises(InputError, match="4 frames have no middle one"):
        simulate_slice(signal, 5, 0.5, "equation1", generator(), window=4)
    with pytest.raises(InputError, match="1 frame tells nothing about the noise"):
        simulate_slice(signal, 1, 0.5, "noise-matched", generator())
    with pytest.raises(InputError, match="0 frames of 60 make no baseline"):
        simulate_slice(signal, 0, 0.5, "equation1", generator())
