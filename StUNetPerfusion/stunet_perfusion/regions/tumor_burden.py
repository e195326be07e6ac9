"""Fractional tumor burden: which shares of a lesion hold little, some and much blood.

After treatment, tissue that enhances is tumor that grows again, or a reaction to the treatment. The share of its voxels
whose nCBV is above a threshold tells them apart (Hu 2012, Neuro-Oncology 14:919). The classes are below 1.0, 1.0 to
1.75, and above 1.75 times white matter (Iv 2019, AJNR 40:1632; Hoxworth 2020, J Neurosurg).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from stunet_perfusion.regions.region_error import NORMAL_95, SHARED, Interval
from stunet_perfusion.support.errors import InputError

#: nCBV that the classes meet at.
THRESHOLDS = (1.0, 1.75)

#: Errors that all voxels of a region have in common are drawn at so many quantiles.
_DRAWS = 201


@dataclass(frozen=True, eq=False)
class TumorBurden:
    """A lesion in classes of nCBV.

    :param labels: (Z, Y, X) uint8: 0 outside, 1 in the lowest class, 2, 3
    :param shares: of the region's voxels, one a class, 0 to 1, with their intervals
    :param thresholds: between the classes
    """

    labels: np.ndarray
    shares: tuple[Interval, ...]
    thresholds: tuple[float, ...]


def tumor_burden(
    ncbv: np.ndarray,
    region: np.ndarray,
    uncertainty: np.ndarray | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> TumorBurden:
    """Classes of a lesion.

    A share's interval comes of two kinds of errors: those that all voxels have in common move the whole histogram over
    the thresholds, and those of single voxels blur it. The first are drawn at the quantiles of a normal distribution,
    and the expected share is computed for each.

    :param ncbv: (Z, Y, X) in multiples of white matter
    :param region: (Z, Y, X) bool
    :param uncertainty: (Z, Y, X) one standard deviation of `ncbv`
    :param thresholds: rising
    :raises InputError: an empty region, or thresholds that do not rise
    """
    if not region.any():
        raise InputError("region", "is empty", "mark some voxels of it")
    if not thresholds or (np.diff(thresholds) <= 0).any():
        raise InputError("thresholds", f"{list(thresholds)} do not rise", "give for example 1.0 and 1.75")
    values = ncbv[region].astype(np.float64)
    labels = np.zeros(region.shape, np.uint8)
    labels[region] = 1 + np.searchsorted(thresholds, values, side="right")
    counted = np.bincount(labels[region], minlength=len(thresholds) + 2)[1:] / len(values)
    if uncertainty is None:
        shares = tuple(Interval(float(share)) for share in counted)
    else:
        drawn = _drawn_shares(values, uncertainty[region].astype(np.float64), thresholds)
        ends = np.quantile(drawn, (0.025, 0.975), axis=0)
        shares = tuple(
            Interval(float(share), float(min(low, share)), float(max(high, share)))
            for share, low, high in zip(counted, *ends, strict=True)
        )
    return TumorBurden(labels, shares, tuple(float(threshold) for threshold in thresholds))


def _drawn_shares(values: np.ndarray, deviations: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(draws, classes) expected shares for each error that all voxels have in common."""
    quantiles = NORMAL_95 * 2 * np.linspace(-1, 1, _DRAWS)
    weights = np.exp(-(quantiles**2) / 2)
    common, own = SHARED * deviations, np.maximum(deviations, 1e-9)
    below = np.empty((_DRAWS, len(thresholds)))
    for draw, quantile in enumerate(quantiles):
        moved = values + quantile * common
        for place, threshold in enumerate(thresholds):
            below[draw, place] = ndtr((threshold - moved) / own).mean()
    edges = np.concatenate([np.zeros((_DRAWS, 1)), below, np.ones((_DRAWS, 1))], axis=1)
    shares = np.diff(edges, axis=1)
    # As many copies of a draw as it is likely.
    copies = np.maximum(np.rint(1000 * weights / weights.sum()).astype(int), 0)
    return np.repeat(shares, copies, axis=0)
