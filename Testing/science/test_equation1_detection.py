"""The share of the dose that Equation 1 has kept, read from noise that is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from science.damaged_series import make_head
from science.synthetic import head_of, make_series
from stunet_perfusion.curve_fit.curve_noise import brain_noise_covariance
from stunet_perfusion.curve_fit.equation1_detection import (
    correlations_after,
    dose_from_noise,
    notes_on_equation1,
    undo_equation1,
)
from stunet_perfusion.curve_fit.noise_covariance import RUN
from stunet_perfusion.dose.simulate import simulate_dose, simulate_slice
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.scan import prepare_scan

SHAPE = (3, 56, 52)


def noisy_brain(seed: int, blur: float = 0.0, body: float = 0.0, peak: float = 40.0) -> PreparedSeries:
    """A brain with white noise of 1 % of its brightest signal, smoothed over neighbors by `blur` voxels; the body adds
    noise of `body` times that, which lasts over frames and over the whole slice."""
    series = make_series(frames=80, shape=SHAPE, peak=peak)
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(series.signal.shape)
    if blur:
        noise = ndimage.gaussian_filter(noise, (0, 0, blur, blur), mode="wrap")
    noise /= noise.std()
    course = np.zeros(len(noise))
    for frame, step in enumerate(generator.standard_normal(len(noise))):
        course[frame] = 0.6 * course[frame - 1] + 0.8 * step
    series.signal[...] += 6.0 * (noise + body * course[:, None, None, None])
    return PreparedSeries(series, head_of(SHAPE), Bolus(10, 14), 0)


def share_of(prepared: PreparedSeries) -> float:
    return dose_from_noise(brain_noise_covariance(prepared))


def at_dose(prepared: PreparedSeries, dose: float, method: str = "equation1") -> PreparedSeries:
    return replace(prepared, series=simulate_dose(prepared.series, prepared.bolus.arrival, dose, method))


def test_correlations_of_white_noise_after_equation_1_in_closed_form():
    """At half the dose a frame's own weight is 0.9, and that of the two before and after it -0.1 each."""
    variance = 0.9**2 + 4 * 0.1**2
    known = [2 * 0.1**2 - 2 * 0.9 * 0.1, 0.1**2 - 2 * 0.9 * 0.1, 2 * 0.1**2, 0.1**2]
    np.testing.assert_allclose(correlations_after(0.5), np.array(known) / variance)
    np.testing.assert_allclose(correlations_after(1.0), 0, atol=1e-15)


@settings(deadline=None, max_examples=20)
@given(dose=st.floats(0.1, 1.0), seed=st.integers(0, 999))
def test_those_correlations_are_what_the_simulation_makes(dose, seed):
    noise = 1000 + np.random.default_rng(seed).standard_normal((60, 40, 400)).astype(np.float32)
    lowered = simulate_slice(noise, 10, dose, "equation1", np.random.default_rng(0))[10:-10]
    # S0 is the same in all frames, and no part of the noise that runs from frame to frame.
    lowered -= np.float32(1 - dose) * noise[:10].mean(axis=0)
    seen = [np.corrcoef(lowered[lag:].ravel(), lowered[: len(lowered) - lag].ravel())[0, 1] for lag in range(1, 5)]
    np.testing.assert_allclose(seen, correlations_after(dose), atol=0.01)


@settings(deadline=None, max_examples=20)
@given(
    dose=st.floats(0.1, 1.0), blur=st.sampled_from([0.0, 0.4, 0.7]), body=st.floats(0.0, 1.0), seed=st.integers(0, 99)
)
def test_the_share_is_read_from_the_noise(dose, blur, body, seed):
    """Whatever filter the scanner has and whatever the body adds."""
    assert share_of(at_dose(noisy_brain(seed, blur, body), dose)) == pytest.approx(dose, abs=0.08)


@pytest.mark.parametrize("dose", [1.0, 0.5, 0.25])
def test_a_scan_bears_no_trace_whatever_was_injected(dose):
    """Nor does the noise-matched simulation, which adds the noise of a scan."""
    scanned = noisy_brain(3, 0.4, 0.5, peak=40.0 * dose)
    assert share_of(scanned) == 1.0
    assert share_of(at_dose(noisy_brain(3, 0.4, 0.5), dose, "noise-matched")) == 1.0


def test_where_there_is_no_noise_nothing_is_told():
    assert dose_from_noise(np.zeros((RUN, 6))) == 1.0


@settings(deadline=None, max_examples=25)
@given(dose=st.floats(0.1, 1.0), baseline_frames=st.integers(1, 12), frames=st.integers(12, 90))
def test_equation_1_takes_no_information_away(dose, baseline_frames, frames):
    """It is undone to rounding, wherever no signal was cut at 0."""
    generator = np.random.default_rng(0)
    signal = 1000 + generator.uniform(-300, 300, (frames, 3, 4)).astype(np.float32)
    lowered = simulate_slice(signal, baseline_frames, dose, "equation1", generator)
    np.testing.assert_allclose(undo_equation1(lowered, baseline_frames, dose), signal, rtol=1e-4)
    assert undo_equation1(signal, baseline_frames, 1.0) is signal


@pytest.mark.parametrize(("dose", "method", "told"), [(0.5, "equation1", 1), (0.5, "noise-matched", 0), (1.0, "", 0)])
def test_a_simulation_is_not_taken_for_a_scan(dose, method, told):
    prepared = noisy_brain(4, 0.4, 0.3)
    if method:
        prepared = at_dose(prepared, dose, method)
    notes = notes_on_equation1(prepared)
    assert len(notes) == told
    assert all("Equation 1" in note for note in notes)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9999), blur=st.sampled_from([0.0, 0.7]), body=st.floats(0.0, 1.0))
def test_no_scan_is_taken_for_a_simulation(seed, blur, body):
    """Not even one of a thousand voxels and few frames."""
    prepared = noisy_brain(seed, blur, body)
    few = replace(prepared.series, signal=prepared.series.signal[:36], times=prepared.series.times[:36])
    brain = prepared.brain & (np.cumsum(prepared.brain).reshape(SHAPE) <= 1000)
    assert not notes_on_equation1(replace(prepared, series=few, brain=brain))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("step", "frames"), [(1, 40), (2, 20), (2, 25), (3, 16)])
def test_short_scans_are_not_taken_for_simulations(seed, step, frames):
    """16 to 25 frames, 2 to 3 s apart: too few to tell the mark of Equation 1 from what is taken off for drift."""
    scan = make_head(frames=60, seed=seed)
    series = replace(scan.series, signal=scan.series.signal[::step][:frames], times=scan.series.times[::step][:frames])
    assert not notes_on_equation1(prepare_scan(series))


@pytest.mark.parametrize("dose", [0.25, 0.5])
def test_a_simulated_series_of_usual_length_is_told(dose):
    prepared = prepare_scan(make_head(frames=60).series)
    assert not notes_on_equation1(prepared)
    assert notes_on_equation1(at_dose(prepared, dose))
