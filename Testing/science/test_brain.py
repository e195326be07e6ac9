"""The brain mask on heads whose brain is known, and the mean curve."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk

from science.shared import shared_data
from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.preprocessing.brain import _ellipse, brain_mask, mean_curve
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def still_series(image: np.ndarray, noise: float = 0.0, spacing=(2.0, 2.0, 5.0)) -> DscSeries:
    """The same volume 16 times, with Rician noise."""
    generator = np.random.default_rng(0)
    real, imaginary = noise * generator.standard_normal((2, 16, *image.shape))
    signal = np.hypot(image + real, imaginary).astype(np.float32)
    return DscSeries(signal, np.arange(16.0), oblique_grid(image.shape, spacing), 0.03, "head")


def ellipse(shape: tuple[int, int], semi_axes_mm: tuple[float, float], center=(0.0, 0.0)) -> np.ndarray:
    y, x = (2.0 * (np.arange(n) - (n - 1) / 2) for n in shape)
    return ((y[:, None] - center[0]) / semi_axes_mm[0]) ** 2 + ((x - center[1]) / semi_axes_mm[1]) ** 2 <= 1


def drawn_head(scalp: float, slices: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A brain of 160 x 130 mm inside 6 mm of bone and 6 mm of scalp, with ventricles, eyes and optic nerves."""
    shape = (112, 112)
    brain = ellipse(shape, (80, 65))
    image = np.zeros(shape)
    image[ellipse(shape, (92, 77))] = scalp * 600
    image[ellipse(shape, (86, 71))] = 20
    for side in (-28, 28):
        image[ellipse(shape, (12, 12), (-100, side))] = 1000
        nerve = slice(55 + side // 2, 57 + side // 2)
        image[8:24, nerve] = 500
    image[brain] = 600
    image[ellipse(shape, (20, 6))] = 10
    image[ellipse(shape, (3, 3), (40, 30))] = 0
    return np.repeat(image[None], slices, axis=0), np.repeat(brain[None], slices, axis=0)


@pytest.mark.parametrize("scalp", [0.0, 0.15, 0.3, 0.9])
@pytest.mark.parametrize("slices", [1, 6])
def test_scalp_eyes_and_nerves_stay_outside_and_holes_are_filled(scalp, slices):
    image, brain = drawn_head(scalp, slices)
    found = brain_mask(still_series(image, noise=12))
    # Between the optic nerves and the brain a rim of a voxel or two may stay: 0.5 % of the 8200 voxels
    assert dice(found, brain) > 0.995
    eyes = image[:, :10]
    assert not found[:, :10][eyes > 800].any()


def test_a_real_head_in_epi_voxels():
    labels = sitk.ReadImage(str(shared_data("data/heads/training_seg_12.nii.gz")))
    labels = sitk.DICOMOrient(labels, "LPS")
    values = sitk.GetArrayFromImage(labels)
    brain = ((values > 1) & (values < 250)) & ~np.isin(values, (24, 30, 62))
    # T2*-weighted EPI with fat suppression: bright fluid, faint scalp, no bone
    image = np.zeros(values.shape, dtype=np.float32)
    image[brain] = 550
    image[np.isin(values, (3, 42, 8, 47))] = 620
    image[np.isin(values, (4, 43, 5, 44, 14, 15, 24))] = 900
    image[values > 500] = 80
    image[np.isin(values, (515, 516))] = 15
    rows = np.flatnonzero(brain.any(axis=(0, 2)))
    columns = np.flatnonzero(brain.any(axis=(0, 1)))
    slices = np.flatnonzero(brain.any(axis=(1, 2)))
    low = slices[0] + (slices[-1] - slices[0]) // 3  # a slab that begins above the skull base
    box = slice(low, slices[-1]), slice(max(rows[0] - 20, 0), rows[-1] + 20), slice(columns[0] - 20, columns[-1] + 20)

    def epi(volume: np.ndarray) -> np.ndarray:
        part = volume[box].astype(np.float32)
        z, y, x = (n // f for n, f in zip(part.shape, (5, 2, 2), strict=True))
        return part[: 5 * z, : 2 * y, : 2 * x].reshape(z, 5, y, 2, x, 2).mean(axis=(1, 3, 5))

    inside = epi(brain | np.isin(values, (24, 4, 43)))
    found = brain_mask(still_series(epi(image), noise=12))
    # The rim of partial volume is a tenth of the brain's area; fluid around the brain may count as either.
    assert dice(found, inside > 0.5) > 0.95
    assert found[epi(brain) > 0.99].mean() > 0.99
    scalp = epi((values > 500) & ~np.isin(values, (502, 506, 514)))
    assert found[scalp > 0.9].mean() < 0.01


@pytest.mark.parametrize("noise", [0.0, 5.0, 25.0])
def test_an_ellipsoid_in_air_is_found_to_the_voxel(noise):
    series = make_series(shape=(4, 48, 40), noise=noise, unsteady_frames=2)
    # Signal-to-noise 12 to 120 in one frame, six times that in the mean over time
    assert np.array_equal(brain_mask(series), head_of((4, 48, 40)))


def test_a_brain_that_fills_the_image_is_not_eroded():
    image = np.full((3, 40, 40), 500.0)
    image[:, :4] = 0
    assert np.array_equal(brain_mask(still_series(image, noise=5)), image > 0)


def test_hemispheres_that_the_falx_parts_are_both_brain():
    image, brain = drawn_head(0.15, slices=1)
    image[:, :, 54:58] = 10
    found = brain_mask(still_series(image, noise=12))
    assert found[..., :50][brain[..., :50]].mean() > 0.99
    assert found[..., 62:][brain[..., 62:]].mean() > 0.99


def test_nothing_but_a_constant_has_no_brain():
    with pytest.raises(InputError, match=r"head: has no brain.*; give a brain mask") as caught:
        brain_mask(still_series(np.full((2, 20, 20), 100.0)))
    assert caught.value.settings == (Setting.MASK,)


def test_mean_curve_is_the_mean():
    series = make_series(shape=(3, 20, 16), noise=5)
    mask = np.random.default_rng(0).random((3, 20, 16)) > 0.7
    mask[1] = False
    assert mean_curve(series, mask) == pytest.approx(series.signal[:, mask].astype(float).mean(axis=1), rel=1e-12)


def test_mask_and_mean_curve_make_no_copy_of_the_series():
    series = make_series(frames=40, shape=(20, 96, 96))
    tracemalloc.start()
    mean_curve(series, brain_mask(series))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # a slice is a twentieth of the series, a frame a fortieth
    assert peak < 0.3 * series.signal.nbytes


@pytest.mark.parametrize("row", range(1, 9))
@pytest.mark.parametrize("column", [1, 2, 3, 5, 8])
def test_the_ellipse_is_the_ball_of_the_toolkit(row, column):
    point = np.zeros((1, 2 * row + 3, 2 * column + 3), np.uint8)
    point[0, row + 1, column + 1] = 1
    ball = sitk.BinaryDilate(sitk.GetImageFromArray(point), [column, row, 0], sitk.sitkBall, 0, 1)
    np.testing.assert_array_equal(_ellipse(row, column), sitk.GetArrayFromImage(ball)[0, 1:-1, 1:-1])
