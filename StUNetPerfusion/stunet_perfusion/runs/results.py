"""What a run leaves in its folder: maps, and a report from which the run can be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stunet_perfusion.reading.report import REPORT, sha256_of_array
from stunet_perfusion.runs.anonymous import anonymized
from stunet_perfusion.runs.provenance import (
    describe_files,
    sha256_of_acquisition,
    versions,
)
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.identity import identity_of
from stunet_perfusion.writing import write_json, write_map
from stunet_perfusion.writing.bids import BidsNames, write_derivative_description

#: Said once in every report.
USE = "Research use only: not for diagnosis."


@dataclass(frozen=True, eq=False)
class ResultMap:
    """A map to be written.

    :param values: (Z, Y, X)
    :param unit: for people
    :param description: one sentence
    :param facts: more about it, for the report
    """

    values: np.ndarray
    unit: str
    description: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ResultRegion:
    """A region to be written beside the maps.

    :param voxels: (Z, Y, X) bool
    :param description: one sentence
    """

    voxels: np.ndarray
    description: str


class Request(Protocol):
    """A job: which files, and how."""

    @property
    def verb(self) -> str:
        """The verb of the command line that does the same."""

    @property
    def series(self) -> Path:
        """The series that everything is computed from."""

    def files(self) -> dict[str, Path | None]:
        """Every file that is read, by its role."""

    def arguments(self) -> dict[str, Any]:
        """Everything else that decides the result, as JSON."""


def provenance_of(request: Request, series: DscSeries, folder: Path, anonymous: bool = False) -> dict[str, Any]:
    """What `runs.repeat` needs, and a person who asks how a map came about.

    :param series: as it was read; its signal is not looked at
    :param folder: where the report will be in the end
    :param anonymous: leave every path out
    """
    return {
        "verb": request.verb,
        "versions": versions(),
        "inputs": describe_files(request.files(), None if anonymous else folder, identity_of(request.series)),
        "acquisition_sha256": sha256_of_acquisition(series),
        "arguments": request.arguments(),
    }


def write_results(
    stage: Path,
    output: Path,
    request: Request,
    series: DscSeries,
    report: Mapping[str, Any],
    maps: Mapping[str, ResultMap],
    names: BidsNames | None = None,
    regions: Mapping[str, ResultRegion] | None = None,
    baseline: np.ndarray | None = None,
    anonymous: bool = False,
) -> dict[str, Any]:
    """Write maps, regions and report, with plain names or those of a BIDS derivative.

    :param stage: where to write now
    :param output: the folder that `stage` will become
    :param series: as it was read; its signal may have been overwritten
    :param report: what is particular to this kind of run, with its `notes`
    :param names: of a BIDS derivative; then every map has a sidecar that holds the report, and there is no other
    :param regions: masks, by name
    :param baseline: (Z, Y, X) signal before the bolus, which anatomy is registered to and maps are laid over
    :param anonymous: leave every path out of the report
    :returns: the report
    """
    regions = regions or {}
    place = Path() if names is None else names.folder
    images = {} if baseline is None else {"baseline": baseline}
    written = (*maps, *regions, *images)
    files = {name: f"{name}.nii.gz" if names is None else names.file(name, ".nii.gz") for name in written}
    names_of = {role: path for role, path in request.files().items() if path is not None}
    document = {
        "use": USE,
        **anonymized(report, names_of),
        "maps": {
            name: {"file": files[name], "unit": map_.unit, "sha256": sha256_of_array(map_.values), **map_.facts}
            for name, map_ in maps.items()
        },
        "regions": {
            name: {"file": files[name], "voxels": int(region.voxels.sum()), "sha256": sha256_of_array(region.voxels)}
            for name, region in regions.items()
        },
        "images": {name: {"file": files[name]} for name in images},
        "provenance": provenance_of(request, series, output / place, anonymous),
    }
    (stage / place).mkdir(parents=True, exist_ok=True)
    for name, map_ in maps.items():
        write_map(stage / place / files[name], map_.values, series.grid)
        if names is not None:
            write_json(stage / place / names.file(name, ".json"), names.sidecar(map_.description, map_.unit, document))
    for name, region in regions.items():
        write_map(stage / place / files[name], region.voxels, series.grid)
        if names is not None:
            write_json(stage / place / names.file(name, ".json"), {"Description": region.description, "Type": "ROI"})
    for name, image in images.items():
        write_map(stage / place / files[name], image, series.grid)
        if names is not None:
            write_json(stage / place / names.file(name, ".json"), {"Description": "Mean signal before the bolus."})
    if names is None:
        write_json(stage / REPORT, document)
    else:
        write_derivative_description(stage)
    return document
