"""Where the brain is, and the mean signal curve inside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.errors import InputError, Setting

#: What holds the brain to the scalp in a thresholded image (optic nerves, vessels, partial volume) is thinner
#: than twice this radius, mm.
DETACHING_RADIUS = 3.0

#: Parts of at least this share of the largest one belong to the brain as well: in a single slice the falx may part the
#: hemispheres.
LARGE_PART = 0.25


def brain_mask(series: DscSeries) -> np.ndarray:
    """The brain, found in the mean image over time.

    Otsu's threshold separates head from air; the image is eroded within the slices, its largest connected part is
    kept, with others that are nearly as large, and grown back, which leaves scalp and eyes behind; holes are filled
    slice by slice, which fills those of the volume as well. Gradient-echo EPI with fat suppression has little signal
    outside the brain, so that no more is needed.

    :param series: a DSC series; unsteady first frames do no harm
    :returns: (Z, Y, X) bool
    :raises InputError: nothing stands out from the background
    """
    head = head_mask(mean_image(series))
    radius = [max(1, round(DETACHING_RADIUS / step)) for step in series.grid.spacing[:2]]
    column, row = (min(r, max(n // 8, 1)) for r, n in zip(radius, head.shape[:0:-1], strict=True))
    # Beyond the edge of the image counts as brain: a brain that touches the edge is not eroded there.
    detaching = _ellipse(row, column)
    core = _large_parts(_each_slice(lambda z: ndimage.binary_erosion(head[z], detaching, border_value=1), head))
    if core is None:
        core = _large_parts(head)
    if core is None:
        fact = "has no brain that stands out from the background"
        raise InputError(series.name, fact, "give a brain mask", Setting.MASK)
    growing = _ellipse(row + 1, column + 1)

    def grown(z: int) -> np.ndarray:
        return ndimage.binary_fill_holes(ndimage.binary_dilation(core[z], growing) & head[z])

    return _each_slice(grown, head)


def head_mask(image: np.ndarray) -> np.ndarray:
    """Everything that is brighter than Otsu's threshold between air and tissue.

    :param image: (Z, Y, X)
    :returns: (Z, Y, X) bool
    """
    # A few very bright voxels (eyes, inflow) would stretch the histogram and pull the threshold up.
    clipped = np.minimum(image, np.percentile(image, 99.0)).astype(np.float32)
    otsu = sitk.OtsuThreshold(sitk.GetImageFromArray(clipped), 0, 1, 256)
    return sitk.GetArrayFromImage(otsu).astype(bool)


def mean_image(series: DscSeries) -> np.ndarray:
    """(Z, Y, X) float32 mean over time."""
    return _each_slice(lambda z: series.signal[:, z].mean(axis=0, dtype=np.float32), series.signal[0])


def mean_curve(series: DscSeries, mask: np.ndarray) -> np.ndarray:
    """Mean signal inside a mask, frame by frame.

    :param mask: (Z, Y, X) bool, not empty
    :returns: (T,) float64
    """

    def sum_of(z: int) -> np.ndarray:
        # A third of the rows or more hold no brain, and the sum in double precision takes the time.
        inside = np.flatnonzero(mask[z].any(axis=1))
        rows = slice(inside[0], inside[-1] + 1)
        return np.einsum("tyx,yx->t", series.signal[:, z, rows], mask[z, rows].astype(np.float64))

    total = sum(by_slice(sum_of, np.flatnonzero(mask.any(axis=(1, 2)))), start=np.zeros(series.frames))
    return total / np.count_nonzero(mask)


def _ellipse(row_radius: int, column_radius: int) -> np.ndarray:
    """(2 r + 1, 2 c + 1) bool: the pixels of a slice that are at most these radii away, and half a pixel."""
    row, column = np.ogrid[-row_radius : row_radius + 1, -column_radius : column_radius + 1]
    return (row / (row_radius + 0.5)) ** 2 + (column / (column_radius + 0.5)) ** 2 <= 1


def _each_slice(function: Callable[[int], np.ndarray], volume: np.ndarray) -> np.ndarray:
    """What the function says of each slice of a volume, several at a time, as a volume."""
    return np.stack(list(by_slice(function, range(len(volume)))))


def _large_parts(mask: np.ndarray) -> np.ndarray | None:
    """The largest connected part of a mask and those nearly as large, or None where it is empty."""
    # The image has to live as long as its view.
    image = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))
    parts = sitk.GetArrayViewFromImage(image)
    sizes = np.bincount(parts.ravel())[1:]
    if not len(sizes):
        return None
    return (parts > 0) & (parts <= np.count_nonzero(sizes >= LARGE_PART * sizes[0]))
