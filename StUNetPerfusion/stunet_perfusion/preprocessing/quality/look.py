"""One pass over a series: the numbers that all of quality control is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from stunet_perfusion.preprocessing.bolus import _deepest_dip, _noise, count_unsteady_frames
from stunet_perfusion.series import DscSeries

#: Voxels of the brain whose curves are looked at, evenly spread, and how many of each slice at least.
_SAMPLED_VOXELS, _SAMPLED_OF_SLICE = 12_000, 300

#: Voxels darker than this share of the median are not tissue.
_DARK = 0.3

#: A frame with less than this share of the usual signal is empty.
_EMPTY = 0.05

#: A logarithm is not taken of less than this share of a voxel's usual signal.
_LEAST_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of a series, before anything is judged.

    :param frame_means: (T,) mean of the whole image
    :param positive_means: (T,) mean of the voxels that are above 0 in any frame
    :param curve: (T,) mean signal of the brain
    :param voxels: (n,) flat indices of the sampled voxels of the brain
    :param places: (n,) their slices
    :param signal: (T, n) their signal
    :param usual: (n,) their usual signal
    :param highest: largest value of the series
    """

    frame_means: np.ndarray
    positive_means: np.ndarray
    curve: np.ndarray
    voxels: np.ndarray
    places: np.ndarray
    signal: np.ndarray
    usual: np.ndarray
    highest: float

    @property
    def empty(self) -> np.ndarray:
        """(T,) bool: frames without signal."""
        usual = float(np.median(self.curve))
        return self.curve < _EMPTY * usual if usual > 0 else np.zeros(len(self.curve), bool)

    def bridging(self, frames: np.ndarray) -> Look:
        """The same, with what is between the neighbors in the place of some frames.

        :param frames: (T,) bool
        """
        if not frames.any() or frames.all():
            return self
        curve, signal = self.curve.copy(), self.signal.copy()
        good = np.flatnonzero(~frames)
        for frame in np.flatnonzero(frames):
            later = good[good > frame][:1]
            sooner = good[good < frame][-1:]
            ends = np.concatenate([sooner, later])
            weights = 1 / np.abs(ends - frame)
            weights /= weights.sum()
            curve[frame], signal[frame] = weights @ self.curve[ends], weights @ self.signal[ends]
        usual = np.maximum(np.percentile(signal, 70, axis=0), np.finfo(np.float32).tiny)
        return replace(self, curve=curve, signal=signal, usual=usual)

    @property
    def logarithm(self) -> np.ndarray:
        """(T, n) logarithm of the signal over its usual value."""
        return np.log(np.maximum(self.signal, _LEAST_SHARE * self.usual) / self.usual)


def look_at(series: DscSeries, brain: np.ndarray) -> Look:
    """Go through a series once.

    :param brain: (Z, Y, X) bool, not empty
    """
    voxels = _sampled(brain)
    frames, inside = series.frames, np.count_nonzero(brain)
    sums, curve = np.empty(frames), np.empty(frames)
    signal = np.empty((frames, len(voxels)))
    seen = np.zeros(brain.shape, bool)
    weights = brain.ravel().astype(np.float32)
    highest = -np.inf
    for t, frame in enumerate(series.signal):
        flat = np.ascontiguousarray(frame).reshape(-1)
        sums[t] = flat.sum(dtype=np.float64)
        curve[t] = np.dot(flat, weights) / inside if flat.size < 2**22 else flat[brain.ravel()].mean(dtype=np.float64)
        signal[t] = flat[voxels]
        seen |= frame > 0
        highest = max(highest, float(flat.max()))
    usual: np.ndarray = np.percentile(signal, 70, axis=0)
    tissue = usual > max(_DARK * float(np.median(usual)), 0.0)
    if not tissue.any():
        tissue = np.ones(len(voxels), bool)
    usual = np.maximum(usual, np.finfo(np.float32).tiny)
    return Look(
        sums / brain.size,
        sums / max(np.count_nonzero(seen), 1),
        curve,
        voxels[tissue],
        np.unravel_index(voxels[tissue], brain.shape)[0],
        signal[:, tissue],
        usual[tissue],
        highest,
    )


def _sampled(brain: np.ndarray) -> np.ndarray:
    """Flat indices of some voxels, evenly spread over each slice."""
    size = brain[0].size
    total = max(np.count_nonzero(brain), 1)
    chosen = []
    for z, of_slice in enumerate(brain):
        inside = np.flatnonzero(of_slice)
        wanted = max(_SAMPLED_VOXELS * len(inside) // total, _SAMPLED_OF_SLICE)
        chosen.append(z * size + inside[:: max(len(inside) // wanted, 1)])
    return np.concatenate(chosen)


@dataclass(frozen=True)
class Dip:
    """Roughly where the bolus is: good enough to tell quiet frames from the others.

    :param unsteady: first frames that are not in steady state
    :param arrival: first frame with contrast
    :param peak: frame of the lowest signal
    :param stop: the frame after the first pass
    :param depth: drop of the mean signal over its level
    :param level: mean signal before it
    """

    unsteady: int
    arrival: int
    peak: int
    stop: int
    depth: float
    level: float

    def quiet(self, frames: int) -> np.ndarray:
        """(T,) bool: frames in which there is little but noise: before the bolus, and after its first pass."""
        frame = np.arange(frames)
        return (frame >= self.unsteady) & ((frame < self.arrival) | (frame >= self.stop))


def rough_dip(curve: np.ndarray) -> Dip:
    """The deepest dip of a mean curve, whatever it is: single frames that are off do not count.

    :param curve: (T,)
    """
    calm = ndimage.median_filter(curve, 3, mode="nearest")
    calm[0] = curve[0]
    unsteady = count_unsteady_frames(calm)
    rest = ndimage.median_filter(curve[unsteady:], 3, mode="nearest")
    found = _deepest_dip(rest, _noise(rest))
    level = found.level if found.level > 0 else 1.0
    stop = min(found.peak + max(2 * (found.peak - found.arrival), 3) + 1, len(rest))
    return Dip(
        unsteady,
        unsteady + found.arrival,
        unsteady + found.peak,
        unsteady + stop,
        float(found.drop / level),
        float(found.level),
    )
