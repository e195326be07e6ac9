"""From the DICOM folders of a session to a case: a series and masks on its grid, as NIfTI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stunet_perfusion.cases import FILES, Case
from stunet_perfusion.qin.finding import FoundSeries, Session
from stunet_perfusion.qin.reduction import reduce_mask, reduce_series, reduction_factor
from stunet_perfusion.reading import read_series
from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.reading.volumes import resample_mask
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.support.staged import staged_output
from stunet_perfusion.writing import write_map, write_series

#: Kinds of series that are masks, named as the columns of the table of cases.
_MASKS = ("mask", "tumor", "nawm", "nacc", "vessels")


@dataclass(frozen=True)
class ConvertedSession:
    """What became of a session.

    :param case: its row in the table, without a part yet; its files are in the folder of its name
    :param notes: what was decided and what could not be used, one sentence each
    """

    case: Case
    notes: tuple[str, ...]


def convert_session(session: Session, folder: Path, name: str, progress: Progress = no_progress) -> ConvertedSession:
    """Read a session and write `<name>/dsc.nii.gz`, its sidecar, and the masks and the anatomic image that there are.

    A mask that cannot be used is named in the notes and left out; it does not cost the case.

    :param folder: where the cases are
    :raises InputError: there is no DSC series, or it cannot be used
    :raises OutputError: the folder cannot be written
    """
    if "dsc" not in session.chosen:
        raise InputError(session.subject, "has no DSC series", "download its GRE-EPI series too")
    found = session.chosen["dsc"]
    series = read_series(found.folder, progress=part_of(progress, 0.0, 0.6))
    full_grid = series.grid
    factor = reduction_factor(*full_grid.shape[1:], found.acquired)
    series = reduce_series(series, factor)
    notes = [*session.notes, *series.notes]
    files: dict[str, Path] = {}
    with staged_output(folder / name) as stage:
        for kind in _MASKS:
            if kind in session.chosen:
                try:
                    mask = reduce_mask(_mask_on(full_grid, session.chosen[kind]), factor)
                    _refuse_empty(mask, session.chosen[kind])
                except InputError as error:
                    notes.append(f"{session.chosen[kind].description} is left out: {error}.")
                    continue
                files[kind] = _write(stage, folder / name, kind, mask, series.grid)
        if "anatomic" in session.chosen:
            try:
                values, grid = _volume(session.chosen["anatomic"])
                files["anatomic"] = _write(stage, folder / name, "anatomic", values, grid)
            except InputError as error:
                notes.append(f"The anatomic image is left out: {error}.")
        write_series(stage / "dsc.nii.gz", series, progress=part_of(progress, 0.6, 1.0))
    case = Case(name, folder / name / "dsc.nii.gz", session.subject, files=_in_order(files))
    return ConvertedSession(case, tuple(notes))


def case_names(sessions: list[Session]) -> list[str]:
    """A folder name for each: the subject, with its date where a subject has several."""
    subjects = [session.subject for session in sessions]
    names = [
        session.subject if subjects.count(session.subject) == 1 else f"{session.subject}_{session.date}"
        for session in sessions
    ]
    return [re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "case" for name in names]


def _mask_on(grid: Grid, found: FoundSeries) -> np.ndarray:
    """(Z, Y, X) bool: the mask of a series on another grid.

    Its values may be anything, as long as the mask is what is above half of the largest.
    """
    values, own_grid = _volume(found)
    mask = values > 0.5 * float(values.max())
    return mask if own_grid.matches(grid) else resample_mask(mask, own_grid, grid)


def _refuse_empty(mask: np.ndarray, found: FoundSeries) -> None:
    if not mask.any():
        fact = "has no voxel within the DSC series"
        raise InputError(found.folder.name, fact, "check that both are of the same session")


def _volume(found: FoundSeries) -> tuple[np.ndarray, Grid]:
    """(Z, Y, X) float32 and its grid."""
    recording = open_recording(found.folder, no_progress)
    if recording.frames != 1:
        fact = f"holds {recording.frames} volumes, and one is needed"
        raise InputError(found.folder.name, fact, "download the series again")
    return recording.load(no_progress)[0], recording.grid


def _write(stage: Path, folder: Path, name: str, values: np.ndarray, grid: Grid) -> Path:
    write_map(stage / f"{name}.nii.gz", values, grid)
    return folder / f"{name}.nii.gz"


def _in_order(files: Mapping[str, Path]) -> dict[str, Path]:
    return {kind: files[kind] for kind in FILES if kind in files}
