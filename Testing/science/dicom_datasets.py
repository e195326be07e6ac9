"""What MR scanners write into every DICOM file of a synthetic series: patient, study, equipment, geometry, pixels."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from stunet_perfusion.series import DscSeries

#: Date and time of day (seconds) at which the first frame is taken.
DATE = "20240517"
START = 10 * 3600.0 + 15 * 60 + 12.25


def time_of_day(seconds: float) -> str:
    """A DICOM time."""
    seconds = seconds % 86400
    return f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}"


def date_and_time(seconds: float) -> str:
    """A DICOM date and time, `seconds` after the midnight before DATE."""
    return DATE + time_of_day(seconds)


def decimal(value: float) -> str:
    """A decimal string, of at most 16 characters."""
    return f"{value:.9g}"


def series_dataset(
    series: DscSeries,
    sop_class: str = MRImageStorage,
    *,
    maker: str,
    model: str,
    description: str = "ep2d_perf",
    number: int = 7,
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> FileDataset:
    """What all objects of a series have in common. Copies of it are filled by `new_object`."""
    dataset = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.Modality, dataset.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.Manufacturer, dataset.ManufacturerModelName = maker, model
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "1", "1"
    dataset.PatientName, dataset.PatientID = "Nobody^Phantom", "phantom"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientPosition = "", "O", "HFS"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = time_of_day(START - 60)
    dataset.AccessionNumber, dataset.ReferringPhysicianName, dataset.StudyID = "", "", "1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = generate_uid(), ""
    dataset.SeriesNumber, dataset.SeriesDescription = number, description
    dataset.BodyPartExamined, dataset.MagneticFieldStrength = "BRAIN", "3"
    _, rows, columns = series.grid.shape
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    return dataset


def new_object(common: FileDataset) -> FileDataset:
    """A copy with a UID of its own."""
    dataset = copy.deepcopy(common)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    return dataset


def add_mr_tags(dataset: Dataset, series: DscSeries) -> None:
    """What a single-frame image says of the sequence."""
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "EP", "SK", ""
    dataset.MRAcquisitionType, dataset.EchoTrainLength, dataset.FlipAngle = "2D", 1, "60"
    dataset.EchoTime = decimal(1000 * series.echo_time)
    dataset.RepetitionTime = decimal(1000 * series.frame_interval)


def slice_position(series: DscSeries, z: float) -> np.ndarray:
    """(3,) center of the first pixel of a slice, mm, left-posterior-superior."""
    return series.grid.lps_origin + z * series.grid.spacing[2] * series.grid.lps_direction[:, 2]


def orientation(series: DscSeries) -> list[str]:
    """Direction cosines of rows and columns."""
    return [f"{value:.12f}" for value in series.grid.lps_direction[:, :2].T.ravel()]


def pixel_spacing(series: DscSeries) -> list[str]:
    """Between rows, and between columns, mm."""
    return [decimal(series.grid.spacing[1]), decimal(series.grid.spacing[0])]


def add_place(dataset: Dataset, series: DscSeries, z: int) -> None:
    """Geometry of a single-frame image."""
    dataset.ImagePositionPatient = [decimal(value) for value in slice_position(series, z)]
    dataset.ImageOrientationPatient = orientation(series)
    dataset.PixelSpacing = pixel_spacing(series)
    dataset.SliceThickness = dataset.SpacingBetweenSlices = decimal(series.grid.spacing[2])


def stored(signal: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """The 16-bit integers of which `slope * stored + intercept` is the signal, exactly."""
    values = (signal - intercept) / slope
    integers = values.astype(np.uint16)
    assert np.array_equal(integers, values), "the signal is not of this slope and intercept"
    return integers


def item(**values: object) -> Sequence:
    """A sequence of one item."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def save(dataset: FileDataset, folder: Path, name: str) -> None:
    """Write a file, with whatever name."""
    dataset.save_as(folder / name, enforce_file_format=True)
