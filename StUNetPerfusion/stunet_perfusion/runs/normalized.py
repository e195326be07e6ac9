"""nCBV as a run writes it: the map in multiples of white matter, its uncertainty, and the region itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from stunet_perfusion.regions.blood_volume_unit import NCBV_UNIT, BloodVolumeUnit, describe_unit
from stunet_perfusion.runs.results import ResultMap, ResultRegion
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError


@dataclass(frozen=True, eq=False)
class NormalizedMaps:
    """What a unit makes of a map.

    :param maps: `ncbv`, and `ncbv_uncertainty` where there is an uncertainty; empty where there is no ratio
    :param regions: `nawm`, where white matter is known
    :param report: what the report says of the unit
    :param notes: for people, one sentence each
    """

    maps: dict[str, ResultMap]
    regions: dict[str, ResultRegion]
    report: dict[str, Any]
    notes: tuple[str, ...]

    def values(self, name: str) -> np.ndarray | None:
        """(Z, Y, X) float32 of a map, or None where there is none."""
        return self.maps[name].values if name in self.maps else None


def normalized_maps(
    cbv: np.ndarray, brain: np.ndarray, unit: BloodVolumeUnit, grid: Grid, uncertainty: np.ndarray | None = None
) -> NormalizedMaps:
    """Divide a CBV map by its own mean over normal white matter; 0 outside the brain.

    The mean over thousands of voxels of white matter is known far better than any voxel, so that the uncertainty is
    that of CBV over the same number.

    :param cbv: (Z, Y, X) with a true zero
    :param brain: (Z, Y, X) bool
    :param uncertainty: (Z, Y, X) one standard deviation, in the unit of `cbv`
    """
    voxel_ml = float(np.prod(grid.spacing)) / 1000
    notes = (unit.note,) if unit.note else ()
    regions: dict[str, ResultRegion] = {}
    if unit.region is not None:
        regions["nawm"] = ResultRegion(unit.region, f"Normal white matter, {unit.source}.")
    try:
        size = unit.of(cbv, brain)
    except InputError as error:
        sentence = f"There is no nCBV: {error.subject} {error.fact}; {error.way_out}."
        return NormalizedMaps({}, regions, describe_unit(unit, None, voxel_ml), (*notes, sentence))
    maps = {"ncbv": _of(cbv, brain, size, "Cerebral blood volume in multiples of normal white matter.")}
    if uncertainty is not None:
        maps["ncbv_uncertainty"] = _of(uncertainty, brain, size, "Uncertainty of nCBV: one standard deviation.")
    return NormalizedMaps(maps, regions, describe_unit(unit, size, voxel_ml), notes)


#: Maps that are read over white matter, with what the ratio is called and shows.
_RATIOS = {
    "cbv_corrected": ("ncbv_corrected", "nCBV corrected for leakage in one direction."),
    "cbv_corrected_bidirectional": ("ncbv_corrected_bidirectional", "nCBV corrected for leakage in both directions."),
    "psr": ("psr_ratio", "Percentage signal recovery over that of white matter."),
}


def ratios_to_white_matter(
    maps: Mapping[str, np.ndarray], brain: np.ndarray, unit: BloodVolumeUnit
) -> dict[str, ResultMap]:
    """Leakage-corrected CBV and signal recovery over white matter; those that have no ratio are left out.

    :param maps: (Z, Y, X) by name
    :param brain: (Z, Y, X) bool
    """
    ratios: dict[str, ResultMap] = {}
    for name, (ratio, description) in _RATIOS.items():
        # Signal recovery over the whole brain says nothing of white matter's.
        if name in maps and (unit.region is not None or name != "psr"):
            with suppress(InputError):
                ratios[ratio] = _of(maps[name], brain, unit.of(maps[name], brain), description)
    return ratios


def _of(values: np.ndarray, brain: np.ndarray, size: float, description: str) -> ResultMap:
    image = np.where(brain, values / np.float32(size), np.float32(0)).astype(np.float32)
    return ResultMap(image, NCBV_UNIT, description, {"median_in_brain": float(np.median(image[brain]))})
