"""The report that a run has left beside its maps, as whoever reads it needs it: checked, whatever is in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.reading.volumes import read_map
from stunet_perfusion.series import Grid
from stunet_perfusion.support.documents import filled_in, read_json
from stunet_perfusion.support.errors import InputError

#: The report beside maps that have plain names.
REPORT = "report.json"

#: Under this key the sidecar of a map in a BIDS derivative holds the report.
REPORT_KEY = "StUNetPerfusion"

_WAY_OUT = "give a report.json of this version, or run 'predict' or 'reference' anew"


@dataclass(frozen=True)
class ReportedMap:
    """A map that a report names.

    :param file: its name, in the folder of the report
    :param sha256: as `sha256_of_array`; empty where an older report does not say
    :param unit: for people
    """

    file: str
    sha256: str = ""
    unit: str = ""


@dataclass(frozen=True)
class ReportedInput:
    """A file that a run was made from.

    :param sha256: of what is in it
    :param path: relative to the report
    :param shipped: its place among the program's own files
    """

    sha256: str
    path: str | None = None
    shipped: str | None = None


@dataclass(frozen=True)
class Provenance:
    """What a run was made from and with.

    :param arguments: all that decided the result besides the inputs, not checked yet
    """

    verb: str
    inputs: dict[str, ReportedInput]
    arguments: dict[str, Any]
    versions: dict[str, str | None]
    acquisition_sha256: str


@dataclass(frozen=True)
class Report:
    """A report of `predict` or `reference`.

    :param folder: where it is, and its maps
    :param maps: by name
    :param document: all of it, as JSON
    :param regions: masks and images beside them, by name
    """

    folder: Path
    maps: dict[str, ReportedMap]
    document: Mapping[str, Any] = field(default_factory=dict)
    regions: dict[str, ReportedMap] = field(default_factory=dict)

    def provenance(self, path: Path) -> Provenance:
        """What is needed to run it again.

        :param path: of the report, for messages
        :raises InputError: it does not say, or says it in another way
        """
        try:
            return filled_in(Provenance, self.document.get("provenance"), others=True, what="provenance")
        except TypeError as error:
            raise _untold(path, error) from None


def read_report(path: Path) -> Report:
    """A report, or the one in the sidecar of a map.

    :raises InputError: no such file, no JSON, or maps that are not described as this program does it, or that are
        outside of the report's folder
    """
    if not path.is_file():
        raise InputError(path, "does not exist", "give the report.json that 'predict' or 'reference' wrote")
    return report_of(path, read_json(path, _WAY_OUT))


def report_of(path: Path, document: Mapping[str, Any]) -> Report:
    """The same of a document that has been read.

    :param path: where it is
    :raises InputError: as `read_report`
    """
    document = document.get(REPORT_KEY, document)
    try:
        document = _table(document)
        maps = _files(document, "maps")
        regions = _files(document, "regions") | _files(document, "images")
    except TypeError as error:
        raise _untold(path, error) from None
    for entry in (*maps.values(), *regions.values()):
        if not is_plain_name(entry.file):
            fact = f"names a map outside of its folder ({entry.file[:60]!r})"
            raise InputError(path, fact, "use a report that this program wrote")
    return Report(path.parent, maps, document, regions)


def read_reported_map(report: Report, name: str) -> tuple[np.ndarray, Grid]:
    """A map of a report, which is the one that the report was written for.

    :returns: (Z, Y, X) float32 and its grid
    :raises InputError: as `read_map`, or it was changed, or is of another run
    """
    entry = report.maps[name]
    values, grid = read_map(report.folder / entry.file)
    check_digest(report.folder / entry.file, values, entry.sha256)
    return values, grid


def check_digest(path: Path, values: np.ndarray, sha256: str) -> None:
    """Refuse a map that is not the one of its report.

    :param sha256: by the report; empty where it does not say
    :raises InputError: it is another
    """
    if sha256 and sha256_of_array(values) != sha256:
        fact = "is not the map that its report tells of: it was changed, or is of another run"
        raise InputError(path, fact, "compute it again, or move the report away")


def report_beside(path: Path) -> Report | None:
    """The report that tells of a map: that in its sidecar, or that in its folder. None where there is none.

    :raises InputError: a report that is damaged
    """
    name = path.name
    for ending in (".nii.gz", ".nii", ".nrrd"):
        name = name.removesuffix(ending)
    for place in (path.with_name(f"{name}.json"), path.with_name(REPORT)):
        if place.is_file():
            document = read_json(place, "write it again, or remove it")
            if place.name == REPORT or REPORT_KEY in document:
                return report_of(place, document)
    return None


def check_against_report(path: Path, values: np.ndarray) -> None:
    """Refuse a map beside a report that tells of another map of this name.

    :raises InputError: as `check_digest` and `report_beside`
    """
    report = report_beside(path)
    if report is None:
        return
    for entry in report.maps.values():
        if entry.file == path.name:
            check_digest(path, values, entry.sha256)


def sha256_of_array(array: np.ndarray) -> str:
    """Hash of a map's shape and voxels as 32-bit floats, as they are in its file."""
    values = np.ascontiguousarray(array, dtype="<f4")
    digest = hashlib.sha256(repr(values.shape).encode("ascii"))
    digest.update(values.data)
    return digest.hexdigest()


def is_plain_name(name: str) -> bool:
    """Whether a name is that of a file in the same folder, and of nothing else on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0") and len(name) < 256


def _files(document: Mapping[str, Any], key: str) -> dict[str, ReportedMap]:
    return {
        name: filled_in(ReportedMap, entry, others=True, what=f"{key}.{name}")
        for name, entry in _table(document.get(key, {})).items()
    }


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a part of it is no table of names and values")
    return value


def _untold(path: Path, error: TypeError) -> InputError:
    return InputError(path, f"does not tell how its maps were made ({error})", _WAY_OUT)
