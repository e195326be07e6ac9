"""The hot spot of a region: the highest mean of a small disk, which gliomas are graded by.

The largest voxel of a map is noise; the mean of a region dilutes what is malignant in it. Readers put a small region of
interest where blood volume is highest (Wetzel 2002, Radiology 224:797; Law 2003, AJNR 24:1989), and this does the same
everywhere in the region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.support.errors import InputError

#: Diameter of the disk, voxels of a slice.
DIAMETER = 3.0


@dataclass(frozen=True, eq=False)
class HotSpot:
    """The disk with the highest mean.

    :param mean: of the map over the disk
    :param disk: (Z, Y, X) bool, its voxels
    :param center: slice, row, column
    """

    mean: float
    disk: np.ndarray
    center: tuple[int, int, int]


def hot_spot(values: np.ndarray, region: np.ndarray, diameter: float = DIAMETER) -> HotSpot:
    """Find it. The whole disk lies in the region; where the region is too thin for that, as much of it as anywhere.

    :param values: (Z, Y, X) a map
    :param region: (Z, Y, X) bool
    :param diameter: voxels, 1 or more
    :raises InputError: an empty region, or a diameter below one voxel
    """
    if not region.any():
        raise InputError("region", "is empty", "mark some voxels of it")
    if not diameter >= 1:
        raise InputError("hot spot", f"cannot be a disk of {diameter:g} voxels", "give a diameter of 1 or more")
    shape = disk_of(diameter)
    size = ndimage.convolve(region.astype(np.float64), shape[None], mode="constant")
    total = ndimage.convolve(np.where(region, values, 0).astype(np.float64), shape[None], mode="constant")
    whole = region & (size > size[region].max() - 0.5)
    means = np.where(whole, total / np.maximum(size, 1), -np.inf)
    slice_, row, column = (int(index) for index in np.unravel_index(int(np.argmax(means)), means.shape))
    disk = np.zeros_like(region)
    disk[slice_, row, column] = True
    disk[slice_] = ndimage.binary_dilation(disk[slice_], shape > 0) & region[slice_]
    return HotSpot(float(means.max()), disk, (slice_, row, column))


def disk_of(diameter: float) -> np.ndarray:
    """(n, n) float64, 1 where a pixel's center is in a disk around the middle pixel's."""
    reach = int(diameter // 2)
    row, column = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return (np.hypot(row, column) <= diameter / 2).astype(np.float64)
