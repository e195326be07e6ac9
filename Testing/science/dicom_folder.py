"""Folders of single-frame MR DICOM files, as a scanner would write a synthetic series."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from stunet_perfusion.series import DscSeries

#: Seconds since midnight at which the first frame is taken.
START = 10 * 3600.0 + 15 * 60 + 12.25

#: Stored values are `(signal - INTERCEPT) / SLOPE`.
SLOPE, INTERCEPT = 0.125, -8.0

#: The tags that tell when a frame was taken, beside InstanceNumber, which every file has.
TIME_TAGS = ("AcquisitionTime", "TriggerTime", "TemporalPositionIdentifier")


def write_dicom_folder(
    folder: Path,
    series: DscSeries,
    *,
    tags: tuple[str, ...] = TIME_TAGS,
    start: float = START,
    slice_delay: float = 0.0,
    description: str = "ep2d_perf",
    number: int = 7,
    change: Callable[[FileDataset, int, int], bool | None] = lambda dataset, frame, z: None,
    seed: int = 0,
) -> Path:
    """Write one file for every slice of every frame, in an order and with names that tell nothing.

    :param tags: which of TIME_TAGS to write
    :param start: time of day of the first frame, seconds
    :param slice_delay: seconds between the acquisition of two neighboring slices
    :param change: may change each dataset, given frame and slice; where it returns False the file is left out
    :returns: the folder
    """
    folder.mkdir(parents=True, exist_ok=True)
    series_uid, study_uid, frame_uid = (generate_uid() for _ in range(3))
    names = np.random.default_rng(seed).permutation(series.signal.shape[0] * series.signal.shape[1])
    for frame in range(series.frames):
        for z in range(series.signal.shape[1]):
            index = frame * series.signal.shape[1] + z
            dataset = _image(series, frame, z)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
            dataset.FrameOfReferenceUID = frame_uid
            dataset.SeriesNumber, dataset.SeriesDescription = number, description
            dataset.InstanceNumber = index + 1
            taken = start + series.times[frame] - series.times[0] + z * slice_delay
            if "AcquisitionTime" in tags:
                dataset.AcquisitionTime = time_of_day(taken)
            if "TriggerTime" in tags:
                dataset.TriggerTime = f"{1000 * (taken - start):.6g}"
            if "TemporalPositionIdentifier" in tags:
                dataset.TemporalPositionIdentifier = frame + 1
            if change(dataset, frame, z) is not False:
                dataset.save_as(folder / f"IM{names[index]:05d}", enforce_file_format=True)
    return folder


def time_of_day(seconds: float) -> str:
    """A DICOM time."""
    seconds = seconds % 86400
    return f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}"


def _image(series: DscSeries, frame: int, z: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.PatientName, dataset.PatientID = "Nobody^Phantom", "phantom"
    dataset.ScanningSequence, dataset.SequenceVariant = "EP", "SK"
    if series.echo_time is not None:
        dataset.EchoTime = f"{1000 * series.echo_time:g}"
    dataset.RepetitionTime = f"{1000 * series.frame_interval:g}"
    _place(dataset, series, z)
    stored = np.rint((series.signal[frame, z] - INTERCEPT) / SLOPE).astype(np.uint16)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = SLOPE, INTERCEPT
    dataset.PixelData = stored.tobytes()
    return dataset


def _place(dataset: FileDataset, series: DscSeries, z: int) -> None:
    direction, spacing = series.grid.lps_direction, series.grid.spacing
    position = series.grid.lps_origin + z * spacing[2] * direction[:, 2]
    dataset.ImagePositionPatient = [f"{value:.9g}" for value in position]
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in direction[:, :2].T.ravel()]
    dataset.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{spacing[2]:.10g}"
