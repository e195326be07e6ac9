"""What a file or folder says about its series, before its voxels are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.series import Grid, SimulatedDose
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress


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
