"""Numbers that only a group of subjects has: agreement of nRCBV between persons, and telling grades apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from stunet_perfusion.metrics import Agreement, bland_altman
from stunet_perfusion.metrics import concordance as concordance_of_voxels


@dataclass(frozen=True)
class RatioAgreement:
    """Agreement of one number a person with its truth.

    :param count: persons
    :param concordance: Lin's coefficient, NaN for fewer than three persons
    :param limits: Bland and Altman's, or None for fewer than three persons
    """

    count: int
    concordance: float
    limits: Agreement | None


def agreement(values: Sequence[float], truths: Sequence[float]) -> RatioAgreement:
    """How values of persons agree with the truth. Pairs with a NaN are left out."""
    pairs = np.array([values, truths], float).reshape(2, -1)
    found, true = pairs[:, np.isfinite(pairs).all(axis=0)]
    count = len(found)
    if count < 3:
        return RatioAgreement(count, float("nan"), None)
    everybody = np.ones(count, bool)
    return RatioAgreement(count, concordance_of_voxels(found, true, everybody), bland_altman(found, true, everybody))


def area_under_curve(low: Sequence[float], high: Sequence[float]) -> float:
    """The chance that a person of high grade has a larger value than one of low grade; ties count half.

    The area under the ROC curve, by ranks (Hanley and McNeil 1982). NaN where one of the groups is empty.
    """
    low = [value for value in low if np.isfinite(value)]
    high = [value for value in high if np.isfinite(value)]
    if not low or not high:
        return float("nan")
    ranks = rankdata([*high, *low])[: len(high)]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))
