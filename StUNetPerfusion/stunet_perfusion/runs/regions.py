"""Numbers of regions in the maps that a run has left, from files to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.reading import read_mask
from stunet_perfusion.regions.blood_volume_unit import checked_region
from stunet_perfusion.regions.delayed_tissue import DelayedTissue, delayed_tissue
from stunet_perfusion.regions.histogram import Histogram, histogram
from stunet_perfusion.regions.hot_spot import DIAMETER
from stunet_perfusion.regions.region_numbers import RegionNumbers, region_numbers
from stunet_perfusion.regions.symmetry import SymmetryPlane, find_symmetry_plane, mirrored_region, places
from stunet_perfusion.regions.tumor_burden import THRESHOLDS
from stunet_perfusion.runs.opened import open_run
from stunet_perfusion.runs.results import USE
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_json, write_map

WHITE_MATTER = "white matter"


@dataclass(frozen=True)
class MirrorSettings:
    """How regions are brought to the other side.

    :param wanted: whether at all
    :param turn: degrees by which the plane that is found is turned, from above counterclockwise
    :param shift: mm by which it is shifted to the patient's right
    """

    wanted: bool = False
    turn: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """What was measured in a run.

    :param maps: (Z, Y, X) by name
    :param report: the JSON document of the run; empty where there is none
    :param brain: (Z, Y, X) bool
    :param white_matter: (Z, Y, X) bool, or None
    :param regions: by the name of the region
    :param delayed: where there is a map of Tmax
    :param histogram: of nCBV
    :param plane: of symmetry, where it was asked for
    :param notes: for people, one sentence each
    """

    grid: Grid
    maps: Mapping[str, np.ndarray]
    report: Mapping[str, Any]
    brain: np.ndarray
    white_matter: np.ndarray | None
    regions: dict[str, RegionNumbers]
    delayed: DelayedTissue | None
    histogram: Histogram
    plane: SymmetryPlane | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything but images."""
        return {
            "use": USE,
            "unit": "x white matter",
            "regions": {name: numbers.as_json() for name, numbers in self.regions.items()},
            "delayed_tissue": None if self.delayed is None else self.delayed.as_json(),
            "histogram": {
                "edges": self.histogram.edges.tolist(),
                "shares": {name: shares.tolist() for name, shares in self.histogram.shares.items()},
            },
            "plane_of_symmetry": None
            if self.plane is None
            else {
                "normal_ras": self.plane.normal.tolist(),
                "offset_mm": self.plane.offset,
                "agreement": self.plane.agreement,
            },
            "notes": list(self.notes),
        }


def measure_run(
    folder: Path,
    masks: Sequence[Path],
    *,
    mirror: MirrorSettings | None = None,
    diameter: float = DIAMETER,
    thresholds: Sequence[float] = THRESHOLDS,
) -> MeasuredRun:
    """Measure regions in the maps of a run.

    :param folder: that `predict` or `reference` wrote
    :param masks: one region a file, which gives it its name
    :param diameter: of the hot spot's disk, voxels
    :param thresholds: of the tumor burden
    :raises InputError: no run, no nCBV in it, a mask that is empty or lies outside the brain or the maps, two masks of
        one name, or no plane of symmetry where it is asked for
    """
    mirror = mirror or MirrorSettings()
    run = open_run(folder)
    brain = run.brain
    notes = list(run.notes)
    found: dict[str, np.ndarray] = {}
    for path in masks:
        name = _name_of(path)
        if name in found or name == WHITE_MATTER:
            raise InputError(path.name, f"is the second region that is called '{name}'", "give its file another name")
        mask, mask_notes = read_mask(path, run.grid)
        notes += mask_notes
        found[name] = checked_region(mask, brain, path.name)
        outside = 1 - found[name].sum() / mask.sum()
        if outside > 0.05:
            notes.append(f"{100 * outside:.0f} % of {path.name} lies outside the brain and is left out.")
    image = run.maps["ncbv"] if run.baseline is None else run.baseline
    plane = _plane(image, brain, run.grid, mirror) if mirror.wanted else None
    voxel = float(np.prod(run.grid.spacing)) / 1000
    numbers = {
        name: region_numbers(
            run.maps,
            region,
            voxel,
            mirror=None if plane is None else _other_side(region, brain, run.grid, plane, name, notes),
            diameter=diameter,
            thresholds=thresholds,
        )
        for name, region in found.items()
    }
    white = run.white_matter
    counted = found | ({WHITE_MATTER: white} if white is not None else {})
    late = None
    if {"tmax", "cbf"} <= run.maps.keys():
        late = delayed_tissue(run.maps["tmax"], run.maps["cbf"], brain, run.grid.spacing)
    shares = histogram(run.maps["ncbv"], counted or {"brain": brain})
    return MeasuredRun(run.grid, run.maps, run.report, brain, white, numbers, late, shares, plane, tuple(notes))


def write_regions(stage: Path, measured: MeasuredRun) -> dict[str, Any]:
    """Write `regions.json`, and for each region its classes, hot spot and mirror image.

    :param stage: folder to write into
    :returns: the document
    """
    document = measured.as_json()
    files: dict[str, str] = {}
    for name, numbers in measured.regions.items():
        images = {"tumor_burden": numbers.burden.labels, "hot_spot": numbers.hot_spot.disk, "mirror": numbers.mirror}
        for kind, image in images.items():
            if image is not None:
                files[f"{name} {kind}"] = f"{name}_{kind}.nii.gz"
                write_map(stage / f"{name}_{kind}.nii.gz", image, measured.grid)
    document["files"] = files
    write_json(stage / "regions.json", document)
    return document


def _name_of(path: Path) -> str:
    name = path.name
    for ending in (".nii.gz", ".nii", ".seg.nrrd", ".nrrd"):
        name = name.removesuffix(ending)
    return name


def _plane(image: np.ndarray, brain: np.ndarray, grid: Grid, mirror: MirrorSettings) -> SymmetryPlane:
    plane = find_symmetry_plane(np.where(brain, np.clip(image, 0, np.percentile(image[brain], 95)), 0), brain, grid)
    return plane.turned(mirror.turn, mirror.shift, places(grid)[brain].mean(axis=0))


def _other_side(
    region: np.ndarray, brain: np.ndarray, grid: Grid, plane: SymmetryPlane, name: str, notes: list[str]
) -> np.ndarray | None:
    side = plane.distance(places(grid)[region]) > 0
    if min(side.mean(), 1 - side.mean()) > 0.1:
        notes.append(f"{name} lies on both sides of the midline, so that its mirror image is not normal tissue.")
    other = mirrored_region(region, grid, plane) & brain & ~region
    if not other.any():
        notes.append(f"The mirror image of {name} lies outside the brain.")
        return None
    return other
