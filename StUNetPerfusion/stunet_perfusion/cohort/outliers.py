"""Which cases of a cohort are unlike the others, and in what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stunet_perfusion.cohort.numbers import COMPARED

#: Fewer cases are no cohort to be unlike to.
FEWEST_CASES = 8

#: A number is unusual from this many robust standard deviations on, and by this share of the median.
_UNUSUAL, _LEAST_SHARE = 5.0, 0.2


def unusual_cases(numbers: Mapping[str, Mapping[str, float | None]]) -> dict[str, list[str]]:
    """The names of numbers in which a case is far from the median of its cohort, by case.

    :param numbers: by case and name; empty where a case failed
    :returns: only the cases that are unusual in something
    """
    found: dict[str, list[str]] = {}
    for name in COMPARED:
        values = {case: float(value) for case, of_case in numbers.items() if (value := of_case.get(name)) is not None}
        if len(values) < FEWEST_CASES:
            continue
        middle = float(np.median(list(values.values())))
        spread = 1.4826 * float(np.median(np.abs(np.array(list(values.values())) - middle)))
        limit = max(_UNUSUAL * spread, _LEAST_SHARE * abs(middle))
        for case, value in values.items():
            if abs(value - middle) > limit:
                found.setdefault(case, []).append(name)
    return found
