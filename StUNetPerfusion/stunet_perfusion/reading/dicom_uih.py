"""United Imaging's grids: all slices of a frame side by side in one image.

The tiles fill the image row by row, with as many columns as the square root of their number, rounded up. Where each
slice is stands in a private sequence (known from dcm2niix's source, github.com/rordenlab/dcm2niix).
"""

from __future__ import annotations

import math
from pathlib import Path

import pydicom

from stunet_perfusion.reading.dicom_headers import ImageHeader, PixelSource, image_header, image_values
from stunet_perfusion.support.errors import InputError

_MANUFACTURER, _SLICES, _POSITIONS = 0x00080070, 0x00651050, 0x00651051
_CREATORS = tuple((0x0065 << 16) + block for block in range(0x10, 0x18))

#: What is read of a file, as tags.
UIH_TAGS = (_MANUFACTURER, *_CREATORS, _SLICES, _POSITIONS)


def is_uih_grid(dataset: pydicom.Dataset) -> bool:
    """Whether the image type says so, or the private sequence is there."""
    manufacturer = str(dataset.get("Manufacturer") or "").upper()
    if not manufacturer.startswith(("UIH", "UNITED IMAGING")):
        return False
    return "VFRAME" in (dataset.get("ImageType") or ()) or _POSITIONS in dataset


def uih_images(path: Path, dataset: pydicom.Dataset, syntax: str, uid: str) -> list[ImageHeader]:
    """One header a slice.

    :raises InputError: the header does not say where the slices are
    """
    items = dataset[_POSITIONS].value if _POSITIONS in dataset else None
    if not isinstance(items, pydicom.Sequence) or not len(items):
        raise InputError(
            path,
            "is a grid of slices by United Imaging (VFRAME) that does not say where they are (private tag (0065,1051))",
            "export the series with its private tags or as single slices, or convert it with dcm2niix",
        )
    columns = math.ceil(math.sqrt(len(items)))
    rows = math.ceil(len(items) / columns)
    shape = int(dataset.Rows) // rows, int(dataset.Columns) // columns
    if (shape[0] * rows, shape[1] * columns) != (int(dataset.Rows), int(dataset.Columns)):
        raise InputError(
            path,
            f"is a grid of {dataset.Columns} x {dataset.Rows} pixels, which {len(items)} slices do not fill evenly",
            "export the series again",
        )
    values = image_values(dataset)
    return [
        image_header(
            values | image_values(item),
            PixelSource(path, syntax, corner=(z // columns * shape[0], z % columns * shape[1])),
            f"{uid}/{z}",
            shape,
        )
        for z, item in enumerate(items)
    ]
