"""The level of each frame and slice: what would change where no contrast agent is.

A frame that is damaged, a gain that jumps, and a scanner that drifts change the signal of all voxels by one factor.
Contrast agent changes it the more, the more blood a voxel holds. So the change of the logarithm of the signal is
regressed on the voxels' blood, frame by frame, and what is left for a voxel without blood is the level. Physiology
moves it by less than 2 % outside of the first pass; in it, tissues whose bolus comes later move it by up to 6 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.preprocessing.quality.look import Dip, Look, rough_dip

#: Percentiles of blood between which voxels are looked at: arteries are saturated, and dark voxels noisy.
_BLOOD = (5.0, 90.0)

#: A level that is off by less than this, as a logarithm, is not damage: in quiet frames, and while the bolus passes.
LEAST_OUTLIER, LEAST_OUTLIER_OF_SLICE, LEAST_OUTLIER_IN_BOLUS = 0.03, 0.06, 0.12
LEAST_STEP, LEAST_STEP_IN_BOLUS = 0.03, 0.08

#: So many standard deviations of the level's noise are asked for as well.
_CLEAR = 8.0

#: Drift over the series that is seen, as a logarithm. Scanners drift by 1 %.
LEAST_DRIFT = 0.025

#: Fewer frames than this after a first pass tell no drift.
_FEWEST_TAIL = 6

#: How much more the voxels of a garbled frame differ than those of the frames around it, as a logarithm.
_LEAST_SPREAD, _LEAST_SPREAD_IN_BOLUS, _LAST = 0.15, 0.4, 4

#: A level that is damaged for longer is no single frame, but a step.
LONGEST_OUTLIER = 3

#: More steps than this are no readjusted receiver.
MOST_STEPS = 4


@dataclass(frozen=True, eq=False)
class Level:
    """The level of a series as logarithms: 0 is that of the baseline.

    :param whole: (T,) of all slices
    :param slices: (Z, T) of single slices; NaN where a slice has too few voxels
    """

    whole: np.ndarray
    slices: np.ndarray


@dataclass(frozen=True)
class Step:
    """A jump of the level.

    :param frame: the first with the new level
    :param size: logarithm of the new level over the old one
    """

    frame: int
    size: float


@dataclass(frozen=True, eq=False)
class Trend:
    """Steps and drift of the level.

    :param steps: in the order of time
    :param drift: change over the whole series, as a logarithm
    :param error: standard error of the level away from the baseline, as a logarithm
    :param curve: (T,) logarithm of both together; 0 on average over the baseline
    """

    steps: tuple[Step, ...]
    drift: float
    error: float
    curve: np.ndarray


def level_of(look: Look, dip: Dip, taken: np.ndarray | None = None, places: int = 0) -> Level:
    """The level of every frame.

    :param taken: (T,) logarithms that are taken off first
    :param places: slices of the series; 0 leaves the slices out
    """
    logarithm = look.logarithm
    if taken is not None:
        logarithm = logarithm - taken[:, None]
    frame = np.arange(len(logarithm))
    before = (frame >= dip.unsteady) & (frame < dip.arrival)
    if np.count_nonzero(before) < 2:
        before = np.ones(len(logarithm), bool)
    # A median does not see single frames that are damaged.
    change = logarithm - np.median(logarithm[before], axis=0)
    passage = np.arange(max(dip.arrival, 0), max(dip.stop, dip.arrival + 1))
    mean = ndimage.median_filter(change.mean(axis=1), 3, mode="nearest")
    strong = passage[mean[passage] <= 0.4 * mean[passage].min()] if mean[passage].min() < 0 else passage
    blood = -np.median(change[strong], axis=0)
    low, high = np.percentile(blood, _BLOOD)
    kept = (blood >= low) & (blood <= high)
    whole = _intercepts(change[:, kept], blood[kept])
    slices = np.full((places, len(change)), np.nan)
    for z in range(places):
        here = kept & (look.places == z)
        if np.count_nonzero(here) >= 30:
            slices[z] = _intercepts(change[:, here], blood[here])
    return Level(whole, slices)


def _intercepts(change: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """(T,) of (T, n) changes, regressed on (n,) blood."""
    centered = blood - blood.mean()
    spread = float(centered @ centered)
    mean = change.mean(axis=1)
    if not spread > 0:
        return np.zeros(len(change))
    slope = change @ centered / spread
    return mean - slope * blood.mean()


def outliers(level: Level, dip: Dip) -> np.ndarray:
    """(Z, T) deviations of the levels of frames and slices that are damaged, as logarithms; 0 elsewhere.

    Where most slices of a frame are off, all of the frame is.
    """
    whole = _off(level.whole, dip, LEAST_OUTLIER)
    slices = np.zeros(level.slices.shape)
    known = np.isfinite(level.slices).all(axis=1)
    for z in np.flatnonzero(known):
        slices[z] = _off(level.slices[z], dip, LEAST_OUTLIER_OF_SLICE)
    if np.count_nonzero(known) < 3:
        return np.broadcast_to(whole, slices.shape).copy() if len(slices) else whole[None]
    most = np.count_nonzero(slices[known], axis=0) > np.count_nonzero(known) / 2
    few = np.any(slices[known], axis=0) & ~most
    # A slice that is off moves the level of the whole; and a frame that is off a little is so in no slice for sure.
    slices[:, most] = np.where(whole[most] != 0, whole[most], np.median(slices[known][:, most], axis=0))
    return np.where((whole != 0) & ~most & ~few, whole, slices)


def _off(level: np.ndarray, dip: Dip, least: float) -> np.ndarray:
    """(T,) deviations of single frames whose level is damaged, 0 elsewhere.

    First frames that are not in steady state are above the others and fall from frame to frame: they are none.

    :param level: (T,) of the whole, or of a slice
    """
    frames = len(level)
    # A median keeps the edge of a step, and passes over what is off for up to three frames.
    usual = running_median(level, 2 * LONGEST_OUTLIER + 1)
    off = level - usual
    quiet = dip.quiet(frames)
    noise = 1.4826 * float(np.median(np.abs(off[quiet]))) if quiet.any() else 0.0
    limit = np.where(quiet, max(least, _CLEAR * noise), max(LEAST_OUTLIER_IN_BOLUS, _CLEAR * noise))
    # The approach to the steady state is not the same in all tissues.
    limit[:8] = np.maximum(limit[:8], LEAST_OUTLIER_IN_BOLUS)
    damaged = np.abs(off) > limit
    for frame in range(frames):
        if frame < 8 and level[frame] > level[min(frame + 1, frames - 1)] and off[frame] >= 0:
            damaged[frame] = False
        else:
            break
    return np.where(damaged, off, 0.0)


def running_median(curve: np.ndarray, width: int) -> np.ndarray:
    """(T,) median over the `width` frames around each; at the ends, over the first or last ones."""
    frames = len(curve)
    width = min(width, frames)
    starts = np.clip(np.arange(frames) - width // 2, 0, frames - width)
    return np.median(curve[starts[:, None] + np.arange(width)], axis=1)


def other_images(look: Look, dip: Dip | None = None) -> np.ndarray:
    """(T,) bool: frames that are images of another kind, or garbled: their voxels differ in all directions.

    A bolus does that, too, but slowly. So a frame counts whose voxels differ from their usual signal by far more than
    in the frames around it.

    :param dip: where the bolus is, where that is known: less is asked for in the other frames
    """
    logarithm = look.logarithm
    spread = 1.4826 * np.median(np.abs(logarithm - np.median(logarithm, axis=1)[:, None]), axis=1)
    off = spread - running_median(spread, 2 * LONGEST_OUTLIER + 3)
    quiet = np.zeros(len(spread), bool) if dip is None else dip.quiet(len(spread))
    noise = 1.4826 * float(np.median(np.abs(off[quiet] if quiet.any() else off)))
    limit = np.where(quiet, max(_LEAST_SPREAD, _CLEAR * noise), max(_LEAST_SPREAD_IN_BOLUS, _CLEAR * noise))
    limit[: (0 if dip is None else dip.unsteady) + 1] = np.inf
    # No bolus passes in the last frames, where scanners put their own maps.
    limit[-_LAST:] = np.minimum(limit[-_LAST:], max(_LEAST_SPREAD, _CLEAR * noise))
    return off > limit


def trend_of(look: Look, dip: Dip, damaged: np.ndarray, caution: float = 1.0) -> Trend:
    """Steps and drift.

    :param damaged: (T,) bool, frames that do not count
    :param caution: factor on what is asked for: what motion leaves behind looks like a change of level
    """
    total = np.zeros(len(look.curve))
    if len(look.curve) - dip.stop < _FEWEST_TAIL and look.curve.min() > 0:
        # A strong drift looks like a bolus that does not end.
        first, last = look.curve[dip.unsteady :][:4], look.curve[-4:]
        total = np.linspace(0, np.log(np.median(last) / np.median(first)), len(look.curve))
    trend = Trend((), 0.0, 0.0, total)
    for _ in range(8):
        found = rough_dip(look.curve * np.exp(-total)) if total.any() else dip
        level = level_of(look, found, total).whole
        level = _without(level, damaged)
        steps = _steps(level + _steps_curve(trend.steps, len(level)) + _drift_curve(trend, found), found, caution)
        trend, change = _fitted(level + total, steps, found, damaged, caution), total
        total = trend.curve
        if np.abs(total - change).max() < 2e-4:
            break
    return trend


def _steps_curve(steps: tuple[Step, ...], frames: int) -> np.ndarray:
    curve = np.zeros(frames)
    for step in steps:
        curve[step.frame :] += step.size
    return curve


def _drift_curve(trend: Trend, dip: Dip) -> np.ndarray:
    return np.linspace(0, trend.drift, len(trend.curve))


def _without(level: np.ndarray, damaged: np.ndarray) -> np.ndarray:
    """The level with damaged frames bridged."""
    good = np.flatnonzero(~damaged)
    return np.interp(np.arange(len(level)), good, level[good]) if len(good) else level


def _steps(level: np.ndarray, dip: Dip, caution: float) -> list[int]:
    """Frames that a new level begins with, the largest jump first; more than `MOST_STEPS` where there are more."""
    frames = len(level)
    found: list[int] = []
    rest = level.copy()
    first = dip.unsteady
    while len(found) <= MOST_STEPS:
        jumps = np.diff(rest)
        quiet = dip.quiet(frames)
        calm = quiet[1:] & quiet[:-1]
        noise = 1.4826 * float(np.median(np.abs(jumps[calm] - np.median(jumps[calm])))) if calm.any() else 0.0
        limit = caution * np.where(calm, max(LEAST_STEP, _CLEAR * noise), max(LEAST_STEP_IN_BOLUS, _CLEAR * noise))
        limit[:first] = np.inf
        over = np.abs(jumps) / limit
        frame = int(np.argmax(over)) + 1
        if over[frame - 1] <= 1:
            break
        before = rest[max(frame - 4, first) : frame]
        after = rest[frame : frame + 4]
        lasting = np.median(after) - np.median(before)
        size = jumps[frame - 1]
        if lasting * size <= 0 or abs(lasting) < 0.5 * abs(size):
            # It does not last: physiology in the first pass.
            rest[frame:] -= size
            continue
        found.append(frame)
        rest[frame:] -= lasting
    return sorted(found)


def _fitted(level: np.ndarray, steps: list[int], dip: Dip, damaged: np.ndarray, caution: float) -> Trend:
    """Steps and drift by least squares over the quiet frames."""
    frames = len(level)
    quiet = dip.quiet(frames) & ~damaged
    time = np.linspace(0, 1, frames)
    columns = [np.ones(frames), time, *(np.where(np.arange(frames) >= step, 1.0, 0.0) for step in steps)]
    basis = np.stack(columns, axis=1)
    nothing = Trend((), 0.0, 0.0, np.zeros(frames))
    if np.count_nonzero(quiet) < len(columns) + 3:
        return nothing
    pseudo = np.linalg.pinv(basis[quiet])
    solution = pseudo @ level[quiet]
    left = level[quiet] - basis[quiet] @ solution
    variance = float(left @ left) / max(len(left) - len(columns), 1)
    deviation = np.sqrt(variance * np.diag(pseudo @ pseudo.T))
    before, after = quiet & (np.arange(frames) < dip.arrival), quiet & (np.arange(frames) >= dip.stop)
    seen = np.count_nonzero(before) >= 3 and np.count_nonzero(after) >= _FEWEST_TAIL
    drift = float(solution[1])
    if not seen or abs(drift) < caution * LEAST_DRIFT or abs(drift) < 6 * deviation[1]:
        drift = 0.0
        kept = [0, *range(2, len(columns))]
        pseudo = np.linalg.pinv(basis[quiet][:, kept])
        solution = np.insert(pseudo @ level[quiet], 1, 0.0)
        deviation = np.insert(np.sqrt(variance * np.diag(pseudo @ pseudo.T)), 1, 0.0)
    if not steps and not drift:
        return nothing
    small = [step for step, size in zip(steps, solution[2:], strict=True) if abs(size) < caution * LEAST_STEP]
    if small:
        return _fitted(level, [step for step in steps if step not in small], dip, damaged, caution)
    sizes = [float(size) for size in solution[2:]]
    error = float(np.sqrt((deviation[1:] ** 2).sum()))
    curve = basis[:, 1:] @ solution[1:]
    baseline = (np.arange(frames) >= dip.unsteady) & (np.arange(frames) < dip.arrival)
    curve -= curve[baseline].mean() if baseline.any() else curve[0]
    return Trend(tuple(Step(frame, size) for frame, size in zip(steps, sizes, strict=True)), drift, error, curve)
