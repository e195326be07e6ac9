"""The patient, study and frame of reference that exported maps belong to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import generate_uid

from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.series import Grid
from stunet_perfusion.support.dicom_dataset import read_header
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.folders import files_below
from stunet_perfusion.support.progress import Progress, no_progress, part_of

#: What a derived object shares with its source: the modules Patient, Clinical Trial Subject, General Study, Patient
#: Study and Frame of Reference of DICOM PS3.3. Nothing else is copied, so that nothing else can identify anybody.
PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)
#: How the source was acquired: what an MR image has to say, and what a reader of the map wants to know.
ACQUISITION = (
    "SeriesNumber",
    "PatientPosition",
    "ContrastBolusAgent",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
)
#: Present in every DICOM object, though it may be empty (type 2).
MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
#: Characters of a Patient ID.
_LONGEST_ID = 64

_SAME_IN_ALL_FILES = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID")
_OF_EVERY_FILE = ("SOPClassUID", "SOPInstanceUID", "ImagePositionPatient", "Rows", "NumberOfFrames", "ImageType")
#: Files that are this close to the plane of a slice, as a share of the distance of slices, show that slice.
_IN_PLANE = 0.25


@dataclass(frozen=True, eq=False)
class SourceFile:
    """A file that maps were computed from.

    :param position: (3,) mm, or None where it holds more than one slice
    """

    sop_class: str
    sop_instance: str
    position: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Source:
    """What maps belong to.

    :param headers: the attributes of PATIENT_AND_STUDY and ACQUISITION that are known
    :param grid: where the voxels of the source are, or None where there is no source
    :param series: UID of the source's series, empty where there is no source
    :param files: of the source
    :param notes: what was decided, for people
    """

    headers: Dataset
    grid: Grid | None = None
    series: str = ""
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()

    def files_of_slice(self, position: np.ndarray, normal: np.ndarray, spacing: float) -> list[SourceFile]:
        """The files that show the slice at a place, besides those that hold more than one slice."""
        return [
            file
            for file in self.files
            if file.position is None or abs(normal @ (file.position - position)) < _IN_PLANE * spacing
        ]


def anonymous_source(patient_id: str = "") -> Source:
    """A new study of nobody, for maps that were not computed from DICOM.

    :param patient_id: as the user wants it
    :raises InputError: it is no Patient ID
    """
    if len(patient_id) > _LONGEST_ID or "\\" in patient_id or not patient_id.isprintable():
        raise InputError(
            Setting.PATIENT_ID,
            f"is no Patient ID: it has more than {_LONGEST_ID} characters, or such as DICOM has a use of its own for",
            "use letters and digits",
        )
    headers = Dataset()
    headers.StudyInstanceUID = generate_uid(None)
    headers.FrameOfReferenceUID = generate_uid(None)
    headers.PatientID = patient_id
    return Source(_with_empty(headers))


def read_source(folder: Path, progress: Progress = no_progress) -> Source:
    """Read whom a series belongs to, and where its voxels are.

    :param folder: with the DICOM files of the one series that the maps were computed from
    :raises InputError: as reading the series does; files of several studies, patients or frames of reference, or files
        that do not name their study
    """
    if not folder.is_dir():
        raise InputError(folder, "is no folder", "give the folder with the DICOM files of the series")
    with keeping_quiet_about_values():
        return _read_source(folder, progress)


@contextmanager
def keeping_quiet_about_values() -> Iterator[None]:
    """Without warnings: those of pydicom quote values that break a rule, such as a date of birth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read_source(folder: Path, progress: Progress) -> Source:
    recording = open_recording(folder, part_of(progress, 0.0, 0.6))
    datasets = list(_image_headers(folder, part_of(progress, 0.6, 1.0)))
    first = _complete_header(folder, datasets)
    for keyword in _SAME_IN_ALL_FILES:
        if len({str(dataset.get(keyword) or "") for _, dataset in datasets}) > 1:
            raise InputError(
                folder, f"holds files that differ in {keyword}", "give the folder with the files of one series"
            )
    if not first.get("StudyInstanceUID"):
        raise InputError(folder, "has files that do not name their study", "give the original files of the scanner")
    notes: tuple[str, ...] = ()
    headers = _chosen(first)
    if not headers.get("FrameOfReferenceUID"):
        headers.FrameOfReferenceUID = generate_uid(None)
        notes = ("The source names no frame of reference; viewers may not overlay the maps on it.",)
    if recording.echo_time is not None and not headers.get("EchoTime"):
        headers.EchoTime = f"{1000 * recording.echo_time:.10g}"
    files = tuple(_source_file(dataset) for _, dataset in datasets)
    return Source(_with_empty(headers), recording.grid, str(first.SeriesInstanceUID), files, notes)


def _image_headers(folder: Path, progress: Progress) -> Iterator[tuple[Path, Dataset]]:
    """What tells images apart, of every image below a folder."""
    paths = sorted(files_below(folder))
    wanted = [*_SAME_IN_ALL_FILES, *_OF_EVERY_FILE]
    for number, path in enumerate(paths):
        if number % 50 == 0:
            progress(number / len(paths), f"reading DICOM header {number + 1} of {len(paths)}")
        try:
            dataset = read_header(path, wanted)
        except MemoryError:
            raise
        except Exception:  # no DICOM file, or a damaged one
            continue
        if "Rows" in dataset and "SOPClassUID" in dataset and "SOPInstanceUID" in dataset:
            yield path, dataset


def _complete_header(folder: Path, datasets: list[tuple[Path, Dataset]]) -> Dataset:
    if not datasets:
        raise InputError(folder, "holds no DICOM images", "give the folder with the DICOM files of one series")
    return read_header(datasets[0][0])


def _source_file(dataset: Dataset) -> SourceFile:
    several = int(dataset.get("NumberOfFrames") or 1) > 1 or "MOSAIC" in (dataset.get("ImageType") or ())
    position = None if several else dataset.get("ImagePositionPatient")
    return SourceFile(
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        None if position is None else np.array(position, dtype=float),
    )


def _chosen(dataset: Dataset) -> Dataset:
    """The attributes that derived objects share with a source, as they are, even where they break a rule.

    What cannot be read at all, such as a number that is none, is left out.
    """
    chosen = Dataset()
    for keyword in (*PATIENT_AND_STUDY, *ACQUISITION):
        with suppress(ValueError, TypeError, BytesLengthException):
            if keyword in dataset:
                chosen[keyword] = dataset[keyword]
    return chosen


def _with_empty(headers: Dataset) -> Dataset:
    for keyword in MAY_BE_EMPTY:
        if keyword not in headers:
            setattr(headers, keyword, "")
    return headers
