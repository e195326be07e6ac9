"""From a series to its steady frames, brain and bolus."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.synthetic import head_of, make_series
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError, Setting

SHAPE = (4, 48, 40)
# make_series: arrival at 16 s of 1.5 s frames, so that frame 11 is the first with contrast
FIRST_CONTRAST = 11


@pytest.mark.parametrize("unsteady", [0, 1, 2])
@pytest.mark.parametrize("noise", [0.0, 10.0])
def test_frames_brain_and_bolus(unsteady, noise):
    series = make_series(shape=SHAPE, unsteady_frames=unsteady, noise=noise)
    prepared = prepare(series)
    assert prepared.dropped_frames == unsteady
    assert prepared.series.frames == series.frames - unsteady
    assert prepared.series.times[0] == series.times[unsteady]
    assert np.array_equal(prepared.brain, head_of(SHAPE))
    # One frame earlier than contrast is seen is left for arteries that fill before the mean of the brain
    assert prepared.bolus.arrival + unsteady in (FIRST_CONTRAST - 1, FIRST_CONTRAST)
    assert prepared.bolus.peak + unsteady == 14


def test_the_steady_frames_share_the_memory_of_the_series():
    series = make_series(shape=SHAPE, unsteady_frames=2)
    assert np.shares_memory(prepare(series).series.signal, series.signal)


def test_the_user_s_mask_and_frames_win():
    series = make_series(shape=SHAPE, unsteady_frames=1)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2, 20:30, 15:25] = True
    prepared = prepare(series, mask=mask, drop_frames=4)
    assert np.array_equal(prepared.brain, mask)
    assert prepared.dropped_frames == 4
    assert prepared.bolus.arrival + 4 in (FIRST_CONTRAST - 1, FIRST_CONTRAST)


def test_no_bolus():
    still = make_series(shape=SHAPE, peak=0.0, noise=10.0, name="rest.nii.gz")
    with pytest.raises(InputError, match=r"^rest\.nii\.gz: shows no contrast bolus"):
        prepare(still)


@pytest.mark.parametrize("arrival", [-2.0, 1.0])
def test_cut_off_at_the_start(arrival):
    with pytest.raises(InputError, match="cuts the bolus off at the start"):
        prepare(make_series(shape=SHAPE, arrival=arrival, noise=5.0))


def test_dropping_too_many_frames_cuts_the_bolus_off():
    series = make_series(shape=SHAPE)
    with pytest.raises(InputError, match=r"at the start.*leave out fewer frames") as caught:
        prepare(series, drop_frames=9)
    assert caught.value.settings == (Setting.DROP_FRAMES,)


def test_cut_off_at_the_end():
    with pytest.raises(InputError, match="cuts the bolus off at the end"):
        prepare(make_series(frames=16, shape=SHAPE, noise=5.0))


@pytest.mark.parametrize("drop_frames", [-1, 33, 40, 100])
def test_a_number_of_frames_that_cannot_be_left_out(drop_frames):
    with pytest.raises(InputError, match=r"^frames to leave out: .* of 40 frames.*0 to 32"):
        prepare(make_series(shape=SHAPE), drop_frames=drop_frames)


def test_masks_that_do_not_fit():
    series = make_series(shape=SHAPE)
    with pytest.raises(InputError, match="on the grid of the series"):
        prepare(series, mask=np.ones((3, 48, 40), dtype=bool))
    with pytest.raises(InputError, match="brain mask: is empty"):
        prepare(series, mask=np.zeros(SHAPE, dtype=bool))


def test_a_constant_series_has_no_bolus():
    series = make_series(shape=SHAPE)
    constant = replace(series, signal=np.repeat(series.signal[:1], 40, axis=0))
    with pytest.raises(InputError, match="no contrast bolus"):
        prepare(constant)
