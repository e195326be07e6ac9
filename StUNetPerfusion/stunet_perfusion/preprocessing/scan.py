"""A real scan, made ready to be computed with: what is damaged is seen, mended where that can be done, and said.

`prepare` takes a series as it is. Scans are damaged, heads move, and two boluses may pass: `prepare_scan` looks for
that first. A series in which nothing is seen comes out as `prepare` has it, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stunet_perfusion.preprocessing.bolus import end_of_first_pass
from stunet_perfusion.preprocessing.brain import brain_mask
from stunet_perfusion.preprocessing.mending import (
    MOVED_BACK_ERROR,
    Doubt,
    MendSettings,
    bridged,
    doubt_of_bridges,
    doubt_of_level,
    doubt_of_place,
    leveled,
    noise_factor,
)
from stunet_perfusion.preprocessing.motion import Motion, motion_of, moved_back
from stunet_perfusion.preprocessing.preparation import PreparedSeries, _checked_mask, prepare
from stunet_perfusion.preprocessing.quality import judge
from stunet_perfusion.preprocessing.quality.data_kind import (
    WrongKind,
    divided_by_means,
    phase_images,
    ratio_images,
    rising_signal,
)
from stunet_perfusion.preprocessing.quality.frame_order import (
    is_reversed,
    is_scrambled,
    scrambled_slices,
    wrong_order,
)
from stunet_perfusion.preprocessing.quality.injections import injections_of
from stunet_perfusion.preprocessing.quality.level import (
    MOST_STEPS,
    Trend,
    level_of,
    other_images,
    outliers,
    trend_of,
)
from stunet_perfusion.preprocessing.quality.look import Dip, Look, look_at, rough_dip
from stunet_perfusion.preprocessing.quality.noise import signal_numbers
from stunet_perfusion.preprocessing.quality.report import Finding, Mended, QualityReport
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import CheckCancelled, Progress, never_cancelled, no_progress, part_of

#: Frames that are damaged for certain, and yet few enough to be bridged before the order of frames is judged.
_FEW_DAMAGED = 1 / 12

#: A level that drifts by more than this, as a logarithm, is no scanner's.
_LARGEST_DRIFT = 0.2

#: Where the head moved, a change of level has to be so many times as large to be seen.
_CAUTION = 2.5

#: A bolus that is narrower than this, s, passes through no brain.
_NARROWEST_BOLUS = 1.2

_ORDER_WAY_OUT = "give the frames in the order in which they were acquired"


@dataclass(frozen=True, eq=False)
class _Seen:
    """A series on its way, and what is known of it."""

    series: DscSeries
    brain: np.ndarray
    look: Look
    dip: Dip


def prepare_scan(
    series: DscSeries,
    *,
    mask: np.ndarray | None = None,
    drop_frames: int | Literal["auto"] = "auto",
    mend: MendSettings | None = None,
    bolus: int | Literal["auto"] = "auto",
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> PreparedSeries:
    """Look how good a series is, mend what can be mended, and prepare it.

    :param series: a checked series; it is not changed
    :param mask: (Z, Y, X) bool brain mask, or None to find the brain
    :param drop_frames: number of first frames to leave out, or "auto" to find it
    :param mend: what is mended where damage is seen; None for everything
    :param bolus: which bolus is used, from 1, where several pass; "auto" for the last of full dose
    :returns: with `quality`, and with `doubt` where something was mended
    :raises InputError: as `prepare`, and where the data are of another kind, in another order, or beyond mending
    """
    mend = MendSettings() if mend is None else mend
    progress(0.0, "Looking at the series")
    _refuse(series, phase_images(series))
    given = None if mask is None else _checked_mask(mask, series)
    first = 0 if drop_frames == "auto" else int(drop_frames)
    brain = brain_mask(series.dropping_first(min(first, series.frames - 1))) if given is None else given
    original = look_at(series, brain)
    damaged = _damage(series, brain, original)
    look = original.bridging(_whole(damaged))
    dip = rough_dip(look.curve)
    kind = None if original.empty.any() else divided_by_means(original)
    _refuse(series, kind or rising_signal(look, dip))
    mended: list[Mended] = []
    now = _Seen(series, brain, look, dip)
    check_cancelled()

    if damaged.any() and mend.frames:
        now = _again(now, bridged(series.signal, damaged), given)
        frames = np.flatnonzero(damaged.any(axis=0))
        sentence = f"{judge.listed('frame', frames)} bridged by the frames beside ({int(damaged.sum())} slices in all)."
        mended.append(Mended("frames", sentence, {"frames": [int(f) for f in frames], "slices": int(damaged.sum())}))
    unknown = _whole(damaged) if not mend.frames else np.zeros(series.frames, bool)

    motion = motion_of(
        now.series,
        now.brain,
        now.dip.unsteady,
        unknown,
        now.dip.quiet(series.frames),
        progress=part_of(progress, 0.1, 0.6),
        check_cancelled=check_cancelled,
    )
    moved = motion.is_seen
    outside = np.zeros(brain.shape)
    if moved and mend.motion:
        signal, outside = moved_back(
            now.series.signal,
            motion,
            series.grid.spacing,
            progress=part_of(progress, 0.6, 0.9),
            check_cancelled=check_cancelled,
        )
        now = _again(now, signal, given)
        sentence = f"The head was moved back by up to {motion.largest:.1f} mm (rigid registration)."
        mended.append(Mended("motion", sentence, {"largest_mm": round(motion.largest, 2)}))

    trend = trend_of(now.look, now.dip, unknown, _CAUTION if moved else 1.0)
    _refuse_lost_slopes(series, trend, mend)
    changed = bool(trend.steps or trend.drift)
    if changed and mend.level:
        now = _again(now, leveled(now.series.signal, trend.curve), given)
        mended.append(Mended("level", f"{judge.on_level(trend, True).meaning.split(':')[0]}: taken off.", {}))
    if is_reversed(now.look.curve, now.dip.unsteady):
        fact = "has its frames in reverse order: the bolus falls slowly and recovers fast"
        raise InputError(series.name, fact, _ORDER_WAY_OUT)

    injections = injections_of(now.look.curve, now.dip, bolus, series.name)
    prepared = _prepared(now, injections.start, injections.stop, drop_frames)
    if len(injections.peaks) > 1:
        now = replace(now, dip=_dip_of(prepared, now))
    numbers = signal_numbers(now.look, now.dip, now.series, now.brain, original)
    if numbers.width_s < _NARROWEST_BOLUS and numbers.drop > judge.DROP[0]:
        raise InputError(
            series.name,
            f"has a bolus of {numbers.width_s:.2g} s, which passes through no brain: {series.frame_interval:g} s is "
            "not the time between frames, but perhaps the repetition time of one slice",
            "give the time between frames",
            Setting.FRAME_INTERVAL,
        )
    baseline = now.series.signal[now.dip.unsteady : max(now.dip.arrival, now.dip.unsteady + 1)].mean(axis=0)
    scrambled = scrambled_slices(baseline)
    lost = float(outside[now.brain].mean()) if moved and mend.motion else 0.0
    findings: list[Finding] = [
        judge.on_damage(damaged, mend.frames),
        judge.on_motion(motion, moved and mend.motion, lost),
        judge.on_level(trend, mend.level),
        judge.on_injections(injections, bolus != "auto"),
        judge.on_kind(ratio_images(now.look, now.dip)),
        *judge.on_signal(numbers),
        *judge.on_geometry(series, now.brain, scrambled, is_scrambled(scrambled)),
        judge.on_protocol(series),
    ]
    quality = QualityReport(
        tuple(findings),
        tuple(mended),
        tuple(float(value) for value in original.curve),
        tuple(float(value) for value in motion.displacement),
        tuple(int(frame) for frame in np.flatnonzero(damaged.any(axis=0))),
    )
    for note in [f"Mended: {each.sentence}" for each in mended] + [
        f"Quality: {finding.meaning} {finding.advice}" for finding in findings if finding.light == "red"
    ]:
        prepared = replace(prepared, series=prepared.series.with_note(note))
    doubt = None
    if mended:
        doubt = _doubt(
            prepared, now, damaged if mend.frames else np.zeros_like(damaged), trend, motion, outside, mended
        )
    progress(1.0, "Looked at the series")
    return replace(prepared, quality=quality, doubt=doubt)


def _refuse(series: DscSeries, kind: WrongKind | None) -> None:
    if kind is not None:
        raise InputError(series.name, kind.fact, kind.way_out)


def _damage(series: DscSeries, brain: np.ndarray, look: Look) -> np.ndarray:
    """(Z, T) bool: damaged frames and slices.

    :raises InputError: the frames are not in the order of time
    """
    empty = look.empty
    if np.count_nonzero(~empty) < max(8, len(empty) // 2):
        fact = f"has {np.count_nonzero(empty)} empty frames of {len(empty)}"
        raise InputError(series.name, fact, "give the complete dynamic series")
    unlike = other_images(look.bridging(empty))
    bridged_look = look.bridging(empty | unlike)
    dip = rough_dip(bridged_look.curve)
    off = outliers(level_of(bridged_look, dip, None, len(brain)), dip) != 0
    damaged = off | (empty | unlike | other_images(bridged_look, dip))[None]
    whole = _whole(damaged)
    few = np.count_nonzero(whole) <= max(3, round(_FEW_DAMAGED * len(whole)))
    order = wrong_order(look.bridging(whole) if few else bridged_look)
    if order is not None:
        raise InputError(series.name, order.fact, _ORDER_WAY_OUT)
    return damaged


def _whole(damaged: np.ndarray) -> np.ndarray:
    """(T,) bool: frames that are damaged in all slices."""
    return np.asarray(damaged.all(axis=0))


def _again(seen: _Seen, signal: np.ndarray, given: np.ndarray | None) -> _Seen:
    """The same after mending: looked at once more."""
    series = replace(seen.series, signal=signal)
    brain = brain_mask(series) if given is None else given
    look = look_at(series, brain)
    look = look.bridging(look.empty)
    return _Seen(series, brain, look, rough_dip(look.curve))


def _refuse_lost_slopes(series: DscSeries, trend: Trend, mend: MendSettings) -> None:
    if len(trend.steps) > MOST_STEPS:
        fact = f"has a signal whose level jumps in {len(trend.steps)} frames or more"
    elif abs(trend.drift) > _LARGEST_DRIFT and mend.level:
        fact = f"has a signal whose level changes by {100 * np.expm1(trend.drift):+.0f} % over the series"
    else:
        return
    raise InputError(
        series.name,
        f"{fact}, bolus apart, as where each frame's rescale slope was lost",
        "export the series again with its rescale slopes (0028,1053)",
    )


def _prepared(seen: _Seen, start: int, stop: int, drop_frames: int | Literal["auto"]) -> PreparedSeries:
    """`prepare` for the frames of one bolus."""
    series = seen.series
    if stop < series.frames:
        series = replace(series, signal=series.signal[:stop], times=series.times[:stop])
    if not start:
        prepared = prepare(series, mask=seen.brain, drop_frames=drop_frames)
    else:
        start = start if drop_frames == "auto" else max(start, drop_frames)
        prepared = prepare(series.dropping_first(start), mask=seen.brain, drop_frames=0)
        prepared = replace(prepared, dropped_frames=start)
    return replace(prepared, dropped_last=seen.series.frames - stop)


def _dip_of(prepared: PreparedSeries, seen: _Seen) -> Dip:
    """Where the used bolus is."""
    start, bolus = prepared.dropped_frames, prepared.bolus
    level = float(np.median(seen.look.curve[start : start + bolus.arrival]))
    return Dip(
        start,
        start + bolus.arrival,
        start + bolus.peak,
        start + end_of_first_pass(bolus, prepared.series.frames),
        1 - float(seen.look.curve[start + bolus.peak]) / level,
        level,
    )


def _doubt(
    prepared: PreparedSeries,
    seen: _Seen,
    damaged: np.ndarray,
    trend: Trend,
    motion: Motion,
    outside: np.ndarray,
    mended: list[Mended],
) -> Doubt:
    start, arrival = prepared.dropped_frames, prepared.bolus.arrival
    stop = end_of_first_pass(prepared.bolus, prepared.series.frames)
    frames = slice(start, start + prepared.series.frames)
    curve = seen.look.curve[frames]
    drop = -np.log(np.maximum(curve, 1e-6) / curve[:arrival].mean())
    done = {each.name for each in mended}
    place = None
    if "motion" in done:
        passage, area = prepared.series.signal[:stop], float(drop[arrival:stop].sum())
        place = doubt_of_place(passage, arrival, seen.series.grid.spacing, outside, area)
    return Doubt(
        noise_factor(damaged[:, frames], arrival, stop),
        float(
            np.hypot(doubt_of_bridges(damaged[:, frames], drop, arrival, stop), MOVED_BACK_ERROR * ("motion" in done))
        ),
        doubt_of_level(trend.error, drop, arrival, stop) if "level" in done else 0.0,
        place,
    )
