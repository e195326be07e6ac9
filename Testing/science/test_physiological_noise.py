"""Noise of the body, added by hand to slices whose blood volume is known, and taken off again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from stunet_perfusion.curve_fit.physiological_noise import remove_physiological_noise

FRAMES, ARRIVAL, STOP = 70, 12, 34
SIZE = 96
TIME = np.arange(FRAMES)
#: A bolus whose area over the first pass is 1, and what its weights make of it.
BOLUS = np.exp(-((TIME - 23) ** 2) / 18) / np.exp(-((TIME - 23) ** 2) / 18).sum()
WEIGHTS = (BOLUS - BOLUS.mean()) / (BOLUS @ (BOLUS - BOLUS.mean()))
ROW, COLUMN = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
HEAD = ROW**2 + COLUMN**2 < 0.95


def remembering(generator, memory):
    """(T,) a course of variance 1 whose correlation falls by `memory` from frame to frame."""
    steps = generator.standard_normal(FRAMES)
    course = steps.copy()
    for frame in range(1, FRAMES):
        course[frame] = memory * course[frame - 1] + np.sqrt(1 - memory**2) * steps[frame]
    return course


def smooth(generator, extent):
    """(Y, X) a pattern of variance 1 that is smooth over `extent` voxels."""
    pattern = ndimage.gaussian_filter(generator.standard_normal((SIZE, SIZE)), extent, mode="wrap")
    return pattern / pattern.std()


class Slice:
    """Gray and white matter with twice as much blood in one as in the other, which the baseline tells apart, and a
    variation that it does not tell; white noise, and as many courses of the body as are wanted."""

    def __init__(self, seed, body=0.0, white=0.004, courses=1, memory=0.6, volume=None):
        generator = np.random.default_rng(seed)
        gray = smooth(generator, 2.0) > 0
        known = np.where(gray, 1.4, 0.7) * (1 + 0.1 * smooth(generator, 3.0)) if volume is None else volume
        self.known = np.where(HEAD, known, 0.0)
        self.baseline = np.where(HEAD, np.where(gray, 1.1, 0.9) + 0.02 * generator.standard_normal(gray.shape), 0.0)
        curves = self.known * BOLUS[:, None, None] + white * generator.standard_normal((FRAMES, SIZE, SIZE))
        self.patterns = [smooth(generator, 6.0) for _ in range(courses)]
        for pattern in self.patterns:
            curves += body * remembering(generator, memory)[:, None, None] * pattern
        self.curves = np.where(HEAD, curves, 0).astype(np.float32)
        self.volume = np.tensordot(WEIGHTS, self.curves, axes=1).astype(np.float32)
        self.noise = np.where(HEAD, white * np.sqrt((WEIGHTS**2).sum()), 0).astype(np.float32)

    def steadied(self):
        return remove_physiological_noise(
            self.volume, self.noise, self.curves, self.baseline.astype(np.float32), WEIGHTS, ARRIVAL, STOP
        )


def error(found, known):
    """Mean square of what is wrong over some centimeters, which white noise is not."""
    return float(np.square(ndimage.gaussian_filter(np.where(HEAD, found - known, 0), 2))[HEAD].mean())


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 9999),
    courses=st.integers(1, 2),
    memory=st.floats(0.0, 0.8),
    body=st.sampled_from([0.003, 0.01]),
)
def test_no_map_is_made_noticeably_worse(seed, courses, memory, body):
    """Whatever the courses do under the bolus, and whatever blood lies like them: three hundredths of the mean."""
    slice_ = Slice(seed, body=body, courses=courses, memory=memory)
    before, after = (error(volume, slice_.known) for volume in (slice_.volume, slice_.steadied()))
    assert after < before + 0.03**2


def test_on_average_most_of_it_is():
    """Courses as breathing makes them: of their noise in the map a third is left, or less."""
    slices = [Slice(seed, body=0.01) for seed in range(20)]
    before = np.mean([error(each.volume, each.known) for each in slices])
    after = np.mean([error(each.steadied(), each.known) for each in slices])
    assert after < before / 3


def test_where_nothing_stands_out_of_white_noise_the_map_stays_as_it_is():
    for seed in range(10):
        quiet = Slice(seed)
        assert quiet.steadied() is quiet.volume


@pytest.mark.parametrize("body", [0.0, 0.001, 0.01])
def test_blood_that_one_side_lacks_is_not_taken_for_noise(body):
    """A third less on one side, which is as smooth as any pattern: it is there afterwards."""
    seen = []
    for seed in range(12):
        generator = np.random.default_rng(100 + seed)
        volume = np.where(COLUMN > 0, 0.7, 1.05) * (1 + 0.1 * smooth(generator, 3.0))
        found = Slice(seed, body=body, volume=volume).steadied()
        seen.append(found[HEAD & (COLUMN > 0.05)].mean() / found[HEAD & (COLUMN < -0.05)].mean())
    assert np.mean(seen) == pytest.approx(2 / 3, abs=0.03)
    assert np.std(seen) < 0.06


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 9999), share=st.floats(0.5, 3.0))
def test_no_more_is_taken_off_than_such_noise_adds(seed, share):
    """Blood that lies exactly as the pattern of a weak noise does, but is far more than that noise makes."""
    weak = Slice(seed, body=0.002)
    pattern = weak.patterns[0]
    weak.volume = (weak.volume + np.where(HEAD, 0.1 * share * pattern, 0)).astype(np.float32)
    taken = (weak.volume - weak.steadied())[HEAD]
    # What the weights make of a course of variance 1 and this memory: four standard deviations, since the strength is
    # that of one course as it was drawn.
    memory = 0.6 ** np.abs(TIME[:, None] - TIME)
    assert taken.std() < 4 * 0.002 * np.sqrt(WEIGHTS @ memory @ WEIGHTS)


def test_a_baseline_that_is_the_same_everywhere_tells_no_anatomy():
    """As of a slice that was made and not scanned; it is no reason to fail."""
    slices = [Slice(seed, body=0.01) for seed in range(20)]
    for each in slices:
        each.baseline = np.where(HEAD, 1.0, 0.0)
    before = np.mean([error(each.volume, each.known) for each in slices])
    assert np.mean([error(each.steadied(), each.known) for each in slices]) < before


def test_too_few_voxels_or_frames_tell_nothing():
    noisy = Slice(0, body=0.02)
    inside = np.s_[30:50, 30:50]
    small = remove_physiological_noise(
        noisy.volume[inside],
        noisy.noise[inside],
        noisy.curves[(slice(None), *inside)],
        noisy.baseline[inside].astype(np.float32),
        WEIGHTS,
        ARRIVAL,
        STOP,
    )
    assert np.array_equal(small, noisy.volume[inside])
    short = remove_physiological_noise(
        noisy.volume, noisy.noise, noisy.curves[:40], noisy.baseline.astype(np.float32), WEIGHTS[:40], 4, STOP
    )
    assert np.array_equal(short, noisy.volume)
