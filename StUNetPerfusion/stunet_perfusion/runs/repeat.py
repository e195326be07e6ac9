"""A run once more from its report, and whether the same maps come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stunet_perfusion.reading import read_map
from stunet_perfusion.reading.report import (
    Provenance,
    Report,
    ReportedInput,
    ReportedMap,
    read_report,
    read_reported_map,
    sha256_of_array,
)
from stunet_perfusion.runs.output import results_folder
from stunet_perfusion.runs.provenance import find_file, sha256_of_path
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.support.temporary import temporary_folder
from stunet_perfusion.support.threads import torch_threads

_Request = TypeVar("_Request")

#: Two builds of a library add the same numbers in another order. What that changes is below this share of a map's
#: standard deviation.
ROUNDING = 1e-3

_MOST_THREADS = 1024

#: What people call the files of a run.
_ROLES = {
    "series": ("input", Setting.INPUT),
    "checkpoint": ("checkpoint", Setting.CHECKPOINT),
    "mask": ("mask", Setting.MASK),
    "vessels": ("vessel mask", Setting.VESSELS),
    "nawm": ("white-matter mask", Setting.WHITE_MATTER),
    "aif": ("AIF", Setting.AIF),
}


@dataclass(frozen=True)
class MapComparison:
    """A map of today beside that of the report.

    :param name: `cbv`, ...
    :param identical: whether shape and all voxels are the same bit for bit
    :param difference: the largest difference over the old map's standard deviation; None where the old map is gone or
        was changed, so that only its hash could be compared
    """

    name: str
    identical: bool
    difference: float | None

    @property
    def equal(self) -> bool:
        """The same, but for rounding."""
        return self.identical or (self.difference is not None and self.difference <= ROUNDING)


@dataclass(frozen=True)
class Repetition:
    """What came of a repetition.

    :param maps: one a map
    :param other_versions: package to its version then and now, where they differ
    """

    maps: tuple[MapComparison, ...]
    other_versions: dict[str, tuple[str | None, str | None]]

    @property
    def equal(self) -> bool:
        """Whether all maps are the same, but for rounding."""
        return all(map_.equal for map_ in self.maps)


def repeat(
    report: Path,
    *,
    output: Path | None = None,
    files: Mapping[str, Path] | None = None,
    device: str | None = None,
    progress: Progress = no_progress,
) -> Repetition:
    """Run again what a report tells, and compare.

    :param report: `report.json`, or the sidecar of a map in a BIDS derivative
    :param output: where the new maps go; nowhere by default
    :param files: where files are that have moved, by role: `series`, `checkpoint`, `mask`, `vessels`, `aif`
    :param device: to compute on instead of the one in the report
    :raises InputError: no such report, one that is not of this program, files that have moved or changed, or anything
        that the run itself refuses
    """
    old = read_report(report)
    _refuse_cohort(report, old)
    provenance = old.provenance(report)
    _refuse_other_maps(old)
    found = _find_files(report, provenance.inputs, files or {})
    with _folder_for(output, [report, *found.values()]) as stage:
        with _threads(old.document.get("threads")):
            new = _run(report, provenance, found, device, stage, output or stage, progress)
        if new["provenance"]["acquisition_sha256"] != provenance.acquisition_sha256:
            raise InputError(
                found["series"],
                "is read with other times, another echo time or another geometry than for the report",
                "restore its headers or its JSON file, or compute new maps with 'predict' or 'reference'",
            )
        maps = tuple(
            _compare(name, entry, new["maps"].get(name), report.parent, stage) for name, entry in old.maps.items()
        )
    then, now = provenance.versions, new["provenance"]["versions"]
    changed = {name: (then.get(name), now.get(name)) for name in then | now if then.get(name) != now.get(name)}
    return Repetition(maps, changed)


def _refuse_cohort(path: Path, report: Report) -> None:
    provenance = report.document.get("provenance")
    if isinstance(provenance, dict) and provenance.get("verb") == "batch":
        way_out = "give the report.json of one of its cases, or run 'batch' again"
        raise InputError(path, "is of a whole cohort", way_out)


def _refuse_other_maps(report: Report) -> None:
    """Refuse a report beside maps of another run.

    :raises InputError: a map beside the report is not the one that it tells of
    """
    for name, entry in report.maps.items():
        if (report.folder / entry.file).is_file():
            read_reported_map(report, name)


def _find_files(report: Path, entries: Mapping[str, ReportedInput], given: Mapping[str, Path]) -> dict[str, Path]:
    """Every file of the run, by its role.

    :raises InputError: one is not found, or holds something else than it did
    """
    found: dict[str, Path] = {}
    for role, entry in entries.items():
        if role not in _ROLES:
            raise _unknown_run(report)
        path = given.get(role) or find_file(entry, report)
        word, setting = _ROLES[role]
        if path is None:
            fact = f"does not say where its {word} is, since the path would name the patient, or was to be left out"
            raise InputError(report, fact, "give the file", setting)
        if not path.exists():
            fact = f"was the report's {word}, and is not there any more"
            raise InputError(path, fact, "say where it is now", setting)
        if sha256_of_path(path) != entry.sha256:
            fact = f"was the report's {word}, and has changed since"
            raise InputError(path, fact, "restore it, or give the original", setting)
        found[role] = path
    return found


@contextmanager
def _folder_for(output: Path | None, inputs: Iterable[Path]) -> Iterator[Path]:
    if output is None:
        with temporary_folder() as folder:
            yield folder
    else:
        with results_folder(output, inputs) as stage:
            yield stage


@contextmanager
def _threads(count: object) -> Iterator[None]:
    """As many threads as the run had: how sums are shared among them decides how they are rounded."""
    if not isinstance(count, int) or not 0 < count <= _MOST_THREADS:
        yield
        return
    import torch  # noqa: F401  so that there is something to tell

    with torch_threads(count):
        yield


def _run(
    report: Path,
    provenance: Provenance,
    files: dict[str, Path],
    device: str | None,
    stage: Path,
    output: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Run the verb of the report, and return the new report."""
    if provenance.verb == "reference":
        from stunet_perfusion.runs.reference import ReferenceRequest, run_reference

        reference = _request(ReferenceRequest.from_arguments, report, provenance, files)
        return run_reference(reference, stage, output, progress=progress)
    if provenance.verb == "predict":
        from stunet_perfusion.runs.prediction import PredictionRequest, run_prediction
        from stunet_perfusion.support.devices import choose_device

        request = _request(PredictionRequest.from_arguments, report, provenance, files)
        settings = replace(request.settings, device=choose_device(device or request.settings.device))
        return run_prediction(replace(request, settings=settings), stage, output, progress=progress).report
    raise _unknown_run(report)


def _request(
    from_arguments: Callable[[Mapping[str, Any], Mapping[str, Any]], _Request],
    report: Path,
    provenance: Provenance,
    files: dict[str, Path],
) -> _Request:
    try:
        return from_arguments(files, provenance.arguments)
    except (TypeError, KeyError) as error:
        raise _unknown_run(report) from error


def _unknown_run(report: Path) -> InputError:
    way_out = "update StUNetPerfusion, or use the version that the report names"
    return InputError(report, "describes a run that this version does not know", way_out)


def _compare(
    name: str, old: ReportedMap, new: Mapping[str, Any] | None, old_folder: Path, new_folder: Path
) -> MapComparison:
    if new is None:
        return MapComparison(name, False, None)
    if new["sha256"] == old.sha256:
        return MapComparison(name, True, 0.0)
    try:
        before, _ = read_map(old_folder / old.file)
        after, _ = read_map(new_folder / new["file"])
    except InputError:
        return MapComparison(name, False, None)
    if before.shape != after.shape or sha256_of_array(before) != old.sha256:
        return MapComparison(name, False, None)
    spread = float(before.std())
    largest = float(np.abs(after - before).max())
    return MapComparison(name, False, largest / spread if spread else float("inf"))
