"""Noise, contrast and what is left of the scanner's values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.preprocessing.quality.look import Dip, Look
from stunet_perfusion.series import DscSeries

#: Distance in voxels at which noise is no longer shared by blur, but by the body.
_FAR = 5

#: Frames of the noise's texture, at most.
_MOST_FRAMES = 12


@dataclass(frozen=True)
class SignalNumbers:
    """What noise and contrast are like.

    :param temporal_snr: signal over its standard deviation before the bolus, the median over the brain
    :param contrast_to_noise: largest drop over the same standard deviation, the median over the brain
    :param drop: of the brain's mean signal, relative
    :param width_s: full width at half maximum of the drop, seconds
    :param baseline_frames: before the bolus
    :param tail_frames: after its first pass
    :param saturated: share of the brain's values that are the largest of the series
    :param zeros: share of the brain's values that are exactly 0
    :param smoothing: correlation of the noise of neighbors in the plane
    """

    temporal_snr: float
    contrast_to_noise: float
    drop: float
    width_s: float
    baseline_frames: int
    tail_frames: int
    saturated: float
    zeros: float
    smoothing: float


def signal_numbers(look: Look, dip: Dip, series: DscSeries, brain: np.ndarray, original: Look) -> SignalNumbers:
    """:param original: as the series was read, for what mending changes: saturation and zeros"""
    before = look.signal[dip.unsteady : dip.arrival]
    deviation = before.std(axis=0, ddof=1) if len(before) > 2 else np.zeros(look.signal.shape[1])
    noisy = deviation > 0
    level = before.mean(axis=0) if len(before) else look.usual
    lowest = look.signal[max(dip.peak - 1, 0) : dip.peak + 2].mean(axis=0)
    empty = original.empty
    values = original.signal[~empty]
    return SignalNumbers(
        temporal_snr=float(np.median(level[noisy] / deviation[noisy])) if noisy.any() else float("inf"),
        contrast_to_noise=float(np.median((level - lowest)[noisy] / deviation[noisy])) if noisy.any() else float("inf"),
        drop=dip.depth,
        width_s=_width(look.curve, dip) * series.frame_interval,
        baseline_frames=dip.arrival - dip.unsteady,
        tail_frames=len(look.curve) - dip.stop,
        saturated=float(np.mean(values >= original.highest)) if original.highest > 0 else 0.0,
        zeros=float(np.mean(values == 0)),
        smoothing=smoothing(series, brain, dip),
    )


def _width(curve: np.ndarray, dip: Dip) -> float:
    """Frames between the half drops."""
    drop = dip.level - curve
    peak = int(np.argmax(drop[dip.arrival : dip.stop])) + dip.arrival if dip.stop > dip.arrival else dip.peak
    half = drop[peak] / 2
    if half <= 0:
        return float("nan")

    def crossing(steps: range) -> float:
        last = peak
        for frame in steps:
            if drop[frame] < half:
                return frame + (last - frame) * (half - drop[frame]) / (drop[last] - drop[frame])
            last = frame
        return float(last)

    return crossing(range(peak + 1, len(curve))) - crossing(range(peak - 1, -1, -1))


def smoothing(series: DscSeries, brain: np.ndarray, dip: Dip) -> float:
    """How alike the noise of neighbors in the plane is, 0 to 1; 0 where it cannot be told."""
    frames = slice(dip.unsteady, min(dip.arrival, dip.unsteady + _MOST_FRAMES))
    if frames.stop - frames.start < 3:
        return 0.0
    own, near, far = 0.0, 0.0, 0.0
    places = np.argsort(brain.sum(axis=(1, 2)))[-3:]
    for z in places:
        noise = series.signal[frames, z].astype(np.float64)
        noise = np.diff(noise, axis=0)
        noise -= np.median(noise[:, brain[z]], axis=1)[:, None, None] if brain[z].any() else 0
        inside = brain[z]
        for axis in (0, 1):
            for distance in (1, _FAR):
                one, other = _pairs(inside, axis, distance)
                first, second = _shifted(noise, axis, distance)
                both = one & other
                product = (first * second)[:, both]
                if distance == 1:
                    near += product.sum() / max(both.sum(), 1)
                    own += (first**2)[:, both].sum() / max(both.sum(), 1)
                else:
                    far += product.sum() / max(both.sum(), 1)
    return float(np.clip((near - max(far, 0)) / (own - max(far, 0)), 0, 1)) if own > max(far, 0) else 0.0


def _pairs(mask: np.ndarray, axis: int, distance: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = _shifted(mask[None], axis, distance)
    return first[0], second[0]


def _shifted(values: np.ndarray, axis: int, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, Y, X) values, and those some voxels on."""
    length = values.shape[axis + 1]
    return (
        np.take(values, range(length - distance), axis=axis + 1),
        np.take(values, range(distance, length), axis=axis + 1),
    )
