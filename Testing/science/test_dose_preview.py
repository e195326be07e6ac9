"""What is seen while a slider is dragged is what the simulation computes, to the last bit."""

import sys
from dataclasses import replace
from subprocess import run

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from science.synthetic import make_series
from stunet_perfusion.dose import preview as dose_preview
from stunet_perfusion.dose.preview import DosePreview
from stunet_perfusion.dose.simulate import (
    METHODS,
    frame_generator,
    moving_average,
    simulate_dose,
    simulate_slice,
)
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError

SHAPE = (4, 24, 20)

#: Slice, frame, dose, seed.
LOOKS = st.tuples(st.integers(0, 3), st.integers(0, 41), st.floats(0.01, 1), st.integers(0, 2))


@pytest.fixture(scope="module")
def prepared():
    """Noise, unsteady frames that are dropped, voxels without baseline, without signal, and with gaps."""
    series = make_series(frames=44, shape=SHAPE, noise=12.0, unsteady_frames=2)
    series.signal[:, :, :3] = 0
    series.signal[9:, 2, 10, 8] = 0
    series.signal[:14, 2, 11, 9] = 0
    series.signal[20, 2, 12, 10] = -1.5
    return prepare(series, drop_frames=2)


def simulated(prepared, z, dose, method, seed):
    """The slice as the whole pipeline computes it."""
    generator = np.random.default_rng([seed, z])
    return simulate_slice(prepared.series.signal[:, z], prepared.bolus.arrival, dose, method, generator)


@pytest.mark.parametrize("method", METHODS)
@given(
    looks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 41), st.floats(0.01, 1), st.integers(0, 2)), max_size=8)
)
@settings(max_examples=40, deadline=None)
def test_frames_equal_the_simulation_in_whatever_order_they_are_looked_at(prepared, method, looks):
    preview = DosePreview(prepared)
    for z, frame, dose, seed in looks:
        expected = simulated(prepared, z, dose, method, seed)
        np.testing.assert_array_equal(preview.frame(z, frame, dose, method, seed), expected[frame])


@pytest.mark.parametrize("method", METHODS)
@given(row=st.integers(0, 23), column=st.integers(0, 19), dose=st.floats(0.01, 1), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_curves_equal_the_simulation(prepared, method, row, column, dose, seed):
    preview = DosePreview(prepared)
    preview.frame(2, 7, 0.5, method, seed)
    expected = simulated(prepared, 2, dose, method, seed)
    np.testing.assert_array_equal(preview.voxel(2, row, column, dose, method, seed), expected[:, row, column])


@pytest.mark.parametrize("method", METHODS)
def test_a_clinical_slice_equals_the_simulation_of_the_series(method):
    """256 x 256 x 64, where numpy adds, draws and takes logarithms in other pieces than in a small one."""
    series = make_series(frames=64, shape=(2, 256, 256), noise=15.0, frame_interval=1.2)
    full = prepare(series, drop_frames=0)
    lowered = simulate_dose(full.series, full.bolus.arrival, 0.25, method, seed=5).signal[:, 1]
    preview = DosePreview(full)
    np.testing.assert_array_equal(preview.frame(1, 40, 0.25, method, 5), lowered[40])
    np.testing.assert_array_equal(preview.voxel(1, 120, 131, 0.25, method, 5), lowered[:, 120, 131])
    np.testing.assert_array_equal(preview.slice(1, 0.25, method, 5), lowered)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_shown_may_be_changed_without_changing_what_is_shown_next(prepared, method):
    preview = DosePreview(prepared)
    expected = simulated(prepared, 1, 0.5, method, 0)
    before = prepared.series.signal.copy()
    for dose in (1.0, 0.5, 0.5):
        preview.frame(1, 20, dose, method)[:] = -1
        preview.voxel(1, 12, 10, dose, method)[:] = -1
    np.testing.assert_array_equal(preview.frame(1, 20, 0.5, method), expected[20])
    np.testing.assert_array_equal(prepared.series.signal, before)


def test_slices_that_were_forgotten_come_back_the_same(prepared):
    """More slices than are kept, three of each, so that the noise of the first is drawn once more."""
    signal = np.repeat(prepared.series.signal, 3, axis=1)
    preview = DosePreview(replace(prepared, series=replace(prepared.series, signal=signal)))
    first = preview.frame(0, 30, 0.3, "noise-matched")
    for z in range(12):
        for frame in range(12):
            preview.frame(z, frame, 0.3, "noise-matched")
    np.testing.assert_array_equal(preview.frame(0, 30, 0.3, "noise-matched"), first)
    assert (preview.frame(4, 30, 0.3, "noise-matched") != preview.frame(3, 30, 0.3, "noise-matched")).any()


def test_a_late_frame_is_drawn_without_those_before_it(prepared, monkeypatch):
    drawn = []

    def counted(seed, z, frame):
        drawn.append((z, frame))
        return frame_generator(seed, z, frame)

    monkeypatch.setattr(dose_preview, "frame_generator", counted)
    preview = DosePreview(prepared)
    for dose in (0.5, 0.4):
        preview.frame(2, 38, dose, "noise-matched")
    assert drawn == [(2, 38)], "once, for all doses that the slider passes"


def test_the_moving_average_of_a_curve_is_that_of_the_slice(prepared):
    signal = np.ascontiguousarray(prepared.series.signal[:, 2])
    np.testing.assert_array_equal(moving_average(signal[:, 12, 10].copy(), 5), moving_average(signal, 5)[:, 12, 10])


def test_a_dose_that_is_none_is_refused(prepared):
    preview = DosePreview(prepared)
    with pytest.raises(InputError, match=r"0 is not in \(0, 1\]"):
        preview.frame(0, 0, 0.0, "equation1")
    with pytest.raises(InputError, match="there is no method 'magic'"):
        preview.voxel(0, 0, 0, 0.5, "magic")


def test_neither_torch_nor_anything_else_that_slicer_lacks_is_loaded():
    """It runs in Slicer's own process, as do the checkpoint's description and the worker's protocol."""
    modules = "dose.preview, networks.checkpoint_document, support.resources, worker.protocol"
    names = ", ".join(f"stunet_perfusion.{name.strip()}" for name in modules.split(","))
    code = f"import sys, {names}; print([m for m in sys.argv[1:] if m in sys.modules])"
    foreign = ["torch", "safetensors", "nibabel", "nrrd", "skimage", "typer", "rich"]
    done = run([sys.executable, "-c", code, *foreign], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
