"""What a run has left in its folder, to be measured, drawn or laid over an anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.dicom_export.run_maps import read_run_maps
from stunet_perfusion.reading import read_map, read_mask
from stunet_perfusion.reading.report import REPORT, read_report
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A run of `predict` or `reference`.

    :param maps: (Z, Y, X) by name, `ncbv` among them
    :param report: the JSON document; empty where there is none
    :param brain: (Z, Y, X) bool
    :param white_matter: (Z, Y, X) bool, or None where none was found
    :param baseline: (Z, Y, X) signal before the bolus, or None in runs of earlier versions
    :param notes: for people
    """

    folder: Path
    grid: Grid
    maps: dict[str, np.ndarray]
    report: Mapping[str, Any]
    brain: np.ndarray
    white_matter: np.ndarray | None
    baseline: np.ndarray | None
    notes: tuple[str, ...]

    def baseline_image(self) -> np.ndarray:
        """(Z, Y, X) signal before the bolus.

        :raises InputError: the run has none
        """
        if self.baseline is None:
            raise InputError(self.folder, "holds no image of the baseline", "run 'predict' or 'reference' again")
        return self.baseline


def open_run(folder: Path) -> OpenRun:
    """Read a run's folder.

    :raises InputError: no maps in it, or no nCBV
    """
    run = read_run_maps([folder])
    if "ncbv" not in run.maps:
        way_out = "run 'predict' or 'reference' again, with a mask of normal white matter where none is found"
        raise InputError(folder, "holds no nCBV map", way_out)
    report = _report(folder)
    white = _file(folder, report, "regions", "nawm")
    image = _file(folder, report, "images", "baseline")
    baseline = None if image is None else _on_grid(image, run.grid)
    mask = None if white is None else _mask_on_grid(white, run.grid)
    return OpenRun(folder, run.grid, run.maps, report, run.maps["ncbv"] != 0, mask, baseline, tuple(run.notes))


def _report(folder: Path) -> Mapping[str, Any]:
    return read_report(folder / REPORT).document if (folder / REPORT).is_file() else {}


def _file(folder: Path, report: Mapping[str, Any], kind: str, name: str) -> Path | None:
    """A file that a report names, which lies in its folder; None where there is none."""
    try:
        path = folder / str(report[kind][name]["file"])
    except (KeyError, TypeError):
        return None
    return path if path.parent == folder and path.is_file() else None


def _on_grid(path: Path, grid: Grid) -> np.ndarray | None:
    image, own = read_map(path)
    return image if own.matches(grid, 0.01) else None


def _mask_on_grid(path: Path, grid: Grid) -> np.ndarray | None:
    try:
        return read_mask(path, grid)[0]
    except InputError:
        return None
