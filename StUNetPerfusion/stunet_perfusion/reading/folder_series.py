"""Which files of a folder are the DSC series: one with all frames, a volume a frame, or DICOM images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stunet_perfusion.reading.bids import BidsName, is_dataset
from stunet_perfusion.reading.formats import is_dicom, open_recording
from stunet_perfusion.reading.recording import Recording
from stunet_perfusion.reading.volume_files import counted_files, natural_key
from stunet_perfusion.series import FEWEST_FRAMES
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.folders import walk
from stunet_perfusion.support.progress import no_progress

_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd")

#: Folders of a BIDS data set that hold no raw images.
_NOT_RAW = ("derivatives", "sourcedata", "code")

_DSC = "dsc"
_PERFUSION_FOLDER = "perf"
_OTHER_PERFUSION = ("asl", "m0scan", "aslcontext", "asllabeling")

#: A sentence that lists more is read by nobody.
_MOST_LISTED = 6


@dataclass(frozen=True, eq=False)
class Candidate:
    """What may be the series.

    :param files: one with all frames, or one a frame
    :param headers: of these files
    """

    files: tuple[Path, ...]
    headers: tuple[Recording, ...]

    @property
    def frames(self) -> int:
        """How many it has."""
        return len(self.files) if len(self.files) > 1 else self.headers[0].frames


def find_series(folder: Path, wanted: str | None) -> Candidate | None:
    """The one series in NIfTI or NRRD that a folder holds.

    :param wanted: the name of its file, or a part of the name; None where there is but one
    :returns: the series; None where the folder is one of DICOM images
    :raises InputError: none or several, which are listed
    """
    images, others = _files(folder)
    if not images:
        return None
    found = _candidates(images)
    chosen = found if wanted is None else _called(folder, found, wanted)
    dicom = any(is_dicom(file) for file in others)
    if dicom and (not found or (wanted is not None and not chosen)):
        return None
    if not found:
        raise InputError(
            folder,
            f"holds {len(images)} NIfTI or NRRD files and no series of frames",
            "give a folder with one 4-D file or with one volume a frame",
        )
    if not chosen:
        fact = f"holds no series '{wanted}', but {_listed(folder, found)}"
        raise InputError(folder, fact, "give a part of the name of one of them", Setting.SERIES)
    if len(chosen) > 1:
        fact = f"holds {len(chosen)} series ({_listed(folder, chosen)})"
        raise InputError(folder, fact, "choose one by a part of its name, or give its file", Setting.SERIES)
    if dicom and wanted is None:
        fact = f"holds a series ({_listed(folder, chosen)}) and DICOM images beside it"
        raise InputError(folder, fact, "give the file, or a folder that holds only one of both")
    return chosen[0]


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Images, and all other files, of a folder and the folders below it."""
    images: list[Path] = []
    others: list[Path] = []
    for root, folders, names in walk(folder):
        if is_dataset(root):
            folders[:] = [name for name in folders if name not in _NOT_RAW]
        for name in names:
            (images if name.lower().endswith(_IMAGE_ENDINGS) else others).append(root / name)
    # Of dsc_3 and dsc_003 the shorter comes first, whatever order the system lists them in.
    return sorted(images, key=lambda path: (natural_key(path), len(path.name))), others


def _candidates(images: Sequence[Path]) -> list[Candidate]:
    """By the names of BIDS where there are such, and else by the number of frames.

    :raises InputError: the only file that may be the series is damaged
    """
    dsc = [path for path in images if BidsName.of(path).is_of_subject and BidsName.of(path).suffix == _DSC]
    perfusion = [path for path in images if _is_perfusion(path)]
    problems: list[InputError] = []
    for paths in (dsc, perfusion, images):
        headers = _headers(paths, problems)
        series = [Candidate((path,), (header,)) for path, header in headers.items() if header.frames > 1]
        volumes = counted_files([path for path, header in headers.items() if header.frames == 1])
        series += [Candidate(group, tuple(headers[path] for path in group)) for group in volumes if len(group) > 1]
        long_enough = [candidate for candidate in series if candidate.frames >= FEWEST_FRAMES]
        if series:
            return long_enough or series
    if problems:
        raise problems[0]
    return []


def _is_perfusion(path: Path) -> bool:
    name = BidsName.of(path)
    return name.is_of_subject and path.parent.name == _PERFUSION_FOLDER and name.suffix not in _OTHER_PERFUSION


def _headers(paths: Sequence[Path], problems: list[InputError]) -> dict[Path, Recording]:
    """Headers of the files that can be read; `problems` gets what is wrong with the others."""
    headers = {}
    for path in paths:
        try:
            headers[path] = open_recording(path, no_progress)
        except InputError as problem:
            problems.append(problem)
    return headers


def _called(folder: Path, candidates: Sequence[Candidate], wanted: str) -> list[Candidate]:
    """Those whose file has the name, or else those with the word in the path to it."""
    word = wanted.strip().casefold()
    exact = [one for one in candidates if word in (one.files[0].name.casefold(), _stem(one.files[0]))]
    return exact or [one for one in candidates if word and word in str(one.files[0].relative_to(folder)).casefold()]


def _stem(path: Path) -> str:
    return path.name.split(".", 1)[0].casefold()


def _listed(folder: Path, candidates: Sequence[Candidate]) -> str:
    words = [
        f"{one.files[0].relative_to(folder).as_posix()}"
        + (f" and {len(one.files) - 1} volumes like it" if len(one.files) > 1 else f", {one.frames} frames")
        for one in candidates[:_MOST_LISTED]
    ]
    more = len(candidates) - len(words)
    return "; ".join(words) + (f"; and {more} more" if more > 0 else "")
