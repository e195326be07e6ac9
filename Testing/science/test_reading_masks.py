"""Masks: from any format, on any grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.reading import read_map, read_mask
from stunet_perfusion.reading.volumes import resample_mask
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_map, write_series

SHAPE = (6, 20, 16)
GRID = oblique_grid(SHAPE)
HEAD = head_of(SHAPE)


def nearest_by_hand(mask: np.ndarray, grid: Grid, target: Grid) -> np.ndarray:
    """Voxel by voxel: where is it, and which voxel of the mask is there?"""
    result = np.zeros(target.shape, dtype=bool)
    to_mask = np.linalg.inv(grid.ijk_to_ras) @ target.ijk_to_ras
    for k, j, i in np.ndindex(target.shape):
        x, y, z = np.rint((to_mask @ [i, j, k, 1])[:3]).astype(int)
        if 0 <= x < mask.shape[2] and 0 <= y < mask.shape[1] and 0 <= z < mask.shape[0]:
            result[k, j, i] = mask[z, y, x]
    return result


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_a_mask_on_the_grid_of_the_series(tmp_path: Path, ending: str, dtype: type) -> None:
    write_map(tmp_path / f"mask{ending}", HEAD.astype(dtype), GRID)
    mask, notes = read_mask(tmp_path / f"mask{ending}", GRID)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, HEAD)
    assert notes == ()


def test_probabilities_above_one_half_and_all_labels_are_inside(tmp_path: Path) -> None:
    values = np.where(HEAD, 0.7, 0.2).astype(np.float32)
    values[3, 10, 8] = 1035
    write_map(tmp_path / "mask.nii.gz", values, GRID)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", GRID)[0], HEAD)


def test_a_mask_on_another_grid_is_resampled_with_a_note(tmp_path: Path) -> None:
    tilt = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, -1]])
    own = Grid.from_lps((30, 40, 44), np.array([-25.3, -40.2, 50.9]), np.array([1.1, 1.3, 1.7]), tilt)
    k, j, i = np.indices(own.shape)
    blob = ((i - 20) / 15) ** 2 + ((j - 22) / 12) ** 2 + ((k - 17) / 9) ** 2 < 1
    write_map(tmp_path / "mask.nrrd", blob, own)
    mask, notes = read_mask(tmp_path / "mask.nrrd", GRID)
    expected = nearest_by_hand(blob, own, GRID)
    assert expected.sum() > 200
    np.testing.assert_array_equal(mask, expected)
    assert notes == (
        "mask.nrrd is on another grid (44 x 40 x 30) and was resampled to that of the series (16 x 20 x 6).",
    )


def test_a_mask_with_its_axes_turned_round_is_the_same_mask(tmp_path: Path) -> None:
    flip = np.diag([-1.0, -1, 1, 1])
    flip[:2, 3] = [SHAPE[2] - 1, SHAPE[1] - 1]
    turned = Grid(SHAPE, GRID.ijk_to_ras @ flip)
    write_map(tmp_path / "mask.nii.gz", HEAD[:, ::-1, ::-1], turned)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.nii.gz", GRID)[0], HEAD)


def test_resampling_there_and_back_keeps_a_coarse_mask() -> None:
    fine = Grid(tuple(3 * n for n in SHAPE), GRID.ijk_to_ras @ np.diag([1 / 3, 1 / 3, 1 / 3, 1]))
    fine.ijk_to_ras[:3, 3] -= fine.ijk_to_ras[:3, :3] @ [1, 1, 1]
    there = resample_mask(HEAD, GRID, fine)
    assert there.sum() == 27 * HEAD.sum()
    np.testing.assert_array_equal(resample_mask(there, fine, GRID), HEAD)


@pytest.mark.parametrize("value", [0, 0.3, -1, np.nan])
def test_an_empty_mask(tmp_path: Path, value: float) -> None:
    write_map(tmp_path / "mask.nii.gz", np.full(SHAPE, value, np.float32), GRID)
    with pytest.raises(InputError, match=r"mask\.nii\.gz: is empty: no voxel is above 0\.5; give a mask"):
        read_mask(tmp_path / "mask.nii.gz", GRID)


def test_a_mask_somewhere_else(tmp_path: Path) -> None:
    away = Grid(SHAPE, GRID.ijk_to_ras.copy())
    away.ijk_to_ras[0, 3] += 500
    write_map(tmp_path / "mask.nii.gz", HEAD, away)
    with pytest.raises(InputError, match=r"mask\.nii\.gz: lies outside of the series; check"):
        read_mask(tmp_path / "mask.nii.gz", GRID)


def test_a_series_is_no_mask_and_a_folder_is_no_map(tmp_path: Path) -> None:
    write_series(tmp_path / "dsc.nii.gz", make_series(20, SHAPE))
    with pytest.raises(InputError, match="holds 20 volumes, and one is needed"):
        read_mask(tmp_path / "dsc.nii.gz", GRID)
    with pytest.raises(InputError, match="is a folder, not a file"):
        read_map(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_map(tmp_path / "no.nii.gz")
