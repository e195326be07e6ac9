"""Which series of a download are what, by their headers. Names of folders do not count.

The collection has 49 subjects. Each has a DSC series, an anatomic image (T1 after contrast) and masks, which are
ordinary MR series with a slice a file. The masks were made by another program than the scanner's, and some are in
another study than the series that they belong to, at the same date.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stunet_perfusion.series import FEWEST_FRAMES
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress

if TYPE_CHECKING:
    import pydicom

_TAGS = (
    "PatientID",
    "StudyDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ScanningSequence",
    "NumberOfFrames",
    "AcquisitionMatrix",
)

#: What a mask is of, by what its series is called after "mask", in letters only.
_MASKS = {
    "tumor": r"tumou?r",
    "mask": r"brain",
    "nawm": r"nawm",
    "nacc": r"nacc",
    "vessels": r"vessels?|arter(y|ies)|aif",
}

_DYNAMIC_NAMES = r"dsc|perf|epi|bolus"

#: A series with as many images as this is dynamic, whatever it is called: an anatomic one has 20 to 30.
_MANY_IMAGES = 320

#: The kinds of series that a case is made of. `dsc` has to be there.
KINDS = ("dsc", "anatomic", "mask", "tumor", "nawm", "nacc", "vessels")


@dataclass(frozen=True)
class FoundSeries:
    """A folder with the files of one series.

    :param folder: where they are
    :param kind: one of `KINDS`, or `other`
    :param subject: PatientID
    :param date: of the study, YYYYMMDD
    :param study: its UID
    :param number: of the series
    :param description: of the series
    :param images: files, or frames in them
    :param acquired: larger side of the matrix that was really acquired, or None where the header does not say
    """

    folder: Path
    kind: str
    subject: str
    date: str
    study: str
    number: int
    description: str
    images: int
    acquired: int | None


@dataclass(frozen=True)
class Session:
    """What was found of one subject at one date.

    :param subject: PatientID
    :param date: YYYYMMDD
    :param chosen: kind to the series that is used
    :param notes: what was decided, one sentence each
    """

    subject: str
    date: str
    chosen: dict[str, FoundSeries] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds that were not found, but for vessels, which the collection does not have for all."""
        return tuple(kind for kind in KINDS if kind not in self.chosen and kind != "vessels")


def find_sessions(root: Path, progress: Progress = no_progress) -> list[Session]:
    """Find everything below a folder, by subject and date.

    :param root: where the collection was downloaded to
    :returns: sorted by subject and date
    :raises InputError: no folder, no MR series in it, or a folder with files of several series
    """
    if not root.is_dir():
        raise InputError(root, "is no folder", "give the folder that QIN-BRAIN-DSC-MRI was downloaded to")
    found = list(_series_below(root, progress))
    if not found:
        raise InputError(root, "holds no MR series", "give the folder that QIN-BRAIN-DSC-MRI was downloaded to")
    by_subject: dict[str, list[FoundSeries]] = {}
    for series in found:
        by_subject.setdefault(series.subject, []).append(series)
    return [session for subject in sorted(by_subject) for session in _sessions(by_subject[subject])]


def kind_of(description: str, scanning_sequence: str = "", images: int = 0) -> str:
    """What a series is: one of `KINDS`, or `other`.

    :param description: `Mask_Tumor`, `MASK NAWM`, `Anatomic`, ...
    :param scanning_sequence: as DICOM has it: EP for echo-planar
    :param images: files of the series
    """
    letters = re.sub(r"[^a-z]", "", description.lower())
    if letters.startswith("mask"):
        of = letters.removeprefix("mask")
        return next((kind for kind, pattern in _MASKS.items() if re.match(pattern, of)), "other")
    if "anatomic" in letters:
        return "anatomic"
    looks_dynamic = "EP" in scanning_sequence.upper() or re.search(_DYNAMIC_NAMES, letters) is not None
    return "dsc" if images >= (FEWEST_FRAMES if looks_dynamic else _MANY_IMAGES) else "other"


def _series_below(root: Path, progress: Progress) -> Iterator[FoundSeries]:
    folders = [(Path(place), names) for place, _, names in os.walk(root) if names]
    for number, (folder, names) in enumerate(sorted(folders)):
        progress(number / len(folders), f"Looking into folder {number + 1} of {len(folders)}")
        series = _look_into(folder, sorted(names))
        if series is not None:
            yield series


def _look_into(folder: Path, names: list[str]) -> FoundSeries | None:
    """None where the folder holds no MR series. Only its first, middle and last file are looked at."""
    headers = [header for name in names[:: max(len(names) // 2, 1)] if (header := _header(folder / name)) is not None]
    headers = [header for header in headers if header.get("Modality") == "MR"]
    if not headers:
        return None
    header = headers[0]
    if any(other.get("SeriesInstanceUID") != header.get("SeriesInstanceUID") for other in headers):
        fact = "holds files of several series"
        raise InputError(folder, fact, "download the collection again, with a folder for each series")
    frames = int(header.get("NumberOfFrames") or 1)
    images = frames * len(names)
    description = str(header.get("SeriesDescription") or "")
    sequence = header.get("ScanningSequence") or ""
    sequence = sequence if isinstance(sequence, str) else " ".join(sequence)
    return FoundSeries(
        folder=folder,
        kind=kind_of(description, sequence, images),
        subject=str(header.get("PatientID") or "").strip() or "unnamed",
        date=str(header.get("StudyDate") or ""),
        study=str(header.get("StudyInstanceUID") or ""),
        number=int(header.get("SeriesNumber") or 0),
        description=description,
        images=images,
        acquired=_acquired(header.get("AcquisitionMatrix")),
    )


def _header(file: Path) -> pydicom.Dataset | None:
    """None where the file is no DICOM file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        return header if "SeriesInstanceUID" in header else None
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return None


def _acquired(matrix: Any) -> int | None:
    """The larger side of DICOM's AcquisitionMatrix: frequency rows and columns, phase rows and columns, two are 0."""
    try:
        sides = [int(side) for side in matrix or ()]
    except (TypeError, ValueError):
        return None
    return max(sides, default=0) or None


def _sessions(found: list[FoundSeries]) -> list[Session]:
    """The sessions of one subject: a date with a DSC series, or any date where there is none.

    Masks of a date without a DSC series go to the subject's only one.
    """
    subject = found[0].subject
    dates = sorted({series.date for series in found if series.kind == "dsc"})
    if not dates:
        return [_session(subject, found[0].date, found, [])]
    if len(dates) == 1:
        return [_session(subject, dates[0], found, _moved(found, dates[0]))]
    return [_session(subject, date, [series for series in found if series.date == date], []) for date in dates]


def _moved(found: list[FoundSeries], date: str) -> list[str]:
    moved = [series for series in found if series.date != date and series.kind in KINDS]
    return [f"{series.description} is of another date than the DSC series." for series in moved]


def _session(subject: str, date: str, found: list[FoundSeries], notes: list[str]) -> Session:
    chosen: dict[str, FoundSeries] = {}
    dsc = [series for series in found if series.kind == "dsc"]
    study = max(dsc, key=lambda series: series.images).study if dsc else ""
    for kind in KINDS:
        candidates = [series for series in found if series.kind == kind]
        if not candidates:
            continue
        # The longest DSC series; of anything else the one beside it, and of these the latest version.
        chosen[kind] = max(
            candidates,
            key=lambda series: (
                series.images if series.kind == "dsc" else 0,
                series.date == date,
                series.study == study,
                series.number,
            ),
        )
        if len(candidates) > 1:
            kept = chosen[kind]
            notes.append(
                f"Of {len(candidates)} series that look like {kind}, number {kept.number} ({kept.description}) is used."
            )
    return Session(subject, date, chosen, tuple(notes))
