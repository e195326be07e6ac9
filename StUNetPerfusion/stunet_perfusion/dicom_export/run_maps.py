"""The maps that a run of `predict` or `reference` has left, and what its report says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stunet_perfusion.dicom_export.origin import MapOrigin, origin_of_report
from stunet_perfusion.dicom_export.quantities import ABSOLUTE_UNITS, QUANTITIES
from stunet_perfusion.reading import read_map
from stunet_perfusion.reading.report import REPORT, Report, check_digest, read_report, report_beside
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

_ENDINGS = (".nii.gz", ".nii", ".nrrd")


@dataclass(frozen=True, eq=False)
class RunMaps:
    """What `export_maps` needs of a run.

    :param maps: (Z, Y, X) each, by name
    :param absolute: whether CBV is in ml/100 g and CBF in ml/100 g/min
    :param notes: what was left out or taken for granted, for people
    """

    maps: dict[str, np.ndarray]
    grid: Grid
    origin: MapOrigin
    absolute: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _MapFile:
    path: Path
    name: str
    report: Report
    sha256: str = ""


def read_run_maps(paths: list[Path]) -> RunMaps:
    """Read maps of one run.

    :param paths: its folder, or files of it
    :raises InputError: no map, or one that no name tells; maps of different runs or on different grids; damaged files
    """
    files = [file for path in paths for file in (_maps_in(path) if path.is_dir() else [_map_file(path)])]
    exported = [file for file in files if file.name in QUANTITIES]
    if not exported:
        raise InputError(paths[0], "holds no map that can be exported", "give the output of 'predict' or 'reference'")
    _check_one_run(exported)
    report = exported[0].report
    notes = [f"{file.path.name} is left out: DICOM has no code for it." for file in files if file not in exported]
    if not report.document:
        notes.append("No report is beside the maps: their model and dose are not named, and units are taken as usual.")
    grids: list[Grid] = []
    maps: dict[str, np.ndarray] = {}
    for file in exported:
        maps[file.name], grid = read_map(file.path)
        check_digest(file.path, maps[file.name], file.sha256)
        grids.append(grid)
        if not grid.matches(grids[0]):
            raise InputError(
                file.path.name, f"lies on another grid than {exported[0].path.name}", "give the maps of one series"
            )
    return RunMaps(maps, grids[0], origin_of_report(report.document), _is_absolute(report), tuple(notes))


def _maps_in(folder: Path) -> list[_MapFile]:
    """The maps that a report lists, or else all whose names are known or whose sidecars tell."""
    report = _report_in(folder)
    if report is not None and report.maps:
        return [_MapFile(folder / entry.file, name, report, entry.sha256) for name, entry in report.maps.items()]
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_ENDINGS))
    return [file for path in files if (file := _known_map(path)) is not None]


def _report_in(folder: Path) -> Report | None:
    return read_report(folder / REPORT) if (folder / REPORT).is_file() else None


def _map_file(path: Path) -> _MapFile:
    file = _known_map(path)
    if file is not None:
        return file
    if not path.exists():
        raise InputError(path, "does not exist", "check the path")
    names = ", ".join(f"{name}{_ENDINGS[0]}" for name in QUANTITIES)
    raise InputError(path.name, "has a name that tells no quantity", f"give the folder of the run, or call it {names}")


def _known_map(path: Path) -> _MapFile | None:
    """None where nothing tells which quantity a file holds."""
    stem = _stem(path)
    if not path.exists():
        return None
    report = report_beside(path) or Report(path.parent, {})
    for name, entry in report.maps.items():
        if entry.file == path.name:
            return _MapFile(path, name, report, entry.sha256)
    return _MapFile(path, stem, report) if stem in QUANTITIES else None


def _check_one_run(files: list[_MapFile]) -> None:
    for number, file in enumerate(files):
        for other in files[:number]:
            if other.name == file.name:
                raise InputError(
                    file.path.name, f"holds the same quantity as {other.path.name}", "give the maps of one run"
                )
            if origin_of_report(other.report.document) != origin_of_report(file.report.document):
                raise InputError(
                    file.path.name, f"was not made by the same run as {other.path.name}", "export them one by one"
                )


def _is_absolute(report: Report) -> bool:
    return any(entry.unit in ABSOLUTE_UNITS for entry in report.maps.values())


def _stem(path: Path) -> str:
    for ending in _ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name
