"""The unit of nCBV: blood volume in multiples of that of normal white matter.

The unit of CBV relative to an arterial input depends on how well the artery was caught: with an automatic input, whose
voxels hold other tissue too, maps come out several times too large, and differently at every dose. White matter is in
the same map, so that the ratio to it knows nothing of the artery, of TE, of the dose, or of the scanner; it is what
gliomas are graded by (Boxerman 2020, Neuro-Oncology 22:1262; ASFNR recommendations, Welker 2015, AJNR 36:E41).
OSIPI CAPLEX lists the quantity as relative CBV; it has no code of its own for the ratio to white matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.regions.white_matter import find_white_matter
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.voxels import trimmed_mean

#: How people read the unit, and the window that all nCBV maps are shown in.
NCBV_UNIT = "x white matter"
NCBV_WINDOW = (0.0, 6.0)

#: White matter's blood volume over the brain's trimmed mean, the median of 24 phantoms of both families (0.56 to 0.90).
WHITE_MATTER_OVER_BRAIN = 0.67

Source = Literal["given", "automatic", "estimated"]


@dataclass(frozen=True, eq=False)
class BloodVolumeUnit:
    """What CBV is divided by.

    :param region: (Z, Y, X) bool, normal white matter, or None where none was found
    :param source: whether the region was given, found, or white matter's blood volume is guessed from the brain's mean
    :param side: of the region, where it was found: left, right or both
    :param note: one sentence for people
    """

    region: np.ndarray | None
    source: Source
    side: str
    note: str

    def of(self, cbv: np.ndarray, brain: np.ndarray) -> float:
        """The blood volume of normal white matter in a map, in the map's unit.

        :param cbv: (Z, Y, X) with a true zero
        :param brain: (Z, Y, X) bool
        :raises InputError: it is not positive, so that there is no ratio to it
        """
        if self.region is None:
            unit = WHITE_MATTER_OVER_BRAIN * trimmed_mean(cbv[brain])
        else:
            unit = float(cbv[self.region].mean(dtype=np.float64))
        if not unit > 0:
            raise InputError(
                "normal white matter",
                f"holds a CBV of {unit:.3g} on average, so there is no ratio to it",
                "check the region of white matter, and the series with 'stunet-perfusion info'",
            )
        return unit


def blood_volume_unit(prepared: PreparedSeries, white_matter: np.ndarray | None = None) -> BloodVolumeUnit:
    """Find what CBV is to be divided by. It is found once for a series, and holds for maps of all its doses.

    :param white_matter: (Z, Y, X) bool, normal white matter, where somebody has marked it
    :raises InputError: a region that is empty, or outside the brain
    """
    if white_matter is not None:
        return BloodVolumeUnit(checked_region(white_matter, prepared.brain, "white matter"), "given", "", "")
    try:
        found = find_white_matter(prepared)
    except InputError as error:
        note = (
            f"Normal white matter was not found ({error.fact}): nCBV is in multiples of "
            f"{WHITE_MATTER_OVER_BRAIN:g} times the brain's mean instead; {error.way_out}."
        )
        return BloodVolumeUnit(None, "estimated", "", note)
    return BloodVolumeUnit(found.region, "automatic", found.side, found.note)


def checked_region(region: np.ndarray, brain: np.ndarray, name: str) -> np.ndarray:
    """A region without what lies outside the brain.

    :param region: (Z, Y, X) bool
    :param brain: (Z, Y, X) bool
    :param name: what messages call the region
    :raises InputError: another shape, an empty region, or none of it in the brain
    """
    if region.shape != brain.shape:
        raise InputError(
            name,
            f"has {region.shape} voxels (slices, rows, columns), and the series has {brain.shape}",
            "give a mask on the grid of the series",
        )
    if not region.any():
        raise InputError(name, "is empty", "mark some voxels of it")
    if not (region & brain).any():
        raise InputError(name, "lies outside the brain", "mark it inside the brain, or check the brain mask")
    return region & brain


def describe_unit(unit: BloodVolumeUnit, size: float | None, voxel_ml: float) -> dict[str, Any]:
    """What a report says of the unit, as JSON.

    :param size: white matter's CBV in the unit of the map, or None where there is no ratio to it
    :param voxel_ml: volume of a voxel
    """
    return {
        "source": unit.source,
        "side": unit.side,
        "milliliters": None if unit.region is None else round(float(unit.region.sum()) * voxel_ml, 2),
        "cbv": size,
    }
