"""Physiological noise, removed from a map as CompCor does it (Y. Behzadi et al. 2007, NeuroImage 37:90-101).

Breathing and pulse change the signal of many voxels together: by one or a few time courses, each times a pattern that
is smooth in space. A single voxel does not tell what a time course does during the bolus. But its pattern is seen in
the frames before and after the bolus, and the map contains the same pattern times one number. Therefore the map of a
slice is fitted by the patterns, beside what the baseline tells of the anatomy, and the patterns' part is subtracted.

How large that number can be follows from the strength and the duration of the time course. That is the prior variance
of a ridge regression, and a limit: a pattern never removes more from a map than noise of its kind adds, however much
blood resembles it.

The time courses are those principal components that exceed white noise (V. A. Marchenko and L. A. Pastur 1967).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.linalg import toeplitz

from stunet_perfusion.curve_fit.noise_covariance import beside_the_bolus

#: Rows and columns of a block, whose mean is looked at: its noise is a quarter of a voxel's, and no pattern is finer.
_BLOCK = 4

#: So many frames, and so many voxels, are the least that tell a pattern.
_FEWEST_FRAMES, _FEWEST_VOXELS = 12, 500

#: Courses are looked for up to so many. They are so many times as strong as the strongest of white noise.
_MOST, _STANDS_OUT = 3, 2.0

#: A pattern is smoothed by a normal distribution of this standard deviation, in voxels.
_SMOOTHING = 2.0

#: Blood volumes beyond these, in multiples of the brain's mean, are of vessels, or no blood: they tell nothing.
_USUAL = (-1.0, 3.0)

#: Standard deviation of the blood volume that the baseline leaves unexplained, in multiples of the brain's mean, and
#: how many voxels are alike in it. Chosen on phantoms of both families, heads 12-14, other persons than are evaluated.
_ANATOMY, _ALIKE = 0.4, 10.0

#: Powers of the baseline that the blood volume is fitted by.
_POWERS = 4

#: A share beyond so many of its standard deviations is none of noise.
_MOST_DEVIATIONS = 3.0

#: A block whose noise is so many times that of the median one holds something else, a vessel or leakage.
_ODD = 3.0


def remove_physiological_noise(
    volume: np.ndarray,
    noise: np.ndarray,
    curves: np.ndarray,
    baseline: np.ndarray,
    weights: np.ndarray,
    arrival: int,
    stop: int,
) -> np.ndarray:
    """The map of a slice without its physiological noise.

    :param volume: (Y, X) blood volume in multiples of the brain's mean, the sum over frames of weight times curve
    :param noise: (Y, X) its standard deviation by white noise; 0 in air
    :param curves: (T, Y, X) -ln(S/S0), in the unit of the volume
    :param baseline: (Y, X) S0
    :param weights: (T,) of the frames
    :param arrival: frames before the bolus
    :param stop: the frame after the last of the first pass
    :returns: (Y, X) float32; the volume as it is where too little is seen, or no course stands out
    """
    tissue = noise > 0
    usual = tissue & (volume > _USUAL[0]) & (volume < _USUAL[1])
    if np.count_nonzero(usual) < _FEWEST_VOXELS:
        return volume
    # Noise of a curve is in inverse proportion to the baseline.
    precision = np.where(usual, baseline, 0).astype(np.float32) ** 2
    precision /= precision[usual].mean()
    courses = _courses(curves, precision, arrival, stop)
    if not len(courses):
        return volume
    patterns = _patterns(courses, curves, precision)
    variances = [_variance(course, weights) for course in courses]
    shares = _shares(patterns[:, usual], variances, volume[usual], noise[usual], baseline[usual])
    return volume - np.where(tissue, np.tensordot(shares, patterns, axes=1), 0).astype(np.float32)


def _courses(curves: np.ndarray, precision: np.ndarray, arrival: int, stop: int) -> np.ndarray:
    """(k, T) float32 courses of length 1, 0 under the bolus: those that stand out of white noise, at most `_MOST`."""
    nothing = np.empty((0, len(curves)), np.float32)
    rows, columns = (pixels // _BLOCK for pixels in precision.shape)
    weight = _blocks(precision[None], rows, columns)[0]
    kept = weight > 0.3 * _BLOCK**2
    if np.count_nonzero(kept) < _FEWEST_VOXELS / _BLOCK**2:
        return nothing
    weight = weight[kept].astype(np.float64)
    means = _blocks(curves * precision, rows, columns)[:, kept] / weight
    frames, leaving_out = beside_the_bolus(means @ weight / weight.sum(), arrival, stop)
    if len(frames) < _FEWEST_FRAMES:
        return nothing
    # Of white noise every block has as much of it.
    seen = (leaving_out @ means[frames]) * np.sqrt(weight)
    strength = np.sqrt(np.square(seen).mean(axis=0))
    seen = seen[:, strength <= _ODD * np.median(strength)]
    variances, components = np.linalg.eigh(seen @ seen.T / seen.shape[1])
    variances, components = variances[::-1], components[:, ::-1]
    free = round(np.trace(leaving_out))
    strongest_of_noise = np.median(variances[:free]) * (1 + np.sqrt(free / seen.shape[1])) ** 2
    standing_out = np.count_nonzero(variances[:_MOST] > _STANDS_OUT * strongest_of_noise)
    courses = np.zeros((standing_out, len(curves)), np.float32)
    courses[:, frames] = (leaving_out @ components[:, :standing_out]).T
    return courses


def _blocks(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(T, rows, columns) sums over blocks of (T, Y, X)."""
    inside = images[:, : rows * _BLOCK, : columns * _BLOCK]
    # Rows first, whose pixels lie side by side: the rest is a quarter then.
    of_rows = inside.reshape(len(images), rows, _BLOCK, -1).sum(axis=2)
    return of_rows.reshape(len(images), rows, columns, _BLOCK).sum(axis=3)


def _patterns(courses: np.ndarray, curves: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """(k, Y, X) how much of each course is where, smoothed."""
    around = np.maximum(ndimage.gaussian_filter(precision, _SMOOTHING), np.float32(1e-3))
    seen = np.tensordot(courses, curves, axes=1) * precision
    return np.stack([ndimage.gaussian_filter(each, _SMOOTHING) for each in seen]) / around


def _variance(course: np.ndarray, weights: np.ndarray) -> float:
    """What a weighted sum over frames makes of a course that goes on under the bolus as it is seen beside it.

    :param course: (T,) of length 1, 0 where it is not seen
    """
    frames = np.flatnonzero(course)
    follows = frames[:-1][np.diff(frames) == 1]
    memory = float(np.clip(course[follows] @ course[follows + 1], 0, 0.9))
    return float(weights @ toeplitz(memory ** np.arange(len(weights))) @ weights) / len(frames)


def _shares(
    patterns: np.ndarray, variances: list[float], volume: np.ndarray, noise: np.ndarray, baseline: np.ndarray
) -> np.ndarray:
    """(k,) what of the patterns is in the volume.

    :param patterns: (k, n) in voxels that tell
    :param variances: of the shares, before the volume is looked at
    :param volume: (n,), and so are its noise and the baseline
    """
    spread = (baseline - baseline.mean()) / max(float(baseline.std()), np.finfo(np.float32).tiny)
    explained_by = np.concatenate([patterns, [spread**power for power in range(_POWERS)]]).astype(np.float64)
    held_back = np.zeros(len(explained_by))
    held_back[: len(patterns)] = 1 / np.array(variances)
    cut = np.clip(volume, *np.percentile(volume, (2, 98)))
    weighted = explained_by / (_ALIKE * (noise**2 + _ANATOMY**2))
    # Where the baseline is the same everywhere, nothing of its powers is to be had, and there is no one solution.
    found, *_ = np.linalg.lstsq(weighted @ explained_by.T + np.diag(held_back), weighted @ cut, rcond=None)
    most = _MOST_DEVIATIONS * np.sqrt(variances)
    return np.clip(found[: len(patterns)], -most, most)
