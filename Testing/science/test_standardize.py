"""Standardization and the way back, against SimpleITK, closed forms and simulated noise."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from science.slices import standardize_slice
from science.synthetic import make_series
from stunet_perfusion.inference.box import (
    SquareBox,
    cropped,
    into_box,
    out_of_box,
    square_box,
)
from stunet_perfusion.inference.predict import plan_for
from stunet_perfusion.inference.standardize import frame_window, plan_standardization
from stunet_perfusion.kinetics.cbv_scale import (
    CLIP,
    CbvScale,
    cbv_scale,
    recover_scale,
)
from stunet_perfusion.networks.checkpoint_document import CheckpointInfo, NetworkInput
from stunet_perfusion.networks.quantities import FROM_FIRST, PIXELS, WINDOWS
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError

INSIDE = SquareBox((10.5, 74.5), (20.5, 84.5), 256)


@given(
    first=st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(0, 20)),
    size=st.tuples(st.integers(1, 3), st.integers(2, 30), st.integers(2, 30)),
    spacing=st.tuples(st.floats(0.5, 3), st.floats(0.5, 3)),
)
def test_the_box_is_square_in_millimeters_and_tight(first, size, spacing):
    brain = np.zeros((6, 60, 60), bool)
    (z, y, x), (depth, height, width) = first, size
    brain[z : z + depth, y : y + height, x : x + width] = True
    box = square_box(brain, np.array([spacing[0], spacing[1], 5.0]))
    side_y, side_x = (box.row[1] - box.row[0]) * spacing[1], (box.column[1] - box.column[0]) * spacing[0]
    assert side_y == pytest.approx(side_x)
    assert side_y == pytest.approx(max(height * spacing[1], width * spacing[0]))
    assert box.row[0] <= y - 0.5 + 1e-9
    assert box.row[1] >= y + height - 0.5 - 1e-9
    assert box.column[0] <= x - 0.5 + 1e-9
    assert box.column[1] >= x + width - 0.5 - 1e-9


@given(
    first=st.tuples(st.integers(-20, 40), st.integers(-20, 40)),
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    size=st.sampled_from([64, 112, 128]),
    ratio=st.sampled_from([1.0, 1.0, 1.01]),
    grows=st.booleans(),
)
@settings(deadline=None)
def test_a_box_of_pixels_takes_them_as_they_are_or_is_the_tight_one(first, height, width, size, ratio, grows):
    brain = np.zeros((2, 160, 150), bool)
    y, x = (max(each, 0) for each in first)
    brain[:, y : y + height, x : x + width] = True
    spacing = np.array([2.0, 2.0 * ratio, 5.0])
    box, tight = square_box(brain, spacing, size, PIXELS, grows), square_box(brain, spacing, size)
    side = max(tight.row[1] - tight.row[0], tight.column[1] - tight.column[0])
    if ratio != 1 or not 0.4 * size <= side <= (1.5 if grows else 1) * size:
        assert box == tight
        return
    if side > size:
        # The next size that three reductions by 2 divide.
        size = int(-(-side // 8) * 8)
    assert box.size == size
    image = np.random.default_rng(0).normal(size=brain.shape[1:]).astype(np.float32)
    framed = np.pad(image, size, mode="edge")
    start = [round(edge[0] + 0.5) + size for edge in (box.row, box.column)]
    np.testing.assert_array_equal(into_box(box, image), framed[start[0] : start[0] + size, start[1] : start[1] + size])
    back = out_of_box(box, into_box(box, image), image.shape)
    np.testing.assert_array_equal(back[brain[0]], image[brain[0]])


@given(
    row=st.tuples(st.floats(-20, 60), st.floats(1, 100)),
    column=st.tuples(st.floats(-20, 60), st.floats(1, 100)),
)
@settings(deadline=None)
def test_what_lies_outside_of_the_box_is_not_needed(row, column):
    box = SquareBox((row[0], row[0] + row[1]), (column[0], column[0] + column[1]), 32)
    images = np.random.default_rng(0).normal(size=(2, 50, 70)).astype(np.float32)
    shifted, smaller = cropped(box, images)
    np.testing.assert_allclose(into_box(shifted, smaller), into_box(box, images), atol=1e-5)
    assert smaller.shape[1] <= row[1] + 3
    assert smaller.shape[2] <= column[1] + 3


def test_resampling_into_the_box_is_bilinear_as_simpleitk_does_it():
    image = np.random.default_rng(0).normal(size=(100, 110)).astype(np.float32)
    step = (INSIDE.row[1] - INSIDE.row[0]) / INSIDE.size
    resampled = sitk.Resample(
        sitk.GetImageFromArray(image),
        (INSIDE.size, INSIDE.size),
        sitk.Transform(),
        sitk.sitkLinear,
        (INSIDE.column[0] + step / 2, INSIDE.row[0] + step / 2),
        (step, step),
    )
    np.testing.assert_allclose(into_box(INSIDE, image), sitk.GetArrayFromImage(resampled), atol=1e-4)


@given(
    rows=st.integers(8, 60),
    columns=st.integers(8, 60),
    slope=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    size=st.sampled_from([64, 128, 256]),
)
@settings(deadline=None)
def test_there_and_back_keeps_a_plane_exactly(rows, columns, slope, size):
    """Bilinear interpolation is exact for a plane, so any error would be a misplaced pixel."""
    y, x = np.mgrid[:rows, :columns]
    plane = (slope[0] * y + slope[1] * x).astype(np.float32)
    box = SquareBox((1.5, rows - 2.5), (1.5, columns - 2.5), size)
    back = out_of_box(box, into_box(box, plane), plane.shape)
    # The outermost half pixel of the box has no neighbor beyond it.
    inner = (slice(3, rows - 3), slice(3, columns - 3))
    np.testing.assert_allclose(back[inner], plane[inner], atol=2e-3)
    assert not back[0].any()
    assert not back[:, -1].any()


def test_a_box_beyond_the_image_repeats_its_edge():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    resampled = into_box(SquareBox((-4.5, 3.5), (-4.5, 3.5), 8), image)
    np.testing.assert_array_equal(resampled[:5, :5], image[0, 0])
    np.testing.assert_array_equal(resampled[4:7, 4:8], image)


@given(frames=st.integers(16, 200), arrival=st.integers(0, 199), wanted=st.sampled_from([64, 128]))
def test_the_window_holds_the_bolus_and_repeats_only_the_last_frame(frames, arrival, wanted):
    arrival = min(arrival, frames - 1)
    window = frame_window(frames, arrival, wanted)
    assert len(window) == wanted
    assert window[0] >= 0
    assert window[-1] <= frames - 1
    assert arrival in window
    assert set(np.diff(window)) <= {0, 1}
    if frames >= wanted:
        assert (np.diff(window) == 1).all()
    else:
        assert list(window[:frames]) == list(range(frames))
        assert (window[frames:] == frames - 1).all()


@given(frames=st.integers(16, 200), arrival=st.integers(0, 199), wanted=st.sampled_from([64, 128]))
def test_a_window_from_the_first_frame_keeps_what_verbena_takes_s0_from(frames, arrival, wanted):
    arrival = min(arrival, frames - 1)
    window = frame_window(frames, arrival, wanted, FROM_FIRST)
    assert len(window) == wanted
    assert window[0] == 0
    assert arrival in window
    assert window.max() <= frames - 1
    assert set(np.diff(window[1:])) <= {0, 1}
    # 32 frames from the arrival on, or all that there are.
    assert window[-1] >= min(arrival + 31, frames - 1)
    if arrival + 32 <= wanted <= frames:
        np.testing.assert_array_equal(window, np.arange(wanted))


@pytest.fixture(scope="module")
def prepared():
    series = make_series(frames=60, shape=(3, 48, 40), noise=2.0, seed=1)
    brain = np.zeros(series.grid.shape, bool)
    brain[:, 8:40, 6:34] = True
    return prepare(series, mask=brain, drop_frames=0)


def test_the_signal_is_a_z_score_of_the_brain_in_the_first_five_frames(prepared):
    plan = plan_standardization(prepared)
    values = np.moveaxis(prepared.series.signal[:5], 0, -1)[prepared.brain]
    assert plan.signal_mean == pytest.approx(values.mean(dtype=float), rel=1e-6)
    assert plan.signal_sd == pytest.approx(values.std(dtype=float), rel=1e-5)
    frames = standardize_slice(plan, prepared.series.signal[:, 1])
    assert frames.shape == (64, 256, 256)
    assert frames.dtype == np.float32
    expected = (into_box(plan.box, prepared.series.signal[7, 1]) - plan.signal_mean) / plan.signal_sd
    np.testing.assert_allclose(frames[7], np.clip(expected, -CLIP, CLIP), atol=1e-4)


def test_extreme_signals_are_clipped(prepared):
    plan = plan_standardization(prepared)
    bright = np.full_like(prepared.series.signal[:, 0], plan.signal_mean + 7 * plan.signal_sd)
    assert (standardize_slice(plan, bright) == CLIP).all()
    assert (standardize_slice(plan, -bright) == -CLIP).all()


def test_a_network_predicts_from_the_frames_that_it_was_trained_with(prepared):
    """A late bolus, so that the two windows differ in more than the first frame."""
    late = replace(prepared, bolus=Bolus(24, 30))
    for window in WINDOWS:
        plan = plan_for(late, CheckpointInfo("hess", {}, NetworkInput(frames=48, window=window)))
        np.testing.assert_array_equal(plan.window, frame_window(late.series.frames, 24, 48, window))
    assert plan.window[:3].tolist() == [0, 9, 10], "from the first frame on"


def test_a_brain_without_contrast_between_voxels_has_no_z_score(prepared):
    flat = prepare(make_series(frames=60, shape=(3, 48, 40)), mask=prepared.brain, drop_frames=0)
    flat.series.signal[:5] = 300
    with pytest.raises(InputError, match="same signal everywhere in the brain"):
        plan_standardization(flat)


def test_cbv_is_standardized_by_its_own_brain_and_comes_back():
    generator = np.random.default_rng(2)
    cbv = generator.gamma(3, 0.01, size=(4, 20, 20)).astype(np.float32)
    brain = generator.random(cbv.shape) < 0.7
    scale = cbv_scale(cbv, brain)
    z = scale.to_standardized(cbv)
    unclipped = np.abs(z) < CLIP
    assert z[brain & unclipped].mean() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(scale.to_blood_volume(z)[unclipped], cbv[unclipped], rtol=1e-4, atol=1e-7)
    assert scale.to_blood_volume(np.float32(-scale.mean / scale.sd)) == pytest.approx(0, abs=1e-8)
    with pytest.raises(InputError, match="same value everywhere"):
        cbv_scale(np.ones_like(cbv), brain)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.08])
def test_the_scale_and_the_zero_are_recovered_from_a_noisy_closed_form(noise):
    """30 000 voxels: the standard error of the offset is noise / sqrt(n), of the slope noise / (sd sqrt(n))."""
    generator = np.random.default_rng(3)
    true = CbvScale(mean=0.03, sd=0.015)
    z = np.clip(generator.gamma(2, 0.7, size=(10, 60, 50)) - 1.4, -2, 4).astype(np.float32)
    closed_form = true.to_blood_volume(z) + generator.normal(0, noise, z.shape).astype(np.float32)
    found = recover_scale(z, closed_form, np.ones(z.shape, bool))
    tolerance = 1e-6 + 5 * noise / np.sqrt(z.size)
    assert found.mean == pytest.approx(true.mean, abs=tolerance)
    assert found.sd == pytest.approx(true.sd, abs=tolerance / z.std())


def test_vessels_and_voxels_without_signal_do_not_bend_the_scale():
    generator = np.random.default_rng(4)
    true = CbvScale(mean=0.03, sd=0.015)
    z = np.clip(generator.normal(0, 1, size=(10, 60, 50)), -2, 4).astype(np.float32)
    closed_form = true.to_blood_volume(z) + generator.normal(0, 0.01, z.shape).astype(np.float32)
    odd = generator.random(z.shape)
    closed_form[odd < 0.01] = 5.0
    closed_form[(odd > 0.01) & (odd < 0.015)] = np.nan
    z[odd > 0.98] = CLIP
    found = recover_scale(z, closed_form, np.ones(z.shape, bool))
    assert found.mean == pytest.approx(true.mean, rel=0.02)
    assert found.sd == pytest.approx(true.sd, rel=0.02)


def test_a_prediction_that_does_not_follow_the_blood_has_no_scale():
    generator = np.random.default_rng(5)
    z = generator.normal(size=(3, 20, 20)).astype(np.float32)
    brain = np.ones(z.shape, bool)
    with pytest.raises(InputError, match="does not rise with the blood volume"):
        recover_scale(z, -z, brain)
    with pytest.raises(InputError, match="does not rise with the blood volume"):
        recover_scale(np.zeros_like(z), z, brain)
