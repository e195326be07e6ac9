"""Who is evaluated: a person with a name, opened when it is its turn and forgotten afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from stunet_perfusion.cases import Case
from stunet_perfusion.reading import read_map, read_mask, read_series
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError

#: Family of subjects that come from files.
CASES = "cases"

#: Columns of a table of cases with physically lower doses, by dose.
_DOSE_COLUMNS = {0.5: "series_050", 0.25: "series_025"}


@dataclass(frozen=True, eq=False)
class Regions:
    """Where scores are taken, all (Z, Y, X) bool on the grid of the series.

    :param mask: the brain
    :param tumor: or None
    :param living: the tumor without its necrosis, which ratios are taken of, or None where it is not known
    :param nawm: normal-appearing white matter, or None
    """

    mask: np.ndarray
    tumor: np.ndarray | None = None
    living: np.ndarray | None = None
    nawm: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class OpenSubject:
    """A subject whose images are at hand. Arrays are (Z, Y, X) on the grid of its series.

    :param scan: the series as acquired at a share of the dose
    :param doses: those that it was acquired at; the full dose always
    :param brain: the mask that computations are given, or None where they find it
    :param mask: where scores are taken, or None for the mask of the computations
    :param tumor: bool, or None
    :param living: the tumor without its necrosis, which ratios are taken of; bool, or None where it is not known
    :param nawm: normal-appearing white matter, bool, or None
    :param reference: a CBV map to use instead of Verbena's at full dose, or None
    :param truth: noise-free CBV, or None
    """

    scan: Callable[[float], DscSeries]
    doses: tuple[float, ...] = (1.0,)
    brain: np.ndarray | None = None
    mask: np.ndarray | None = None
    tumor: np.ndarray | None = None
    living: np.ndarray | None = None
    nawm: np.ndarray | None = None
    reference: np.ndarray | None = None
    truth: np.ndarray | None = None

    def regions(self, found_brain: np.ndarray) -> Regions:
        """:param found_brain: (Z, Y, X) bool, the mask of the computations"""
        mask = found_brain if self.mask is None else self.mask
        return Regions(mask, self.tumor, self.living, self.nawm)


@dataclass(frozen=True, eq=False)
class Subject:
    """A subject that can be opened.

    :param name: unique among those of its family; names files
    :param family: `cases`, `training` or `second`
    :param open: reads or makes its images
    :param key: all that decides what `open` gives, as JSON
    :param grade: `low`, `high`, or empty where it is not known
    :param head: whose head it is, to tell whether a network was trained on it
    """

    name: str
    family: str
    open: Callable[[], OpenSubject]
    key: Mapping[str, Any] = field(default_factory=dict)
    grade: str = ""
    head: str = ""


def subjects_of_cases(cases: Sequence[Case], part: str) -> list[Subject]:
    """The cases of one part of a table; all of them where it names no parts.

    A column `grade` may say `low` or `high`. A case with a `truth` stands in the table against it too, at lower doses
    where columns `series_050` and `series_025` name series acquired at them, by paths from the folder of the series.

    :raises InputError: the table has parts, but no case in this one
    """
    chosen = [case for case in cases if case.part == part]
    if not chosen and any(case.part for case in cases):
        raise InputError("cases", f"have no part '{part}'", "write it into the column 'part'")
    return [
        Subject(
            case.name,
            CASES,
            partial(open_case, case),
            {"case": case.name, "sha256": sha256_of_path(case.series)},
            _grade(case),
            case.subject or case.name,
        )
        for case in chosen or cases
    ]


def _grade(case: Case) -> str:
    grade = case.facts.get("grade", "").lower()
    return {"low": "low", "lgg": "low", "2": "low", "ii": "low", "high": "high", "hgg": "high"}.get(
        grade, "high" if grade in ("3", "4", "iii", "iv") else ""
    )


def open_case(case: Case) -> OpenSubject:
    """Read what a case has.

    :raises InputError: a file that is missing or does not fit the series
    """
    files = dict(case.files)
    for column in _DOSE_COLUMNS.values():
        if case.facts.get(column):
            files[column] = case.series.parent / case.facts[column]

    def scan(dose: float) -> DscSeries:
        path = case.series if dose == 1 else files[_DOSE_COLUMNS[dose]]
        return read_series(path, echo_time=case.echo_time, frame_interval=case.frame_interval)

    grid = scan(1.0).grid
    masks = {name: read_mask(files[name], grid)[0] if name in files else None for name in ("mask", "tumor", "nawm")}
    return OpenSubject(
        scan,
        (1.0, *(dose for dose, column in _DOSE_COLUMNS.items() if column in files)),
        brain=masks["mask"],
        mask=masks["mask"],
        tumor=masks["tumor"],
        nawm=masks["nawm"],
        reference=_map(files, "reference", grid),
        truth=_map(files, "truth", grid),
    )


def _map(files: Mapping[str, Any], name: str, grid: Grid) -> np.ndarray | None:
    if name not in files:
        return None
    values, own = read_map(files[name])
    if not own.matches(grid, 0.05):
        raise InputError(files[name], "is on another grid than the series", "resample it to the series")
    return values
