"""Noise whose memory and likeness are known before it is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from science.synthetic import head_of, make_series
from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass
from stunet_perfusion.curve_fit.noise_covariance import RUN, correlated_noise_of_average, noise_covariance
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries

ARRIVAL, STOP, FRAMES = 8, 28, 80
#: What a fit counts frames for: a bolus of about ten frames.
WEIGHTS = np.exp(-((np.arange(FRAMES) - 18) ** 2) / 18)


def remembering(shape, memory, generator):
    """(T, ...) noise of variance 1 whose correlation falls by `memory` from frame to frame."""
    steps = generator.standard_normal(shape)
    noise = steps.copy()
    for frame in range(1, len(noise)):
        noise[frame] = memory * noise[frame - 1] + np.sqrt(1 - memory**2) * steps[frame]
    return noise


def alike(shape, blur, generator):
    """(T, Y, X) noise of variance 1, whose correlation over d voxels is exp(-d^2 / (4 blur^2))."""
    noise = ndimage.gaussian_filter(generator.standard_normal(shape), (0, blur, blur), mode="wrap")
    return noise / noise.std()


def runs_of(image):
    """(T, n, RUN) of (T, Y, X), along rows."""
    columns = image.shape[2] // RUN * RUN
    return image[:, :, :columns].reshape(len(image), -1, RUN)


def test_white_noise_has_no_texture():
    noise = 3 * np.random.default_rng(0).standard_normal((FRAMES, 4000, RUN))
    texture = noise_covariance(noise, ARRIVAL, STOP)
    assert texture[0, 0] == pytest.approx(9, rel=0.02)
    assert np.abs(texture).sum() - texture[0, 0] < 0.03 * 9
    # Both are deviations: what adds little to a variance is not so little itself.
    assert correlated_noise_of_average(texture, WEIGHTS) < 0.25 * 3 * np.sqrt((WEIGHTS**2).sum())


@settings(deadline=None, max_examples=15)
@given(memory=st.floats(0.0, 0.6), seed=st.integers(0, 99))
def test_noise_that_lasts_is_found_though_slow_changes_are_taken_away(memory, seed):
    noise = remembering((FRAMES, 6000, RUN), memory, np.random.default_rng(seed))
    texture = noise_covariance(noise, ARRIVAL, STOP)
    np.testing.assert_allclose(texture[0, :4], memory ** np.arange(4), atol=0.06)
    np.testing.assert_allclose(texture[1:], 0, atol=0.03)


@pytest.mark.parametrize("blur", [0.4, 0.6, 0.8])
def test_noise_that_neighbors_share_is_found(blur):
    noise = alike((FRAMES, 128, 128), blur, np.random.default_rng(0))
    texture = noise_covariance(runs_of(noise), ARRIVAL, STOP)
    # What a filter of so few samples makes of noise, by its own weights.
    point = np.zeros(33)
    point[16] = 1
    kernel = ndimage.gaussian_filter(point, blur)
    known = np.correlate(kernel, kernel, "full")[32 : 32 + RUN] / (kernel**2).sum()
    np.testing.assert_allclose(texture[:, 0], known, atol=0.02)


@pytest.mark.parametrize("dose", [0.0, 1.0])
@pytest.mark.parametrize(("memory", "blur"), [(0.0, 0.6), (0.5, 0.0), (0.5, 0.6)])
def test_the_average_of_a_fit_is_as_noisy_as_said(memory, blur, dose):
    """By the brute force of many scans: fitted, averaged over neighbors, and their spread seen. Brains in which agent
    comes and drifts away, much or little of it, say the same."""
    generator = np.random.default_rng(1)
    shape = (FRAMES, 96, 96)
    noise = remembering(shape, memory, generator)
    noise = ndimage.gaussian_filter(noise, (0, blur, blur), mode="wrap") if blur else noise
    noise /= noise.std()
    time = np.arange(FRAMES)
    agent = np.exp(-((time - 18) ** 2) / 18) + 0.2 * (1 - np.exp(-np.maximum(time - 16, 0) / 20))
    agent = dose * 20 * agent[:, None, None] * generator.uniform(0.3, 2, shape[1:])
    texture = noise_covariance(runs_of(noise + agent), ARRIVAL, STOP)

    fits = []
    for _ in range(12):
        scan = remembering(shape, memory, generator)
        scan = ndimage.gaussian_filter(scan, (0, blur, blur), mode="wrap") if blur else scan
        fits.append(np.tensordot(WEIGHTS, scan / scan.std(), axes=1))
    averaged = ndimage.gaussian_filter(np.stack(fits), (0, 1, 1), mode="wrap")
    share = ndimage.gaussian_filter(np.pad([[1.0]], 16), 1)
    white = (WEIGHTS**2).sum() * (share**2).sum()
    assert correlated_noise_of_average(texture, WEIGHTS) == pytest.approx(np.sqrt(averaged.var() - white), rel=0.08)


@pytest.mark.parametrize(("arrival", "stop", "frames"), [(3, 20, 24), (3, 28, 30)])
def test_too_few_frames_tell_nothing(arrival, stop, frames):
    noise = remembering((frames, 500, RUN), 0.6, np.random.default_rng(0))
    assert not noise_covariance(noise, arrival, stop).any()
    assert correlated_noise_of_average(np.zeros((RUN, 6)), WEIGHTS) == 0


def test_voxels_in_which_more_happens_than_noise_are_left_out():
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((FRAMES, 3000, RUN))
    noise[:, :100] *= 20 * np.sin(np.arange(FRAMES))[:, None, None]
    assert noise_covariance(noise, ARRIVAL, STOP)[0, 0] == pytest.approx(1, rel=0.03)


@settings(deadline=None, max_examples=25)
@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 30), st.integers(1, 30)), seed=st.integers(0, 99))
def test_a_sample_holds_neighbors_of_the_brain(shape, seed):
    """Whatever its shape: runs of four along an axis of the slice, or single voxels where there are none."""
    generator = np.random.default_rng(seed)
    brain = ndimage.binary_dilation(generator.random(shape) < 0.1, iterations=2)
    brain.flat[generator.integers(brain.size)] = True
    number = np.arange(brain.size, dtype=np.float32).reshape(shape)
    series = make_series(frames=6, shape=shape)
    series.signal[:] = number
    sample = sample_brain(PreparedSeries(series, brain, Bolus(3, 4), 0))
    assert sample.shape[1] > 0
    assert sample.shape[2] in (1, RUN)
    assert np.isin(sample, number[brain]).all()
    if sample.shape[2] == 1:
        assert len(np.unique(sample[0])) == sample.shape[1]
    steps = np.diff(sample[0], axis=-1)
    assert np.isin(steps, (1, shape[2])).all()
    assert (steps == steps[:, :1]).all()


@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_the_texture_of_a_series_is_over_its_white_noise(dose):
    """Noise that neighbors share, in a series at any dose; a series of white noise has next to none of it."""
    head = head_of((3, 48, 48))
    found = []
    for blur in (0.0, 0.7):
        series = make_series(frames=80, shape=head.shape, noise=0.0, peak=40.0 * dose)
        generator = np.random.default_rng(5)
        for z in range(len(head)):
            noise = generator.standard_normal((80, 48, 48))
            noise = ndimage.gaussian_filter(noise, (0, blur, blur), mode="wrap") if blur else noise
            series.signal[:, z] += (3 * noise / noise.std()).astype(np.float32)
        first = find_first_pass(PreparedSeries(series, head, Bolus(11, 14), 0), fitted=True)
        found.append(first.correlated_noise / first.fit.noise_gain)
    # Four pi share one voxel's white noise; of this noise an average of the same width leaves 1 / (1 + 0.7^2) of that
    # over all voxels it is made of, 4 pi 0.7^2 as much.
    known = np.sqrt(1 / (4 * np.pi) * (4 * np.pi * 0.7**2 / (1 + 0.7**2) - 1))
    assert found[0] < 0.35 * found[1]
    assert found[1] == pytest.approx(known, rel=0.15)
