"""Where the brain is, and the mean signal curve inside it."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.errors import InputError
from stunet_perfusion.series import DscSeries

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
    mean = mean_image(series)
    head = head_mask(mean)
    radius = [max(1, round(DETACHING_RADIUS / step)) for step in series.grid.spacing[:2]]
    kernel = [min(r, max(n // 8, 1)) for r, n in zip(radius, mean.shape[:0:-1], strict=True)] + [0]
    image = sitk.GetImageFromArray(head.astype(np.uint8))
    # Beyond the edge of the image counts as brain: a brain that touches the edge is not eroded there.
    core = _large_parts(sitk.BinaryErode(image, kernel, sitk.sitkBall, 0, 1, True))
    if core is None:
        core = _large_parts(image)
    if core is None:
        raise InputError(
            series.name, "has no brain that stands out from the background", "give a brain mask with --mask FILE"
        )
    grown = sitk.BinaryDilate(core, [r + 1 if r else 0 for r in kernel], sitk.sitkBall, 0, 1)
    brain = sitk.GetArrayFromImage(sitk.And(grown, image)).astype(bool)
    for z in range(len(brain)):
        ndimage.binary_fill_holes(brain[z], output=brain[z])
    return brain


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
    return series.signal.mean(axis=0, dtype=np.float32)


def mean_curve(series: DscSeries, mask: np.ndarray) -> np.ndarray:
    """Mean signal inside a mask, frame by frame; no copy larger than a slice is made.

    :param mask: (Z, Y, X) bool, not empty
    :returns: (T,) float64
    """
    total = np.zeros(series.frames)
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        total += series.signal[:, z][:, mask[z]].sum(axis=1, dtype=np.float64)
    return total / np.count_nonzero(mask)


def _large_parts(image: sitk.Image) -> sitk.Image | None:
    """The largest connected part of a binary image and those nearly as large, or None where it is empty."""
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(image))
    sizes = np.bincount(sitk.GetArrayViewFromImage(parts).ravel())[1:]
    if not len(sizes):
        return None
    return sitk.BinaryThreshold(parts, 1, int(np.count_nonzero(sizes >= LARGE_PART * sizes[0])))
