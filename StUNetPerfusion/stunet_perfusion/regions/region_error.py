"""How well the mean of a map over a region is known, from the uncertainty of its voxels.

Errors of neighbors are alike: noise is correlated, and where a network or a fit is wrong, it is wrong for the whole
tumor. So the standard deviation of a mean does not fall with the number of voxels. It is

    sd = SHARED mean(s),

s being the standard deviations of the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: How much of the voxels' standard deviation stays in the mean of a tumor; more than 1, since tumors come out too low
#: on average. Measured with the shipped stU-Net on 48 phantoms of both families: the 95 % interval of the tumor's nCBV
#: held the truth in 94 % of them at full dose, and in 98 % at a quarter.
SHARED = 1.3

#: 95 % of normally distributed errors are within so many standard deviations.
NORMAL_95 = 1.96


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval.

    :param value: the number
    :param low: lower end, None where the uncertainty is not known
    :param high: upper end, likewise
    """

    value: float
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, float | None]:
        """For reports."""
        return {"value": self.value, "low": self.low, "high": self.high}


def mean_of_region(values: np.ndarray, region: np.ndarray, uncertainty: np.ndarray | None = None) -> Interval:
    """Mean of a map over a region.

    :param values: (Z, Y, X)
    :param region: (Z, Y, X) bool, not empty
    :param uncertainty: (Z, Y, X) one standard deviation of a voxel
    """
    mean = float(values[region].mean(dtype=np.float64))
    if uncertainty is None:
        return Interval(mean)
    spread = NORMAL_95 * sd_of_mean(uncertainty[region])
    return Interval(mean, mean - spread, mean + spread)


def sd_of_mean(deviations: np.ndarray) -> float:
    """Standard deviation of the mean of voxels.

    :param deviations: (n,) standard deviations of the voxels
    """
    return SHARED * float(deviations.mean(dtype=np.float64))
