"""Where the contrast bolus is in a mean signal curve: frames before steady state, baseline, arrival and peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.support.errors import InputError, Setting

#: The signal nears its steady state by a factor of cos(flip) exp(-TR/T1) a frame. Even at TR 0.5 s and 30 degrees
#: the eighth frame is within 1 % of it.
MOST_UNSTEADY_FRAMES = 8

#: A first frame that is closer to the steady state than this share changes no map that anybody could see.
SMALLEST_EXCESS = 0.005

#: A shallower dip of the brain's mean signal is no bolus: real ones are 20-40 %, a quarter dose gives 6-10 %.
SMALLEST_DROP = 0.015

#: Fewer frames before the bolus give no baseline.
FEWEST_BASELINE_FRAMES = 3

#: This share of the drop has to be made up again before the series ends, or the bolus has not passed. What
#: recirculates keeps 10-25 % of the drop in a complete series.
SMALLEST_RECOVERY = 0.4

#: Arrival is where this share of the drop is reached, or this many standard deviations of the noise.
_ARRIVAL_SHARE, _ARRIVAL_DEVIATIONS = 0.02, 3.0

#: A difference from the plateau counts as real from this many standard deviations of the noise on.
_CLEAR_DEVIATIONS = 4.0

#: The dip of a curve smoothed over three frames; noise alone leaves it below 4 even in 150 frames.
_DROP_DEVIATIONS = 6.0

#: A quarter of normally distributed values is nearer to 0 than this many standard deviations.
_QUARTILE_OF_NORMAL = 0.3186


@dataclass(frozen=True)
class Bolus:
    """The first pass of the contrast agent, as frame indices into the series without its unsteady frames.

    :param arrival: first frame in which there may be contrast, in the arteries too; frames [0, arrival) are the
        baseline
    :param peak: frame of the lowest mean signal
    """

    arrival: int
    peak: int


def end_of_first_pass(bolus: Bolus, frames: int) -> int:
    """The frame after the last of the first pass: it ends two times its rise after its peak.

    :param frames: of the series
    """
    return min(bolus.peak + 2 * (bolus.peak - bolus.arrival) + 1, frames)


@dataclass(frozen=True)
class _Dip:
    """The deepest dip of a curve: where it begins to be seen, its lowest frame, the level it starts from, its depth."""

    arrival: int
    peak: int
    level: float
    drop: float
    clear: bool


def count_unsteady_frames(curve: np.ndarray) -> int:
    """How many first frames are not yet in steady state.

    From the first frame on, a frame is unsteady when it lies above the median of the later frames before the bolus
    by 0.5 % and by four standard deviations of the noise. At least three later frames before the bolus are asked
    for as evidence, so that the fall of an early bolus is not taken for the end of such a transient.

    :param curve: (T,) mean signal of the brain, including the first frames
    :returns: 0 to 8
    """
    curve = np.asarray(curve, dtype=np.float64)
    noise = _noise(curve)
    for first in range(MOST_UNSTEADY_FRAMES):
        rest = curve[first:]
        if len(rest) < 2 * FEWEST_BASELINE_FRAMES:
            return first
        dip = _deepest_dip(rest, noise)
        plateau = rest[1 : dip.arrival if dip.clear else None]
        if len(plateau) < FEWEST_BASELINE_FRAMES:
            return first
        level = float(np.median(plateau))
        spread = max(noise, 1.4826 * float(np.median(np.abs(plateau - level))))
        if rest[0] - level <= max(SMALLEST_EXCESS * abs(level), _CLEAR_DEVIATIONS * spread):
            return first
    return MOST_UNSTEADY_FRAMES


def find_bolus(curve: np.ndarray, name: str) -> Bolus:
    """Find baseline, arrival and peak of the bolus.

    :param curve: (T,) mean signal of the brain, without the unsteady frames
    :param name: what messages call the series
    :returns: arrival and peak, as indices into `curve`
    :raises InputError: no bolus (no drop of 1.5 % and of six standard deviations of the noise), a bolus cut off at
        the start (fewer than three frames before it), or cut off at the end (less than 40 % of the drop made up
        again)
    """
    curve = np.asarray(curve, dtype=np.float64)
    dip = _deepest_dip(curve, _noise(curve))
    if not dip.clear:
        raise InputError(
            name,
            f"shows no contrast bolus: the brain's mean signal never drops clearly (largest drop "
            f"{100 * dip.drop / dip.level if dip.level > 0 else 0:.1f} %)",
            "give a dynamic series that was acquired during the injection",
        )
    if dip.arrival < FEWEST_BASELINE_FRAMES:
        raise InputError(
            name,
            f"cuts the bolus off at the start: {_frames(dip.arrival)} in steady state before the contrast arrives, "
            f"and a baseline needs {FEWEST_BASELINE_FRAMES}",
            "give the complete series, or leave out fewer frames",
            Setting.DROP_FRAMES,
        )
    after = _smooth(curve)[dip.peak :]
    recovery = (float(after.max()) - (dip.level - dip.drop)) / dip.drop
    if len(curve) - dip.peak < 3 or recovery < SMALLEST_RECOVERY:
        raise InputError(
            name,
            f"cuts the bolus off at the end: the signal is lowest in frame {dip.peak} of {len(curve)} and has made "
            f"up {100 * max(recovery, 0):.0f} % of its drop when the series ends",
            "give the complete series, in which the bolus passes",
        )
    # Arteries fill before the brain's mean signal shows it: by a quarter of the time from there to the lowest
    # signal. A baseline that reached into that would shift the whole arterial curve.
    lead = -(-(dip.peak - dip.arrival) // 4)
    return Bolus(max(dip.arrival - lead, FEWEST_BASELINE_FRAMES), dip.peak)


def _frames(count: int) -> str:
    return {0: "no frame is", 1: "1 frame is"}.get(count, f"{count} frames are")


def _noise(curve: np.ndarray) -> float:
    """Standard deviation of normal noise, from second differences, which do not see a slope.

    Their lower quartile belongs to frames outside the bolus even where that takes up most of a short series.
    """
    return float(np.percentile(np.abs(np.diff(curve, 2)), 25)) / _QUARTILE_OF_NORMAL / np.sqrt(6.0)


def _smooth(curve: np.ndarray) -> np.ndarray:
    """Mean over three frames, two at the ends: one frame that is off moves it by a third only."""
    padded = np.concatenate([[np.nan], curve, [np.nan]])
    return np.nanmean([padded[:-2], padded[1:-1], padded[2:]], axis=0)


def _deepest_dip(curve: np.ndarray, noise: float) -> _Dip:
    smooth = _smooth(curve)
    around = int(np.argmin(smooth))
    low = max(around - 1, 0)
    peak = low + int(np.argmin(curve[low : around + 2]))
    if peak == 0:
        drop = float(np.median(curve) - curve[0])
        clear = drop > max(SMALLEST_DROP * curve.max(), _DROP_DEVIATIONS * noise)
        return _Dip(0, 0, float(np.median(curve)), drop, bool(clear))
    # From the dip back to where the curve is last above half of it. The upper quartile of all frames is near the
    # baseline wherever the bolus is, and a few unsteady frames do not move it, however far above they are.
    half = (np.percentile(curve, 75) + curve[peak]) / 2
    above = np.flatnonzero(curve[:peak] >= half)
    onset = int(above[-1]) if len(above) else 0
    # Neither a few unsteady frames nor the first two frames of the fall move a median.
    level = float(np.median(curve[: onset + 1]))
    arrival = onset + 1
    for _ in range(3):
        threshold = level - max(_ARRIVAL_SHARE * (level - curve[peak]), _ARRIVAL_DEVIATIONS * noise)
        before = np.flatnonzero(curve[: onset + 1] >= threshold)
        arrival = int(before[-1]) + 1 if len(before) else 0
        level = float(np.median(curve[: max(arrival, 1)]))
    drop = level - float(curve[peak])
    clear = level - smooth[around] > max(SMALLEST_DROP * level, _DROP_DEVIATIONS * noise / np.sqrt(3.0))
    return _Dip(arrival, peak, level, drop, bool(clear))
