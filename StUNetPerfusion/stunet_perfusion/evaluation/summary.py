"""From rows of subjects to the cells of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stunet_perfusion.evaluation.cohort_metrics import RatioAgreement, agreement, area_under_curve

Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A score over subjects.

    :param mean: NaN where no subject has it
    :param sd: standard deviation between subjects, with n - 1; NaN for fewer than two
    :param count: subjects that have it
    """

    mean: float
    sd: float
    count: int


def rows_of(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have these values: `rows_of(rows, table="truth", dose=0.5)`."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def cell(rows: Sequence[Row], score: str) -> Cell:
    """Mean and standard deviation of a score over rows. Subjects without it are left out."""
    values = np.array([row[score] for row in rows if row.get(score) is not None], float)
    return Cell(
        float(values.mean()) if values.size else float("nan"),
        float(values.std(ddof=1)) if values.size > 1 else float("nan"),
        int(values.size),
    )


def nrcbv_agreement(rows: Sequence[Row]) -> RatioAgreement:
    """Agreement of nRCBV with its truth over subjects."""
    return agreement(*([row.get(name, np.nan) for row in rows] for name in ("nrcbv", "nrcbv_reference")))


def grading(rows: Sequence[Row], score: str = "nrcbv") -> float:
    """Area under the ROC curve of a score for high against low grade; NaN where a grade is missing."""
    low, high = ([row.get(score, np.nan) for row in rows_of(rows, grade=grade)] for grade in ("low", "high"))
    return area_under_curve(low, high)


def families_of(rows: Sequence[Row]) -> list[str]:
    """Families in the order in which they come."""
    return list(dict.fromkeys(row["family"] for row in rows))


def doses_of(rows: Sequence[Row]) -> list[float]:
    """Doses, full first."""
    return sorted({row["dose"] for row in rows}, reverse=True)
