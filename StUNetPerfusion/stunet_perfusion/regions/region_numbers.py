"""Every number that is read off a region: volume, nCBV, hot spot, tumor burden, other maps, and the other side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from stunet_perfusion.regions.hot_spot import DIAMETER, HotSpot, hot_spot
from stunet_perfusion.regions.region_error import Interval, mean_of_region
from stunet_perfusion.regions.tumor_burden import THRESHOLDS, TumorBurden, tumor_burden

#: Maps whose mean over a region is told besides, where they are there.
MEANS = (
    *("psr", "psr_ratio", "k2", "ncbv_corrected", "ncbv_corrected_bidirectional", "peak_height"),
    *("tmax", "mtt", "bat", "ttp", "fwhm"),
)


@dataclass(frozen=True, eq=False)
class RegionNumbers:
    """What a region says.

    :param voxels: (Z, Y, X) bool, without what lies outside the brain
    :param milliliters: volume
    :param ncbv: mean
    :param hot_spot: where nCBV is highest
    :param hot_spot_ncbv: its mean
    :param burden: classes of nCBV
    :param means: of other maps, by name
    :param mirror: (Z, Y, X) bool, the region on the other side within the brain, or None
    :param mirror_ncbv: mean over it
    """

    voxels: np.ndarray
    milliliters: float
    ncbv: Interval
    hot_spot: HotSpot
    hot_spot_ncbv: Interval
    burden: TumorBurden
    means: dict[str, float]
    mirror: np.ndarray | None = None
    mirror_ncbv: Interval | None = None

    def as_json(self) -> dict[str, Any]:
        """For reports. Slices, rows and columns count from 0."""
        slice_, row, column = self.hot_spot.center
        edges = ["0", *(f"{threshold:g}" for threshold in self.burden.thresholds), "inf"]
        return {
            "milliliters": self.milliliters,
            "voxels": int(self.voxels.sum()),
            "ncbv": self.ncbv.as_json(),
            "hot_spot": {**self.hot_spot_ncbv.as_json(), "slice": slice_, "row": row, "column": column},
            "tumor_burden": [
                {"from": low, "to": high, "share": share.as_json()}
                for (low, high), share in zip(pairwise(edges), self.burden.shares, strict=True)
            ],
            "means": self.means,
            "mirror": None if self.mirror_ncbv is None else {"ncbv": self.mirror_ncbv.as_json()},
        }


def region_numbers(
    maps: Mapping[str, np.ndarray],
    region: np.ndarray,
    voxel_ml: float,
    *,
    mirror: np.ndarray | None = None,
    diameter: float = DIAMETER,
    thresholds: Sequence[float] = THRESHOLDS,
) -> RegionNumbers:
    """Measure a region.

    :param maps: (Z, Y, X) by name: `ncbv`, and what else there is, `ncbv_uncertainty` among them
    :param region: (Z, Y, X) bool, inside the brain and not empty
    :param voxel_ml: volume of a voxel
    :param mirror: (Z, Y, X) bool, the same region on the other side
    :param diameter: of the hot spot's disk, voxels
    :param thresholds: of the tumor burden
    :raises InputError: as `hot_spot` and `tumor_burden`
    """
    ncbv, uncertainty = maps["ncbv"], maps.get("ncbv_uncertainty")
    spot = hot_spot(ncbv, region, diameter)
    other = None if mirror is None or not mirror.any() else mirror
    return RegionNumbers(
        region,
        float(region.sum()) * voxel_ml,
        mean_of_region(ncbv, region, uncertainty),
        spot,
        mean_of_region(ncbv, spot.disk, uncertainty),
        tumor_burden(ncbv, region, uncertainty, thresholds),
        {name: float(maps[name][region].mean(dtype=np.float64)) for name in MEANS if name in maps},
        other,
        None if other is None else mean_of_region(ncbv, other, uncertainty),
    )
