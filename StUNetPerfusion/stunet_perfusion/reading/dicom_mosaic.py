"""Siemens mosaics: all slices of a frame side by side in one image.

The tiles fill a square from its upper left corner, row by row. The header's position is that of a corner of the whole
mosaic, laid out as if its middle were that of the slice; where the slices are, and which way they run, follows from it
and from the private header (known from nibabel's documentation, nipy.org/nibabel/dicom/dicom_mosaic.html).
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom

from stunet_perfusion.reading.dicom_headers import ImageHeader
from stunet_perfusion.reading.siemens_csa import read_csa
from stunet_perfusion.support.errors import InputError

#: Group, creator and element of the number of images, and of the private "CSA" header.
_IMAGES = (0x0019, "SIEMENS MR HEADER", 0x0A)
_CSA = (0x0029, "SIEMENS CSA HEADER", 0x10)

#: Blocks of a group in which a private tag may lie, beside those of other makers.
_BLOCKS = range(0x10, 0x18)

#: What is read of a file, as tags: creators of the blocks, and the elements in them.
MOSAIC_TAGS = tuple(
    (group << 16) + number
    for group, _, element in (_IMAGES, _CSA)
    for block in _BLOCKS
    for number in (block, (block << 8) + element)
)

#: Cosine of the largest angle between the slices' normal and the private header's.
_ALONG = 0.99


def is_mosaic(dataset: pydicom.Dataset) -> bool:
    """Whether the image type says so."""
    return "MOSAIC" in (dataset.get("ImageType") or ())


def mosaic_images(mosaic: ImageHeader, dataset: pydicom.Dataset) -> list[ImageHeader]:
    """One header a slice.

    :param mosaic: the header as if the mosaic were one image
    :raises InputError: the header does not say how many slices there are, or which way they run
    """
    path = mosaic.source.path
    private = _private(path, dataset)
    slices = _slices(path, dataset, private)
    tiles = math.ceil(math.sqrt(slices))
    rows, columns = (size // tiles for size in mosaic.shape)
    if (rows * tiles, columns * tiles) != mosaic.shape:
        raise InputError(
            path,
            f"is a mosaic of {mosaic.shape[1]} x {mosaic.shape[0]} pixels, which {slices} slices do not fill evenly",
            "export the series again",
        )
    to_first = (
        mosaic.row_direction * mosaic.column_spacing * (mosaic.shape[1] - columns) / 2
        + mosaic.column_direction * mosaic.row_spacing * (mosaic.shape[0] - rows) / 2
    )
    to_next = mosaic.normal * _direction(path, mosaic.normal, private) * mosaic.slice_spacing
    return [
        replace(
            mosaic,
            source=replace(mosaic.source, corner=(z // tiles * rows, z % tiles * columns)),
            uid=f"{mosaic.uid}/{z}",
            shape=(rows, columns),
            position=mosaic.position + to_first + z * to_next,
        )
        for z in range(slices)
    ]


def _private(path: Path, dataset: pydicom.Dataset) -> dict[str, tuple[str, ...]]:
    """The private header's tags; none where it was removed."""
    content = _private_value(dataset, *_CSA)
    if not isinstance(content, bytes):
        return {}
    try:
        return read_csa(content)
    except ValueError as error:
        raise InputError(path, f"is a mosaic of slices with {error}", "export the series again") from error


def _private_value(dataset: pydicom.Dataset, group: int, creator: str, element: int) -> object:
    """The value of a private element, in whichever block it lies; None where there is none."""
    try:
        return dataset.private_block(group, creator)[element].value
    except KeyError:
        return None


def _slices(path: Path, dataset: pydicom.Dataset, private: dict[str, tuple[str, ...]]) -> int:
    number = _private_value(dataset, *_IMAGES)
    # A tool that did not know the tag wrote it back as bytes of no type.
    told = str(number) if isinstance(number, int) else private.get("NumberOfImagesInMosaic", ("",))[0]
    if not told.isdigit() or int(told) < 1:
        raise InputError(
            path,
            "is a mosaic of slices that does not say how many there are, because its private tags were removed",
            "export the series again with Siemens' private tags (0019,100A) and (0029,1010), or as single slices",
        )
    return int(told)


def _direction(path: Path, normal: np.ndarray, private: dict[str, tuple[str, ...]]) -> int:
    """1 where the slices follow each other along their normal, -1 where against it."""
    try:
        along = np.array(private["SliceNormalVector"][:3], dtype=float) @ normal
    except (KeyError, ValueError):
        along = np.nan
    if not abs(along) > _ALONG:
        raise InputError(
            path,
            "is a mosaic of slices that does not say which way they run (private tag (0029,1010), SliceNormalVector)",
            "export the series again with Siemens' private tags, or as single slices",
        )
    return 1 if along > 0 else -1
