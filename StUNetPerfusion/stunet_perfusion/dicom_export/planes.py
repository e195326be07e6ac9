"""From a grid to the planes of DICOM images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from pydicom.valuerep import format_number_as_ds

from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

#: Headers and NIfTI files round; voxels that are this close are the same, mm.
_SAME_PLACE = 0.01


@dataclass(frozen=True, eq=False)
class Planes:
    """Parallel slices of one orientation, mm, left-posterior-superior, along their right-handed normal.

    :param orientation: (6,) direction cosines of a row, then of a column
    :param positions: (Z, 3) centers of the first pixels
    :param pixel_spacing: from row to row, then from column to column
    :param slice_spacing: from slice to slice
    """

    orientation: np.ndarray
    positions: np.ndarray
    pixel_spacing: tuple[float, float]
    slice_spacing: float

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector across the slices."""
        return np.cross(self.orientation[:3], self.orientation[3:])


def planes_of(grid: Grid) -> Planes:
    """The planes of a right-handed grid, in numbers that DICOM holds exactly: 16 characters at most."""
    direction, spacing = grid.lps_direction, grid.spacing
    steps = np.arange(grid.shape[0])[:, None] * spacing[2] * direction[:, 2]
    row_spacing, column_spacing, slice_spacing = _as_written(spacing[[1, 0, 2]])
    return Planes(
        orientation=_as_written(np.concatenate([direction[:, 0], direction[:, 1]])),
        positions=_as_written(grid.lps_origin + steps),
        pixel_spacing=(float(row_spacing), float(column_spacing)),
        slice_spacing=float(slice_spacing),
    )


def right_handed(volume: np.ndarray, grid: Grid, name: str) -> tuple[np.ndarray, Grid]:
    """The same voxels, with slices that follow the normal of their rows and columns.

    :param volume: (Z, Y, X)
    :param name: what messages call the grid
    :raises InputError: axes that are not at right angles, which DICOM cannot hold
    """
    if np.linalg.det(grid.lps_direction) < 0:
        volume, grid = _reordered(volume, grid, (0, 1, 2), (True, False, False))
    upright = _with_right_angles(grid)
    if not upright.matches(grid, _SAME_PLACE):
        raise InputError(
            name, "has axes that are not at right angles, which DICOM images need", "resample it onto an upright grid"
        )
    return volume, upright


def brought_onto(volume: np.ndarray, grid: Grid, target: Grid) -> np.ndarray | None:
    """The volume with its axes in the order and direction of another grid on the same voxels.

    Conversion to NIfTI often flips rows, or stores slices the other way around.

    :param volume: (Z, Y, X) on `grid`
    :returns: of the shape of `target`, or None where the voxels are at other places
    """
    for order in permutations(range(3)):
        if tuple(grid.shape[axis] for axis in order) != tuple(target.shape):
            continue
        for flips in product((False, True), repeat=3):
            candidate, own = _reordered(volume, grid, order, flips)
            if own.matches(target, _SAME_PLACE):
                return candidate
    return None


def _as_written(numbers: np.ndarray) -> np.ndarray:
    # + 0.0 turns -0.0 into 0.0
    written = [float(format_number_as_ds(float(number) + 0.0)) for number in numbers.ravel()]
    return np.array(written).reshape(numbers.shape)


def _reordered(
    volume: np.ndarray, grid: Grid, order: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[np.ndarray, Grid]:
    """Permute axes of a volume, then flip some.

    :param order: the old axis (of Z, Y, X) that becomes each new one
    :param flips: whether each new axis is flipped
    """
    slices, rows, columns = shape = tuple(grid.shape[axis] for axis in order)
    matrix = grid.ijk_to_ras.copy()
    # Columns of the matrix are i, j, k: the axes of the array, backward.
    matrix[:, :3] = grid.ijk_to_ras[:, [2 - order[2 - column] for column in range(3)]]
    for axis, flip in enumerate(flips):
        if flip:
            column = 2 - axis
            matrix[:, 3] += (shape[axis] - 1) * matrix[:, column]
            matrix[:, column] *= -1
    turned = np.flip(volume.transpose(order), [axis for axis, flip in enumerate(flips) if flip])
    return turned, Grid((slices, rows, columns), matrix)


def _with_right_angles(grid: Grid) -> Grid:
    """The nearest grid whose axes are orthogonal."""
    left, _, right = np.linalg.svd(grid.lps_direction)
    return Grid.from_lps(grid.shape, grid.lps_origin, grid.spacing, left @ right)
