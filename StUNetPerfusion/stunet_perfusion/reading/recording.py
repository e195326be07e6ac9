"""What a file or folder says about its series, before its voxels are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.series import Grid, SimulatedDose
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress

#: mm; smaller and larger voxels are of other worlds.
_VOXEL_SIZES = (1e-3, 1e3)

#: Of the parallelepiped of the axes' unit vectors: less, and they are in one plane.
_LEAST_VOLUME = 1e-3

#: mm from the scanner's middle.
_FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class Recording:
    """The header of a series. Bad headers are refused, and times decided, before gigabytes are read.

    :param frames: T
    :param grid: geometry of every frame
    :param times: (T,) seconds, or None where the file does not say
    :param echo_time: seconds, or None where the file does not say
    :param notes: what was decided while reading the header
    :param load: reads the voxels into one new (T, Z, Y, X) float32 array
    :param simulated: how the dose was lowered in software, where the file says so
    """

    frames: int
    grid: Grid
    times: np.ndarray | None
    echo_time: float | None
    notes: tuple[str, ...]
    load: Callable[[Progress], np.ndarray]
    simulated: SimulatedDose | None = None


def check_grid(name: str, grid: Grid) -> Grid:
    """Refuse a geometry that no scanner has.

    :raises InputError: numbers that are none, axes in one plane, voxels of other than 0.001 to 1000 mm, or a place
        kilometers away
    """
    matrix = grid.ijk_to_ras
    if np.isfinite(matrix).all():
        sizes = np.abs(matrix[:3, :3]).max(axis=0)
        if (sizes > _VOXEL_SIZES[0] / 2).all() and (sizes <= _VOXEL_SIZES[1]).all():
            volume = abs(np.linalg.det(matrix[:3, :3] / grid.spacing))
            if volume > _LEAST_VOLUME and np.abs(matrix[:3, 3]).max() < _FARTHEST:
                return grid
    raise InputError(name, "has a geometry that is not invertible or that no scanner has", "export or convert it again")


def empty_signal(name: str, frames: int, grid: Grid) -> np.ndarray:
    """A (T, Z, Y, X) float32 array to be filled, the only one of that size that reading a series needs.

    :raises InputError: it does not fit into memory
    """
    shape = (frames, *grid.shape)
    try:
        return np.empty(shape, dtype=np.float32)
    except (MemoryError, ValueError) as error:
        gigabytes = np.prod(np.array(shape, dtype=float)) * 4 / 1e9
        raise InputError(
            name,
            f"has {' x '.join(map(str, shape))} voxels, which need {gigabytes:.1f} GB of memory",
            "close other programs, crop the series, or check that its header is intact",
        ) from error
