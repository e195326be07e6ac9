"""Volumes for the phantom, turned so that all of it can count on their axes."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from stunet_perfusion.support.errors import InputError


def read_upright(path: Path, way_out: str) -> sitk.Image:
    """Read a volume and turn it so that columns run to the patient's left, rows to the back and slices to the head.

    Unlike `reading.read_map` it takes a file that says nothing of its orientation to be stored in that order, as
    SimpleITK does: tumor masks that lost their geometry are.

    :param way_out: what messages recommend
    :raises InputError: the file is missing, cannot be read, or is not 3-D
    """
    if not path.exists():
        raise InputError(path, "does not exist", way_out)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(path, "cannot be read as an image", way_out) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(path, "is not a 3-D volume", way_out)
    return sitk.DICOMOrient(image, "LPS")
