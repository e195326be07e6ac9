"""The DICOM images of a file or folder, read as far as their headers go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag

from stunet_perfusion.reading.dicom_enhanced import ENHANCED_TAGS, enhanced_images, is_enhanced
from stunet_perfusion.reading.dicom_headers import IMAGE_TAGS, ImageHeader, PixelSource, image_header, image_values
from stunet_perfusion.reading.dicom_mosaic import MOSAIC_TAGS, is_mosaic, mosaic_images
from stunet_perfusion.reading.dicom_philips import PHILIPS_TAGS, philips_values, scale_slope
from stunet_perfusion.reading.dicom_uih import UIH_TAGS, is_uih_grid, uih_images
from stunet_perfusion.reading.packed_files import refuse_packed
from stunet_perfusion.support.dicom_dataset import read_header
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.folders import files_below
from stunet_perfusion.support.progress import Progress

_FILE_TAGS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
)

_SPECIFIC_TAGS = [
    *map(Tag, _FILE_TAGS),
    *map(Tag, IMAGE_TAGS),
    *ENHANCED_TAGS,
    *map(Tag, MOSAIC_TAGS),
    *map(Tag, PHILIPS_TAGS),
    *map(Tag, UIH_TAGS),
]

#: Of one image: the largest mosaics have a tenth of it.
_MOST_PIXELS = 4096 * 4096

#: Every file is opened and read in turn; the progress is told after so many of them.
_FILES_PER_REPORT = 50


@dataclass(frozen=True)
class SeriesName:
    """By what people and machines call a series."""

    uid: str
    number: str
    description: str

    def __str__(self) -> str:
        described = f"'{self.description or 'without description'}'"
        return f"series {self.number} {described}" if self.number else described


@dataclass(frozen=True, eq=False)
class DicomFile:
    """A file with images.

    :param images: one a slice and frame
    :param problem: why it cannot be used; raised only where its series is the one that is wanted
    """

    path: Path
    series: SeriesName
    images: Sequence[ImageHeader]
    problem: InputError | None


def read_files(folder: Path, progress: Progress) -> list[DicomFile]:
    """All files with images in a folder and the folders below it. Other files are passed over.

    :raises InputError: there is none
    """
    paths = sorted(files_below(folder))
    if not paths:
        raise InputError(folder, "is empty", "give a folder with the DICOM files of one series")
    files = []
    for number, path in enumerate(paths):
        file = read_file(path)
        if file is not None:
            files.append(file)
        if number % _FILES_PER_REPORT == 0:
            progress(number / len(paths), f"reading DICOM header {number + 1} of {len(paths)}")
    if not files:
        refuse_packed(folder, paths)
        raise InputError(folder, "holds no DICOM images", "give the folder with the DICOM files of one series")
    return files


def read_file(path: Path) -> DicomFile | None:
    """One file; None where it holds no DICOM image.

    :raises InputError: it is damaged
    """
    try:
        return _described(path, read_header(path, _SPECIFIC_TAGS))
    except InvalidDicomError:
        return None
    except InputError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        # pydicom raises many kinds of errors for damaged files, some of them only when a value is asked for.
        reason = error.strerror if isinstance(error, OSError) else None
        fact = f"cannot be read ({reason})" if reason else "is damaged: its DICOM header cannot be read"
        raise InputError(path, fact, "copy or export the series again") from error


def _described(path: Path, dataset: pydicom.Dataset) -> DicomFile | None:
    if "Rows" not in dataset or "SeriesInstanceUID" not in dataset:
        # A DICOMDIR, a report, a presentation state.
        return None
    series = SeriesName(
        str(dataset.SeriesInstanceUID),
        str(dataset.get("SeriesNumber") or ""),
        str(dataset.get("SeriesDescription") or "").strip(),
    )
    try:
        return DicomFile(path, series, _images(path, dataset), None)
    except InputError as error:
        return DicomFile(path, series, (), error)


def _images(path: Path, dataset: pydicom.Dataset) -> list[ImageHeader]:
    """The images of a file.

    :raises InputError: it holds none that can be a part of a series
    """
    _refuse_what_is_no_mr(path, dataset)
    _refuse_giants(path, dataset)
    syntax = str(dataset.file_meta.get("TransferSyntaxUID") or "")
    uid = str(dataset.get("SOPInstanceUID") or path)
    try:
        if is_enhanced(dataset):
            return enhanced_images(path, dataset, syntax, uid)
        _refuse_frames_without_place(path, dataset)
        if is_uih_grid(dataset):
            return uih_images(path, dataset, syntax, uid)
        values = image_values(dataset) | philips_values(dataset)
        shape = int(dataset.Rows), int(dataset.Columns)
        image = image_header(values, PixelSource(path, syntax), uid, shape, scale_slope(dataset))
        return mosaic_images(image, dataset) if is_mosaic(dataset) else [image]
    except (AttributeError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            path, "does not say where its slice is in the patient", "give the original images, not screen captures"
        ) from error


def _refuse_what_is_no_mr(path: Path, dataset: pydicom.Dataset) -> None:
    if dataset.get("Modality") != "MR":
        raise InputError(path, f"is a {dataset.get('Modality') or 'unknown'} image, not MR", "give a DSC MRI series")
    if _count(path, dataset, "SamplesPerPixel") != 1:
        raise InputError(path, "is a color image", "give the original images, not screen captures or color maps")


def _refuse_giants(path: Path, dataset: pydicom.Dataset) -> None:
    """An image is made whole, and its decoder believes its header."""
    rows, columns = _count(path, dataset, "Rows"), _count(path, dataset, "Columns")
    if not 0 < rows * columns <= _MOST_PIXELS:
        fact = f"announces an image of {columns} x {rows} pixels, which no scanner makes"
        raise InputError(path, fact, "copy or export the series again")


def _refuse_frames_without_place(path: Path, dataset: pydicom.Dataset) -> None:
    if _count(path, dataset, "NumberOfFrames") > 1:
        raise InputError(
            path,
            "is a multi-frame DICOM file that does not say where its frames are",
            "convert the series to NIfTI first, for example with dcm2niix",
        )


def _count(path: Path, dataset: pydicom.Dataset, keyword: str) -> int:
    """A whole number of the header; 1 where it says nothing."""
    try:
        return int(dataset.get(keyword) or 1)
    except (TypeError, ValueError, OverflowError, BytesLengthException) as error:
        raise InputError(
            path, f"has a damaged header ({keyword} is no whole number)", "copy or export the series again"
        ) from error
