"""How many boluses pass in a series, and which frames belong to the one that is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage, signal

from stunet_perfusion.preprocessing.quality.look import Dip
from stunet_perfusion.support.errors import InputError, Setting

#: A bolus is at least this share of the deepest one; what recirculates is less.
_LEAST_SHARE = 0.3

#: Of two boluses the last one is used, where it is at least this share of the deepest: the first was the preload.
_FULL_SHARE = 0.75

#: Frames of baseline that are kept before a bolus that is not the first.
_BASELINE = 15

#: Fewer frames than this before a bolus are no baseline.
_FEWEST_BASELINE = 4


@dataclass(frozen=True)
class Injections:
    """The boluses of a series. Frames are numbered from 0 in the input.

    :param peaks: frame of the lowest signal of each
    :param depths: their drop over the level before the first
    :param used: which of them is used, from 0
    :param start: the first frame that belongs to it
    :param stop: the frame after the last that does
    """

    peaks: tuple[int, ...]
    depths: tuple[float, ...]
    used: int
    start: int
    stop: int


def injections_of(curve: np.ndarray, dip: Dip, wanted: int | Literal["auto"], name: str) -> Injections:
    """Find the boluses, and choose one.

    :param curve: (T,) mean signal of the brain, mended
    :param dip: the deepest
    :param wanted: number of the bolus from 1, or "auto"
    :param name: what messages call the series
    :raises InputError: there is no such bolus
    """
    frames = len(curve)
    peaks, depths = _peaks(curve, dip)
    if wanted != "auto" and not 1 <= wanted <= len(peaks):
        plural = "es" if len(peaks) != 1 else ""
        raise InputError(
            name, f"has {len(peaks)} bolus{plural}, and not {wanted}", f"choose 1 to {len(peaks)}", Setting.BOLUS
        )
    if len(peaks) < 2:
        return Injections(tuple(peaks), tuple(depths), 0, 0, frames)
    full = [number for number, depth in enumerate(depths) if depth >= _FULL_SHARE * max(depths)]
    used = full[-1] if wanted == "auto" else wanted - 1
    arrivals = [_arrival(curve, peaks, number, dip) for number in range(len(peaks))]
    start, stop = 0, frames
    if used > 0:
        # What the bolus before leaves is gone or mixed after three times the way down; the baseline begins there.
        sooner = peaks[used - 1]
        calm = sooner + 3 * max(sooner - arrivals[used - 1], 2)
        start = max(min(calm, arrivals[used] - _FEWEST_BASELINE), arrivals[used] - _BASELINE, 0)
    if used + 1 < len(peaks):
        stop = arrivals[used + 1]
    return Injections(tuple(peaks), tuple(depths), used, start, stop)


def _peaks(curve: np.ndarray, dip: Dip) -> tuple[list[int], list[float]]:
    """Frames and depths of all boluses; a peak is as deep as it falls from what is before and rises after it."""
    level = dip.level if dip.level > 0 else 1.0
    rest = ndimage.median_filter(curve, 3, mode="nearest")
    if dip.unsteady:
        rest[: dip.unsteady] = rest[dip.unsteady]
    drop = ndimage.uniform_filter1d(1 - rest / level, 3, mode="nearest")
    least = _LEAST_SHARE * max(float(drop.max()), 1e-9)
    # Beyond the ends lies a baseline, so that a bolus at an end is one as well.
    padded = np.concatenate([[drop.min()], drop, [drop.min()]])
    found, facts = signal.find_peaks(padded, prominence=least, distance=4)
    if not len(found):
        return [dip.peak], [dip.depth]
    return [int(peak) - 1 for peak in found], [float(value) for value in facts["prominences"]]


def _arrival(curve: np.ndarray, peaks: list[int], number: int, dip: Dip) -> int:
    """First frame in which the signal falls for a bolus."""
    sooner = peaks[number - 1] if number else dip.unsteady
    between = ndimage.median_filter(curve[sooner : peaks[number] + 1], 3, mode="nearest")
    # The level before a bolus is that of its last frames before the fall, not of the bolus before.
    top = float(np.percentile(between[len(between) // 3 :], 85)) if len(between) > 6 else float(between.max())
    low = float(between[-1])
    above = np.flatnonzero(between >= top - 0.08 * (top - low))
    return int(sooner + (above[-1] if len(above) else 0)) + 1
