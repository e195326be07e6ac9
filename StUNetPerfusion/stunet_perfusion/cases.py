"""A table of cases, `cases.csv`: what `batch`, `train` and `evaluate` work on.

One row a case, with the columns of `COLUMNS`. Only `case` and `series` have to be there. Paths are relative to the
table's folder, or absolute. Any other column (a grade, a scanner) is kept as it is, under `Case.facts`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stunet_perfusion.support.documents import read_small
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.plain_text import as_written, defused
from stunet_perfusion.support.staged import staged_file

#: The parts of a split, in the order in which people name them.
PARTS = ("train", "validation", "test")

#: Columns that hold paths of masks and maps. `series` is one too, and has to be there.
FILES = ("mask", "tumor", "nawm", "nacc", "vessels", "reference", "truth", "anatomic")

#: Columns that hold seconds.
TIMES = ("echo_time", "frame_interval")

COLUMNS = ("case", "subject", "part", "series", *FILES, *TIMES)

#: What a cohort's own files are called.
_TAKEN = ("summary.csv", "overview.html", "report.json")

#: Bytes; every system takes so many.
_LONGEST_NAME = 200

#: Characters that a folder's name cannot hold on every system.
_NOT_IN_NAMES = set('/\\:*?"<>|') | {chr(code) for code in range(32)}


@dataclass(frozen=True)
class Case:
    """A series with what is known about it.

    :param name: unique in its table; becomes the name of a folder
    :param series: NIfTI, NRRD or DICOM folder
    :param subject: the person; a person's cases are never in two parts of a split
    :param part: `train`, `validation`, `test`, or empty
    :param files: masks and maps by column: the brain's `mask`, `tumor`, `nawm` and `nacc` (normal-appearing white
        matter and cortex), arterial `vessels`, a `reference` map of CBV, of a phantom the `truth`, and the `anatomic`
        image. Those that the table leaves empty are left out
    :param echo_time: seconds; overrides the file
    :param frame_interval: seconds; overrides the file
    :param facts: every other column
    """

    name: str
    series: Path
    subject: str = ""
    part: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    echo_time: float | None = None
    frame_interval: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def read_cases(path: str | Path) -> list[Case]:
    """Read a table of cases. Whether the files of a case exist is found out when the case is used.

    :param path: `cases.csv`; comma-separated UTF-8
    :returns: cases in the order of the table
    :raises InputError: no such file, no table, a missing column or value, two cases of one name, a part that does not
        exist, a number that is none, or a subject in two parts
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path, "does not exist", "give a table of cases, for example one that 'qin' wrote")
    way_out = "save it as comma-separated UTF-8 text"
    try:
        text = read_small(path, way_out).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError:
        raise InputError(path, "is no table (it is no text in UTF-8)", way_out) from None
    except csv.Error as error:
        raise InputError(path, f"is no table ({error})", way_out) from None
    if len(set(columns)) < len(columns):
        raise InputError(path, "has two columns of one name", "name each column differently")
    for needed in ("case", "series"):
        if needed not in columns:
            raise InputError(
                path, f"has no column '{needed}'", f"name its columns, among them {', '.join(COLUMNS[:4])}"
            )
    cases = [_case(path, line, row) for line, row in rows if any(_text(value) for value in row.values())]
    if not cases:
        raise InputError(path, "has no cases", "write one row a case")
    _check_names(path, cases)
    _check_split(path, cases)
    return cases


def write_cases(path: str | Path, cases: Sequence[Case]) -> None:
    """Write a table of cases, with paths relative to it where they are on the same drive.

    :raises OutputError: it cannot be written
    """
    path = Path(path)
    facts = list(dict.fromkeys(name for case in cases for name in case.facts))
    with staged_file(path) as staged, open(staged, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *facts], restval="", lineterminator="\n")
        writer.writeheader()
        for case in cases:
            files = {name: _relative(file_path, path.parent) for name, file_path in case.files.items()}
            times = {name: value for name in TIMES if (value := getattr(case, name)) is not None}
            about = {"case": case.name, "subject": case.subject, "part": case.part}
            row = {**about, "series": _relative(case.series, path.parent), **files, **times, **case.facts}
            writer.writerow({name: defused(cell) for name, cell in row.items()})


def _case(path: Path, line: int, row: dict[str | None, str | list[str] | None]) -> Case:
    where = f"{path}: line {line}"
    if None in row:
        raise InputError(where, "has more values than the table has columns", "put values with a comma in quotes")
    values = {str(name): _text(value) for name, value in row.items()}
    name = values["case"]
    if not name or not values["series"]:
        raise InputError(where, f"has no {'series' if name else 'case'}", "every case needs a name and a series")
    if any(ord(each) < 32 for value in values.values() for each in value):
        raise InputError(where, "holds control characters", "remove them")
    if (
        _NOT_IN_NAMES & set(name)
        or name.startswith(".")
        or name.endswith((".", " "))
        or len(name.encode()) > _LONGEST_NAME
    ):
        raise InputError(where, f"'{name}' cannot be the name of a folder", "use letters, digits, - and _")
    if name.casefold() in _TAKEN:
        raise InputError(where, f"'{name}' is the name of a file of the results", "give the case another name")
    if values.get("part", "") not in ("", *PARTS):
        raise InputError(where, f"'{values['part']}' is no part", f"write {', '.join(PARTS)}, or nothing")
    times = {column: _seconds(where, column, values.get(column, "")) for column in TIMES}
    return Case(
        name=name,
        series=path.parent / values["series"],
        subject=values.get("subject", ""),
        part=values.get("part", ""),
        files={column: path.parent / values[column] for column in FILES if values.get(column)},
        facts={column: value for column, value in values.items() if column not in COLUMNS},
        **times,
    )


def _text(value: str | list[str] | None) -> str:
    return as_written(value.strip()) if isinstance(value, str) else ""


def _seconds(where: str, column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e3:
        raise InputError(where, f"{column} '{text}' is no number of seconds", "write for example 0.03")
    return seconds


def _check_names(path: Path, cases: Sequence[Case]) -> None:
    seen: set[str] = set()
    for case in cases:
        # Names that differ by case only are one folder on Windows and macOS.
        name = case.name.casefold()
        if name in seen:
            raise InputError(path, f"has two cases '{case.name}'", "give each case a name of its own")
        seen.add(name)


def _check_split(path: Path, cases: Sequence[Case]) -> None:
    parts: dict[str, str] = {}
    for case in cases:
        part = parts.setdefault(case.subject, case.part) if case.subject else case.part
        if part != case.part:
            fact = f"has subject '{case.subject}' in two parts, '{part}' and '{case.part}'"
            raise InputError(path, fact, "put all cases of a person into one part")


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # Another drive of Windows.
        return str(path)
