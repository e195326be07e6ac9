"""An arterial input function of another shape than the gamma variate: the lagged normal density curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

#: The normal curve is cut this many standard deviations before its mean: that is the arrival.
_LEAD = 3.0


@dataclass(frozen=True)
class LaggedNormalBolus:
    """First pass and recirculation as a normal curve that is dispersed by an exponential, after Bassingthwaighte 1966.

    The first pass is a normal density with standard deviation `width` convolved with an exponential of time constant
    `lag`, scaled to its peak; recirculation is the same, two and a half times as wide; the tail rises with the first
    pass's cumulative normal and decays with two time constants.

    :param arrival: when contrast agent arrives, s after the first frame
    :param peak: of the first pass; any unit, and the curve has it
    :param width: s
    :param lag: s
    :param recirculation_delay: from first to second arrival, s
    :param recirculation: height of the second pass over that of the first
    :param tail: height of the tail over that of the first pass
    :param tail_decay: the longer time constant of the tail, s; the shorter is a fifth of it
    """

    arrival: float
    peak: float
    width: float
    lag: float
    recirculation_delay: float = 14.0
    recirculation: float = 0.08
    tail: float = 0.06
    tail_decay: float = 90.0

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """The curve at `times` (s), in the unit of the peak."""
        seconds = np.asarray(times, dtype=float) - self.arrival
        curve = lagged_normal(seconds, self.width, self.lag) / self._density_peak
        second = lagged_normal(seconds - self.recirculation_delay, 2.5 * self.width, 2.5 * self.lag)
        curve = curve + self.recirculation * second / (self._density_peak / 2.5)
        rise = special.ndtr(seconds / self.width - _LEAD - 1) * (seconds > 0)
        late = np.maximum(seconds, 0)
        decay = 0.5 * np.exp(-late / (0.2 * self.tail_decay)) + 0.5 * np.exp(-late / self.tail_decay)
        return self.peak * (curve + self.tail * rise * decay)

    @cached_property
    def _density_peak(self) -> float:
        fine = np.linspace(0, _LEAD * self.width + 5 * self.lag, 4001)
        return float(lagged_normal(fine, self.width, self.lag).max())


def lagged_normal(seconds: np.ndarray, width: float, lag: float) -> np.ndarray:
    """The lagged normal density with its area (nearly) 1, 0 before 0 s.

    exp(-x^2 / 2) erfcx(y) / (2 lag), with x = (t - 3 width) / width and y = (width / lag - x) / sqrt(2): that form
    neither overflows nor loses digits where the exponential is much shorter than the normal curve.
    """
    x = seconds / width - _LEAD
    y = (width / lag - x) / np.sqrt(2)
    # far behind the peak erfcx overflows; there the density is a plain exponential
    late = y < -20
    inside = np.exp(-(x**2) / 2) * special.erfcx(np.where(late, 0, y))
    behind = 2 * np.exp(np.minimum((width / lag) ** 2 / 2 - x * width / lag, 0))
    return np.where(late, behind, inside) / (2 * lag) * (seconds > 0)
