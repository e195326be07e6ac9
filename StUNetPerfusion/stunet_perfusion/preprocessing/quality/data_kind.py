"""What kind of data a series holds: magnitude images during a bolus, or something else that looks like them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.preprocessing.quality.look import Dip, Look
from stunet_perfusion.series import DscSeries

#: Means over an image that differ by less than this share from frame to frame were made equal.
_SAME_MEAN = 1e-3

#: Voxels whose signal changes slowly, over what white noise would leave of them after smoothing.
_SLOW = 2.0

#: Magnitude images do not vary over time by more than this share of their range in so many voxels.
_PHASE_SPREAD, _PHASE_SHARE = 0.18, 0.2

#: Curves that rise by this share of their level, and by so many times their fall, rise.
_LEAST_RISE, _RISE_OVER_FALL = 0.05, 2.0

#: What a signal over its baseline is before the bolus: a share, or percent.
_RATIO_LEVELS = (1.0, 100.0)

#: Voxels that are looked at for phase.
_FEW_VOXELS = 20_000


@dataclass(frozen=True)
class WrongKind:
    """Data that no blood volume can be computed from.

    :param name: identifier
    :param fact: what it is, for a sentence that begins with the series' name
    :param way_out: what to do
    """

    name: str
    fact: str
    way_out: str


def phase_images(series: DscSeries) -> WrongKind | None:
    """Whether the images show phase: air varies over the whole range there, and tissue jumps by it."""
    step = max(series.signal[0].size // _FEW_VOXELS, 1)
    some = series.signal.reshape(series.frames, -1)[:, ::step].astype(np.float64)
    some = some[:, (some != 0).any(axis=0)]
    whole = np.ptp(some) if some.size else 0.0
    if not whole > 0 or some.shape[1] < 50:
        return None
    # In noise of a magnitude image a single frame may be far off; in phase images all frames are.
    spread = np.median(np.abs(some - np.median(some, axis=0)), axis=0) / whole
    if np.mean(spread > _PHASE_SPREAD) < _PHASE_SHARE:
        return None
    return WrongKind(
        "phase",
        "holds phase images or noise: most voxels vary over the whole range of values from frame to frame",
        "give the magnitude images",
    )


def divided_by_means(look: Look) -> WrongKind | None:
    """Whether every frame was divided by its mean, which takes the bolus out of the brain."""
    spread = {
        "whole image": _variation(look.frame_means),
        "voxels above zero": _variation(look.positive_means),
        "brain": _variation(look.curve),
    }
    where = min(spread, key=spread.__getitem__)
    if spread[where] > _SAME_MEAN or not _changes_slowly(look):
        return None
    return WrongKind(
        "divided-by-mean",
        f"has frames that were divided by their means: the mean of the {where} is the same in all of them, to "
        f"{100 * spread[where]:.2g} %, while single voxels change, so that the bolus is taken out of the brain",
        "give the series without normalization of frames",
    )


def rising_signal(look: Look, dip: Dip) -> WrongKind | None:
    """Whether the signal rises where a bolus lowers it."""
    start = min(dip.unsteady, len(look.curve) // 4)
    calm = ndimage.median_filter(look.curve[start:], 3, mode="nearest")
    level = float(np.median(calm[:4]))
    rise, fall = float(calm.max()) - level, level - float(calm.min())
    noise = float(np.median(np.abs(np.diff(look.curve[start:]))))
    if rise < max(_LEAST_RISE * abs(level), 8 * noise) or rise < _RISE_OVER_FALL * max(fall, 0):
        return None
    # Gain and drift lift all voxels alike; contrast agent those most that hold most of it.
    top = int(np.argmax(calm)) + start
    around = slice(max(top - 1, 0), top + 2)
    before = look.signal[start : start + 4].mean(axis=0)
    grown = look.signal[around].mean(axis=0) / np.maximum(before, 1e-3 * look.usual)
    low, high = np.percentile(grown, (10, 90))
    if level > 0.3 * calm.max() and high - 1 < 1.6 * max(low - 1, 0):
        return None
    if level < 0.3 * float(calm.max()):
        what = (
            "begins near zero and rises: it holds concentrations, relaxation rates or percent of change, and no signal"
        )
        return WrongKind("concentration", what, "give the MR signal itself, from which concentrations are computed")
    return WrongKind(
        "rising",
        f"rises by {100 * rise / level:.0f} % where a bolus lowers the signal: a T1-weighted series (DCE), or "
        "concentrations",
        "give the T2*-weighted series of the bolus (DSC)",
    )


def ratio_images(look: Look, dip: Dip) -> bool:
    """Whether every voxel was divided by its own baseline, so that all of the brain is equally bright before the
    bolus."""
    before = look.signal[dip.unsteady : max(dip.arrival, dip.unsteady + 3)].mean(axis=0)
    level = float(np.mean(before))
    usual = any(abs(level - value) < 0.02 * value for value in _RATIO_LEVELS)
    return bool(before.size > 100 and usual and np.std(before) < 0.05 * level)


def _variation(means: np.ndarray) -> float:
    middle = float(np.median(means))
    return float(np.ptp(means[1:])) / middle if middle > 0 else np.inf


def _changes_slowly(look: Look) -> bool:
    """Whether single voxels have curves and not only noise."""
    signal = look.signal - look.signal.mean(axis=0)
    slow = ndimage.uniform_filter1d(signal, 5, axis=0)[2:-2].var(axis=0)
    white = np.diff(signal, axis=0).var(axis=0) / 2 / 5
    return bool(np.median(slow / np.maximum(white, 1e-12)) > _SLOW)
