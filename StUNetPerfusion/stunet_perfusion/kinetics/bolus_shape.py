"""What the first pass looks like in a voxel: when it arrives and peaks, how high and how wide it is, how far the signal
comes back.

With C(t) = delta R2*(t) and S(t) the signal, S0 its baseline:

| map | equation | unit | OSIPI CAPLEX |
|---|---|---|---|
| bolus arrival time | where the line through the rise at 20 and 80 % of the peak meets 0 | s | Q.BA1.001 |
| time to peak | t of max C minus bolus arrival time | s | Q.CD1.010 |
| peak height | max C over the first pass | 1/s | Q.CD1.008 |
| full width at half maximum | from the rise to the fall through half of the peak | s | none |
| percentage signal recovery | 100 (S_late - S_min) / (S0 - S_min), S_late the mean of the last ten frames | % | none |

Arrival is counted from the first steady frame. Sources: Cha 2007, AJNR 28:1078 (peak height, percentage signal
recovery); Perthen 2002, Magn Reson Med 47:61 (time to peak, width); Cheong 2003, Magn Reson Med 50:1171 (arrival from
the rise). Between frames curves are straight, but for the peak, whose place and height are those of the parabola
through the highest frame and its neighbors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.preprocessing.bolus import Bolus

#: The rise is the line through these shares of the peak.
RISE = (0.2, 0.8)

#: The signal after the bolus is the mean of so many last frames.
LATE_FRAMES = 10

#: The first pass of a late voxel ends so many times the brain's rise after the brain's peak.
_LATEST_PEAK = 2.0

#: Peaks lower than so many standard deviations of the noise before the bolus tell nothing of when they are.
LEAST_PEAK = 3.0


@dataclass(frozen=True, eq=False)
class BolusShape:
    """Numbers of n voxels, (n,) float32 each; 0 where a curve has no peak above its noise.

    :param arrival: s after the first frame
    :param time_to_peak: s after arrival
    :param peak_height: 1/s
    :param width: full width at half maximum, s; 0 where the curve does not fall to its half again
    """

    arrival: np.ndarray
    time_to_peak: np.ndarray
    peak_height: np.ndarray
    width: np.ndarray


def bolus_shape(curves: np.ndarray, times: np.ndarray, bolus: Bolus) -> BolusShape:
    """Measure the first pass of many voxels.

    :param curves: (T, n) delta R2*
    :param times: (T,) s
    :param bolus: of the brain's mean curve
    """
    frames = len(curves)
    seconds = (times - times[0]).astype(np.float32)
    first = max(bolus.arrival - 1, 0)
    last = min(bolus.peak + int(np.ceil(_LATEST_PEAK * (bolus.peak - bolus.arrival))) + 1, frames)
    highest = first + np.argmax(curves[first:last], axis=0)
    place, height = _parabola(curves, highest)
    noise = curves[: bolus.arrival].std(axis=0) if bolus.arrival > 1 else np.zeros(curves.shape[1], np.float32)
    clear = (height > LEAST_PEAK * noise) & (height > 0)
    peak_time = np.interp(place, np.arange(frames), seconds)

    low, high = (_rise_through(curves, seconds, highest, share * height) for share in RISE)
    # The line through both points, back to where it is 0.
    arrival = low - (high - low) * RISE[0] / (RISE[1] - RISE[0])
    half = height / 2
    width = _fall_through(curves, seconds, highest, half) - _rise_through(curves, seconds, highest, half)
    found = clear & np.isfinite(arrival)
    return BolusShape(
        _where(found, np.maximum(arrival, 0)),
        _where(found, peak_time - np.maximum(arrival, 0)),
        _where(clear, height),
        _where(clear & np.isfinite(width), width),
    )


def signal_recovery(signal: np.ndarray, baseline: np.ndarray, bolus: Bolus) -> np.ndarray:
    """Percentage signal recovery: 100 is a signal that has come back to its baseline, more is T1 leakage.

    :param signal: (T, n)
    :param baseline: (n,) S0
    :returns: (n,) float32, %; 0 where the signal does not fall
    """
    lowest = signal[bolus.arrival : bolus.peak + 2 * (bolus.peak - bolus.arrival) + 1].min(axis=0)
    drop = baseline - lowest
    late = signal[-LATE_FRAMES:].mean(axis=0)
    recovered = 100 * np.divide(late - lowest, drop, out=np.zeros_like(drop), where=drop > 0)
    return recovered.astype(np.float32)


def _parabola(curves: np.ndarray, highest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) place in frames and (n,) height of the parabola through the highest frame and its neighbors."""
    voxels = np.arange(curves.shape[1])
    inner = np.clip(highest, 1, len(curves) - 2)
    before, at, after = (curves[inner + step, voxels] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    peaked = (inner == highest) & (bend < 0)
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=peaked)
    shift = np.clip(shift, -0.5, 0.5)
    height = np.where(peaked, at - (before - after) * shift / 4, curves[highest, voxels])
    return highest + shift, height


def _rise_through(curves: np.ndarray, seconds: np.ndarray, highest: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(n,) s at which curves last rise through a level before their peak; NaN where they never were below it."""
    frames = np.arange(len(curves), dtype=np.int16)[:, None]
    below = (curves < level) & (frames < highest.astype(np.int16))
    last = len(curves) - 1 - np.argmax(below[::-1], axis=0)
    return _crossing(curves, seconds, last, level, np.asarray(below.any(axis=0)))


def _fall_through(curves: np.ndarray, seconds: np.ndarray, highest: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(n,) s at which curves first fall through a level after their peak; NaN where they never do."""
    frames = np.arange(len(curves), dtype=np.int16)[:, None]
    below = (curves < level) & (frames > highest.astype(np.int16))
    first = np.argmax(below, axis=0)
    return _crossing(curves, seconds, first - 1, level, np.asarray(below.any(axis=0)))


def _crossing(
    curves: np.ndarray, seconds: np.ndarray, before: np.ndarray, level: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """(n,) s at which the straight line from a frame to the next meets a level."""
    voxels = np.arange(curves.shape[1])
    frame = np.clip(before, 0, len(curves) - 2)
    start, stop = curves[frame, voxels], curves[frame + 1, voxels]
    share = np.divide(level - start, stop - start, out=np.zeros_like(start), where=stop != start)
    crossing = seconds[frame] + np.clip(share, 0, 1) * (seconds[frame + 1] - seconds[frame])
    return np.where(known, crossing, np.float32(np.nan))


def _where(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(known, values, 0).astype(np.float32)
