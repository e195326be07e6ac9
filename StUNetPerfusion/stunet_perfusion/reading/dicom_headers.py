"""What the headers of DICOM files say, and which files make one series."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from stunet_perfusion.errors import InputError
from stunet_perfusion.progress import Progress

_TAGS = (
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "EchoTime",
    "RepetitionTime",
    "TemporalResolution",
    "AcquisitionTime",
    "TriggerTime",
    "TemporalPositionIdentifier",
    "InstanceNumber",
)

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """One slice of one frame. Times are seconds; lengths mm in left-posterior-superior."""

    path: Path
    uid: str
    series: str
    label: str
    shape: tuple[int, int]
    position: np.ndarray
    row_direction: np.ndarray
    column_direction: np.ndarray
    column_spacing: float
    row_spacing: float
    slice_spacing: float
    slope: float
    intercept: float
    echo_time: float | None
    repetition_time: float | None
    acquisition_time: float | None
    trigger_time: float | None
    temporal_position: float | None
    instance_number: float | None

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector across the slice, right-handed."""
        return np.cross(self.row_direction, self.column_direction)


def read_headers(folder: Path, progress: Progress) -> list[ImageHeader]:
    """Headers of all MR images in a folder and the folders below it. Files that are no DICOM images are passed over.

    :raises InputError: there is none; or an image that is no single slice in space
    """
    files = sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)
    if not files:
        raise InputError(folder, "is empty", "give a folder with the DICOM files of one series")
    headers = []
    for number, file in enumerate(files):
        header = _read_header(file)
        if header is not None:
            headers.append(header)
        if number % 50 == 0:
            progress(number / len(files), f"reading DICOM header {number + 1} of {len(files)}")
    if not headers:
        raise InputError(folder, "holds no DICOM images", "give the folder with the DICOM files of one series")
    return headers


def one_series(folder: Path, headers: list[ImageHeader]) -> list[ImageHeader]:
    """The headers, if they are of one series and one echo.

    :raises InputError: several series, which are listed, or several echoes
    """
    counts = Counter(header.series for header in headers)
    if len(counts) > 1:
        labels = {header.series: header.label for header in headers}
        listed = "; ".join(f"{labels[series]}, {count} files" for series, count in counts.most_common(6))
        raise InputError(
            folder, f"holds {len(counts)} series ({listed})", "give a folder that holds the files of one of them"
        )
    echoes = sorted({header.echo_time for header in headers if header.echo_time is not None})
    if len(echoes) > 1:
        listed = ", ".join(f"{1000 * echo:g} ms" for echo in echoes[:6])
        raise InputError(folder, f"holds images of {len(echoes)} echo times ({listed})", "give the files of one echo")
    return headers


def _read_header(file: Path) -> ImageHeader | None:
    """None where the file is no DICOM image."""
    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
    except InvalidDicomError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(file, f"cannot be read ({error})", "copy or export the series again") from error
    if "Rows" not in dataset or "SeriesInstanceUID" not in dataset:
        # A DICOMDIR, a report, a presentation state.
        return None
    _refuse_what_is_no_slice(file, dataset)
    try:
        return _image_header(file, dataset)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            file, "does not say where its slice is in the patient", "give the original images, not screen captures"
        ) from error


def _refuse_what_is_no_slice(file: Path, dataset: pydicom.Dataset) -> None:
    converter = "convert the series to NIfTI first, for example with dcm2niix"
    if _count(file, dataset, "NumberOfFrames") > 1:
        raise InputError(file, "is a multi-frame (enhanced) DICOM file", converter)
    if "MOSAIC" in (dataset.get("ImageType") or ()):
        raise InputError(file, "is a mosaic of slices", converter)
    if dataset.get("Modality") != "MR":
        raise InputError(file, f"is a {dataset.get('Modality') or 'unknown'} image, not MR", "give a DSC MRI series")
    if _count(file, dataset, "SamplesPerPixel") != 1:
        raise InputError(file, "is a color image", "give the original images, not screen captures or color maps")


def _count(file: Path, dataset: pydicom.Dataset, keyword: str) -> int:
    """A whole number of the header; 1 where it says nothing."""
    try:
        return int(dataset.get(keyword) or 1)
    except (TypeError, ValueError, BytesLengthException) as error:
        raise InputError(
            file, f"has a damaged header ({keyword} is no whole number)", "copy or export the series again"
        ) from error


def _image_header(file: Path, dataset: pydicom.Dataset) -> ImageHeader:
    orientation = np.array(dataset.ImageOrientationPatient, dtype=float)
    row_spacing, column_spacing = map(float, dataset.PixelSpacing)
    number = dataset.get("SeriesNumber")
    label = str(dataset.get("SeriesDescription") or "without description").strip()
    slope = dataset.get("RescaleSlope")
    return ImageHeader(
        path=file,
        uid=str(dataset.get("SOPInstanceUID") or file),
        series=str(dataset.SeriesInstanceUID),
        label=f"series {number} '{label}'" if number is not None else f"'{label}'",
        shape=(int(dataset.Rows), int(dataset.Columns)),
        position=np.array(dataset.ImagePositionPatient, dtype=float).reshape(3),
        row_direction=orientation[:3] / np.linalg.norm(orientation[:3]),
        column_direction=orientation[3:6] / np.linalg.norm(orientation[3:6]),
        column_spacing=column_spacing,
        row_spacing=row_spacing,
        slice_spacing=_number(dataset, "SpacingBetweenSlices") or _number(dataset, "SliceThickness") or 1.0,
        slope=1.0 if slope is None else float(slope),
        intercept=_number(dataset, "RescaleIntercept") or 0.0,
        echo_time=_seconds(dataset, "EchoTime"),
        repetition_time=_seconds(dataset, "TemporalResolution") or _seconds(dataset, "RepetitionTime"),
        acquisition_time=seconds_of_day(dataset.get("AcquisitionTime")),
        trigger_time=_seconds(dataset, "TriggerTime"),
        temporal_position=_number(dataset, "TemporalPositionIdentifier"),
        instance_number=_number(dataset, "InstanceNumber"),
    )


def _number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    value = dataset.get(keyword)
    return None if value is None or value == "" else float(value)


def _seconds(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """A time that DICOM keeps in milliseconds."""
    milliseconds = _number(dataset, keyword)
    return None if milliseconds is None else milliseconds / 1000


def seconds_of_day(text: object) -> float | None:
    """Seconds since midnight of a DICOM time, `HHMMSS.FFFFFF`, of which the end may be missing."""
    digits = str(text or "").strip().replace(":", "")
    if len(digits) < 6:
        return None
    return _SECONDS_PER_HOUR * int(digits[:2]) + 60.0 * int(digits[2:4]) + float(digits[4:])
