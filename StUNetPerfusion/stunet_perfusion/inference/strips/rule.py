"""How a slice is cut into strips, and what is made of their predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.networks.quantities import LOG_ERROR_LIMITS
from stunet_perfusion.networks.strip_rule import PADDINGS, StripRule
from stunet_perfusion.support.errors import InputError, Setting

__all__ = [
    "EXPECTED_ERROR",
    "PADDINGS",
    "SPREAD_OVER_STRIPS",
    "StripAverage",
    "StripRule",
    "StripSums",
    "cut_strip",
    "strip_starts",
]


#: What an uncertainty is, in words for people.
SPREAD_OVER_STRIPS = "standard deviation over the predictions of overlapping strips; not a confidence interval"
EXPECTED_ERROR = "expected error (one standard deviation), calibrated on phantoms"


@dataclass(frozen=True, eq=False)
class StripAverage:
    """What the strips that cover each pixel predict.

    :param mean: (Y, X) of a slice or (Z, Y, X) of a volume, float32, their mean
    :param spread: the same shape, float32, their standard deviation (of the population: over n, not n - 1). Where a
        single strip covers a row, as the first and last rows of a slice, it is 0 and says nothing.
    :param error: the same shape, float32, the standard deviation that the network expects its error to have (the
        geometric mean over strips, within `LOG_ERROR_LIMITS`), or None of a network that does not say
    """

    mean: np.ndarray
    spread: np.ndarray
    error: np.ndarray | None = None

    @classmethod
    def of(cls, mean: np.ndarray, variance: np.ndarray, log_error: np.ndarray | None) -> StripAverage:
        """From double precision: mean and variance over strips, and the mean logarithm of the expected error."""
        error = None if log_error is None else np.exp(np.clip(log_error, *LOG_ERROR_LIMITS)).astype(np.float32)
        return cls(mean.astype(np.float32), np.sqrt(variance).astype(np.float32), error)

    @property
    def uncertainty(self) -> np.ndarray:
        """What is known of the map's standard error: the network's own estimate, else the spread over strips."""
        return self.spread if self.error is None else self.error

    @property
    def uncertainty_is(self) -> str:
        """What that is, in words."""
        return SPREAD_OVER_STRIPS if self.error is None else EXPECTED_ERROR


def strip_starts(slice_rows: int, strip_rows: int, stride: int) -> list[int]:
    """The first row of every strip: every `stride` rows, and one more that ends with the slice where rows are left.

    :raises InputError: a strip higher than the slice, or a stride that leaves rows out
    """
    if strip_rows > slice_rows:
        raise InputError("strip", f"{strip_rows} rows do not fit a slice of {slice_rows}", "use lower strips")
    if not 1 <= stride <= strip_rows:
        raise InputError(
            Setting.STRIDE, f"{stride} is not between 1 and the {strip_rows} rows of a strip", "1 is the paper's choice"
        )
    last = slice_rows - strip_rows
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


def cut_strip(frames: np.ndarray, start: int, rows: int, margin: int) -> np.ndarray:
    """One strip with `margin` rows around it; rows beyond the slice are zero.

    :param frames: (T, Y, X) standardized signal of a slice
    :returns: (T, margin + rows + margin, X)
    """
    first, stop = start - margin, start + rows + margin
    inside = frames[:, max(first, 0) : stop]
    missing_above, missing_below = max(-first, 0), max(stop - frames.shape[1], 0)
    return np.pad(inside, ((0, 0), (missing_above, missing_below), (0, 0)))


class StripSums:
    """Gathers predictions strip by strip, in double precision.

    :param rows: of the slice
    :param columns: of the slice
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._covering = np.zeros((rows, 1))
        self._total = np.zeros((rows, columns))
        self._total_of_squares = np.zeros((rows, columns))
        self._total_log_error: np.ndarray | None = None

    def add(self, start: int, prediction: np.ndarray) -> None:
        """Add a strip.

        :param start: its first row
        :param prediction: (rows, X), or (2, rows, X) with the logarithm of the expected error
        """
        rows = slice(start, start + prediction.shape[-2])
        values = prediction.astype(np.float64)
        strip = values if values.ndim == 2 else values[0]
        if values.ndim == 3:
            if self._total_log_error is None:
                self._total_log_error = np.zeros_like(self._total)
            self._total_log_error[rows] += values[1]
        self._covering[rows] += 1
        self._total[rows] += strip
        self._total_of_squares[rows] += strip**2

    def average(self) -> StripAverage:
        """Mean and spread of what was added; every row must be covered."""
        mean = self._total / self._covering
        variance = np.maximum(self._total_of_squares / self._covering - mean**2, 0)
        log_error = None if self._total_log_error is None else self._total_log_error / self._covering
        return StripAverage.of(mean, variance, log_error)
