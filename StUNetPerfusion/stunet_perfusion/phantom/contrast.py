"""Contrast agent in time: the arterial input function, the residue function, and their convolution for many voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft, special

#: Transit times that the response table holds, s: from plug flow in arteries to the slowest tissue.
_SHORTEST_TRANSIT = 0.01
_LONGEST_TRANSIT = 60.0
_TRANSITS = 400

#: The table's time step is at most this, s.
_FINE_STEP = 0.125


@dataclass(frozen=True)
class ArterialBolus:
    """An arterial input function: first pass, recirculation and tail, each a closed form.

    The first pass is a gamma variate, peak * (s / (alpha beta))^alpha * exp(alpha - s / beta), s = t - arrival (Madsen
    1992). The second pass has the same shape, three times as wide. The tail is (1 - exp(-s / (2 alpha beta))) *
    exp(-s / decay) from the first pass's peak on.

    :param arrival: when contrast agent arrives, s after the first frame
    :param peak: of the first pass; any unit, and the curve has it
    :param alpha: shape of the first pass
    :param beta: time constant of the first pass, s
    :param recirculation_delay: from first to second arrival, s
    :param recirculation: height of the second pass over that of the first
    :param tail: height of the tail over that of the first pass
    :param tail_decay: time constant of the tail, s
    """

    arrival: float
    peak: float
    alpha: float = 3.0
    beta: float = 1.5
    recirculation_delay: float = 11.0
    recirculation: float = 0.08
    tail: float = 0.06
    tail_decay: float = 60.0

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """The curve at `times` (s), in the unit of the peak."""
        seconds = np.asarray(times, dtype=float) - self.arrival
        curve = _gamma_variate(seconds, self.alpha, self.beta)
        curve = curve + self.recirculation * _gamma_variate(
            seconds - self.recirculation_delay, self.alpha, 3 * self.beta
        )
        late = np.maximum(seconds - self.alpha * self.beta, 0)
        curve += self.tail * -np.expm1(-late / (2 * self.alpha * self.beta)) * np.exp(-late / self.tail_decay)
        return self.peak * curve

    @property
    def area(self) -> float:
        """The integral over all time, unit of the peak times s."""
        first_pass = _gamma_variate_area(self.alpha, self.beta)
        rise = 2 * self.alpha * self.beta
        tail = self.tail_decay - self.tail_decay * rise / (self.tail_decay + rise)
        return self.peak * (
            first_pass + self.recirculation * _gamma_variate_area(self.alpha, 3 * self.beta) + self.tail * tail
        )


def _gamma_variate(seconds: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """A gamma variate with its maximum, 1, at alpha * beta."""
    share = np.maximum(seconds, 0) / (alpha * beta)
    return share**alpha * np.exp(alpha * (1 - share))


def _gamma_variate_area(alpha: float, beta: float) -> float:
    return float(beta * np.exp(alpha - alpha * np.log(alpha) + special.gammaln(alpha + 1)))


def residue_integral(times: np.ndarray, transit: np.ndarray | float, shape: float) -> np.ndarray:
    """The integral of the residue function from 0 to `times`, s, where transit times are gamma distributed.

    R(t) = 1 - F(t), F the distribution of transit times with mean `transit` and the given shape; shape 1 is the
    exponential residue function, and larger shapes come nearer to plug flow. The integral to infinity is the mean
    transit time.
    """
    scaled = shape * np.asarray(times) / transit
    return times * special.gammaincc(shape, scaled) + transit * special.gammainc(shape + 1, scaled)


@dataclass(frozen=True, eq=False)
class ResponseTable:
    """Curves of tissue with a blood volume of 1, for all transit times at once.

    Each is the AIF convolved with the residue function over its mean transit time, so that all have the area of the
    AIF. Voxels read their curve out of it by linear interpolation in log transit time and in time.

    :param curves: (transit times, fine time steps), in the unit of the AIF; the first `lead` steps are before time 0
    :param step: fine time step, s
    :param steps_per_frame: fine steps from one frame to the next
    :param frames: T
    :param lead: fine steps before time 0; no voxel can have a longer delay
    """

    curves: np.ndarray
    step: float
    steps_per_frame: int
    frames: int
    lead: int

    def read(self, transit: np.ndarray, delay: np.ndarray) -> np.ndarray:
        """The curves of voxels.

        :param transit: (V,) mean transit times, s
        :param delay: (V,) arrival after the AIF, s, 0 to what the table was made for
        :returns: (T, V) of the table's type
        """
        dtype = self.curves.dtype
        span = np.log(_LONGEST_TRANSIT / _SHORTEST_TRANSIT)
        row = np.log(np.clip(transit, _SHORTEST_TRANSIT, _LONGEST_TRANSIT) / _SHORTEST_TRANSIT) / span * (_TRANSITS - 1)
        low_row = np.minimum(row.astype(np.int32), _TRANSITS - 2)
        row_share = (row - low_row).astype(dtype)
        column = self.lead - np.clip(delay, 0, (self.lead - 1) * self.step) / self.step
        low_column = np.floor(column).astype(np.int32)
        column_share = (column - low_column).astype(dtype)
        width = self.curves.shape[1]
        start = low_row * width + low_column
        index = start + (np.arange(self.frames, dtype=np.int32) * self.steps_per_frame)[:, None]
        flat = self.curves.reshape(-1)
        result = flat[index] * ((1 - row_share) * (1 - column_share))
        for offset, share in (
            (1, (1 - row_share) * column_share),
            (width, row_share * (1 - column_share)),
            (width + 1, row_share * column_share),
        ):
            result += flat[index + np.int32(offset)] * share
        return result


def response_table(
    bolus: Callable[[np.ndarray], np.ndarray],
    frames: int,
    frame_interval: float,
    *,
    shape: float = 1.0,
    longest_delay: float = 8.0,
    dtype: type = np.float32,
    residue: Callable[[np.ndarray, np.ndarray | float, float], np.ndarray] = residue_integral,
) -> ResponseTable:
    """Convolve an AIF with the residue functions of all transit times.

    The kernel's weight at a fine step is the residue function's exact integral over that step, so that no area is lost.

    :param bolus: the AIF, called with times in s
    :param shape: of the distribution of transit times, see `residue_integral`
    :param longest_delay: of any voxel, s
    :param residue: integral of the residue function from 0 to t, called as `residue_integral` is
    """
    steps_per_frame = int(np.ceil(frame_interval / _FINE_STEP))
    step = frame_interval / steps_per_frame
    steps = (frames - 1) * steps_per_frame + 1
    lead = int(np.ceil(longest_delay / step)) + 2
    transits = np.geomspace(_SHORTEST_TRANSIT, _LONGEST_TRANSIT, _TRANSITS)[:, None]
    curves: np.ndarray = np.zeros((_TRANSITS, lead + steps + 1), dtype=dtype)
    curves[:, lead:-1] = convolve_residue(bolus(np.arange(steps) * step), step, transits, shape, residue)
    return ResponseTable(curves, step, steps_per_frame, frames, lead)


def convolve_residue(
    curve: np.ndarray,
    step: float,
    transit: np.ndarray,
    shape: float = 1.0,
    residue: Callable[[np.ndarray, np.ndarray | float, float], np.ndarray] = residue_integral,
) -> np.ndarray:
    """Convolve one curve with residue functions divided by their mean transit times.

    :param curve: (n,) every `step` seconds
    :param transit: (m, 1) mean transit times, s
    :returns: (m, n)
    """
    edges = np.maximum(np.arange(len(curve) + 1) - 0.5, 0) * step
    kernels = np.diff(residue(edges, transit, shape), axis=-1) / transit
    size = fft.next_fast_len(2 * len(curve), real=True)
    product = fft.rfft(kernels, size) * fft.rfft(curve, size)
    return fft.irfft(product, size)[..., : len(curve)]
