"""Masks and maps: volumes without frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stunet_perfusion.reading.door import readers_door
from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import no_progress

if TYPE_CHECKING:
    import SimpleITK as sitk


def read_map(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Read a volume.

    :returns: (Z, Y, X) float32 and its grid
    :raises InputError: missing, damaged, or more than one volume
    """
    path = Path(path)
    with readers_door(path):
        is_folder = path.is_dir()
    if is_folder:
        raise InputError(path, "is a folder, not a file", "give one NIfTI or NRRD file")
    recording = open_recording(path, no_progress)
    if recording.frames != 1:
        raise InputError(path.name, f"holds {recording.frames} volumes, and one is needed", "give a 3-D volume")
    with readers_door(path):
        return recording.load(no_progress)[0], recording.grid


def read_mask(path: str | Path, grid: Grid) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a mask, and bring it onto `grid` (nearest neighbor) where it is on another one.

    :param grid: the grid of the series
    :returns: (Z, Y, X) bool, true where the file is above 0.5 (labels, or probabilities), and notes
    :raises InputError: nothing is masked, or nothing inside the series
    """
    path = Path(path)
    volume, own_grid = read_map(path)
    mask = volume > 0.5
    if not mask.any():
        raise InputError(path.name, "is empty: no voxel is above 0.5", "give a mask that is 1 inside and 0 outside")
    if own_grid.matches(grid):
        return mask, ()
    mask = resample_mask(mask, own_grid, grid)
    if not mask.any():
        raise InputError(
            path.name,
            "lies outside of the series",
            "check that both come from the same patient, and that the mask kept its position in space",
        )
    sizes = " x ".join(map(str, own_grid.shape[::-1])), " x ".join(map(str, grid.shape[::-1]))
    return mask, (f"{path.name} is on another grid ({sizes[0]}) and was resampled to that of the series ({sizes[1]}).",)


def resample_mask(mask: np.ndarray, grid: Grid, target: Grid) -> np.ndarray:
    """The mask on another grid: every voxel takes the nearest voxel of the mask, and is false outside of it.

    :param mask: (Z, Y, X) bool on `grid`
    :returns: bool of the shape of `target`
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    _place(image, grid)
    reference = sitk.Image(*map(int, target.shape[::-1]), sitk.sitkUInt8)
    _place(reference, target)
    nearest = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return sitk.GetArrayFromImage(nearest).astype(bool)


def _place(image: sitk.Image, grid: Grid) -> None:
    image.SetOrigin(grid.lps_origin.tolist())
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection(grid.lps_direction.ravel().tolist())
