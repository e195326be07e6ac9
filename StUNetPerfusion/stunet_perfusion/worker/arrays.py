"""Arrays that come as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stunet_perfusion.support.errors import InputError


def read_array(path: Path, mapped: bool = False) -> np.ndarray:
    """The array of a .npy file.

    :param mapped: read-only, its pages read when they are looked at, instead of a copy in memory
    :raises InputError: no such file, or no array in it
    """
    try:
        # A plain array, not numpy's memmap, whose every slice would drag the file along.
        return np.asarray(np.load(path, mmap_mode="r" if mapped else None))
    except FileNotFoundError:
        raise InputError(path, "does not exist", "write the array before asking for it") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, f"is no .npy file, or is damaged ({error})", "write the array again") from None


def read_mask(path: Path, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A mask on the grid of a series.

    :param shape: (Z, Y, X) of the series
    :param name: what messages call the mask
    :returns: (Z, Y, X) bool
    :raises InputError: no such file, another shape, or no voxel in it
    """
    mask = read_array(path)
    if mask.shape != shape:
        raise InputError(
            name, f"has {mask.shape} voxels (slices, rows, columns), not {shape}", "draw it on the grid of the series"
        )
    if not mask.any():
        raise InputError(name, "is empty", "draw it, or choose none")
    return mask.astype(bool)
