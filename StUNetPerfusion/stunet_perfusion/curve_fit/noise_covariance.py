"""The covariance of a scan's noise between neighboring voxels and between frames.

A scanner's filters correlate the noise of neighbors, and breathing and pulse correlate it over several frames and
centimeters. A map that averages over frames and neighbors removes correlated noise less well than white noise of the
same standard deviation.

The covariance is estimated in the frames before the bolus and after its first pass. What else happens there is removed
by least squares, voxel by voxel: the mean of the baseline; a parabola and the brain's mean curve after the first pass.
That removes noise as well, slow noise more than fast noise. Therefore the covariances between frames are not read off
the residuals but solved for, as K. J. Worsley et al. 2002, NeuroImage 15:1-15, do for functional MRI.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag, toeplitz

#: Neighboring voxels that are looked at together, along a row or a column.
RUN = 4

#: Frames, one of them itself, with which a frame's noise may be correlated.
_MEMORY = 6

#: A part of a series is used only if it has so many frames more than regressors.
_FEWEST_FRAMES = 4

#: A voxel whose residual is this many times that of the median voxel holds more than noise: a vessel, or leakage.
_ODD = 3.0

#: A voxel's neighbors are averaged with it about as by a normal distribution of this standard deviation, in voxels.
#: How much of the noise is left hardly depends on it, beside what is left of white noise.
_AVERAGE = 1.0

#: Neighbors beyond this many voxels have no share in that.
_REACH = 4


def noise_covariance(deviations: np.ndarray, arrival: int, stop: int) -> np.ndarray:
    """The covariance of the noise in the same voxel and in neighbors, in the same frame and some frames apart.

    :param deviations: (T, n, RUN) of the signal from its baseline, in runs of neighbors, whose noise is alike in
        strength
    :param arrival: frames before the bolus
    :param stop: the frame after the last of the first pass
    :returns: (RUN, _MEMORY) covariances of voxels 0, 1, ... apart in frames 0, 1, ... apart; all 0 where there are too
        few frames or voxels to tell
    """
    covariance = np.zeros((RUN, _MEMORY))
    frames, leaving_out = beside_the_bolus(deviations.mean(axis=(1, 2), dtype=np.float64), arrival, stop)
    if not len(frames):
        return covariance
    seen = deviations[frames]
    left = (leaving_out.astype(np.float32) @ seen.reshape(len(frames), -1)).reshape(seen.shape)
    strength = np.sqrt(np.square(left).mean(axis=0)).max(axis=-1)
    left = np.ascontiguousarray(np.moveaxis(left[:, strength <= _ODD * np.median(strength)], -1, 0))
    if not left.size:
        return covariance
    apart = np.abs(frames[:, None] - frames)
    lags = [(apart == lag).astype(float) for lag in range(_MEMORY)]
    # What is left of noise that is correlated over one lag alone, at each lag.
    mixing = np.array([[(at * (leaving_out @ of @ leaving_out)).sum() for of in lags] for at in lags])
    for distance in range(RUN):
        pairs = zip(left, left[distance:], strict=False)
        product = sum(one @ other.T for one, other in pairs) / (left.shape[2] * (RUN - distance))
        covariance[distance] = np.linalg.lstsq(mixing, np.array([(at * product).sum() for at in lags]), rcond=None)[0]
    return covariance


def beside_the_bolus(mean: np.ndarray, arrival: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames in which hardly anything but noise is seen, and what takes slow changes away there.

    :param mean: (T,) the brain's mean curve
    :param arrival: frames before the bolus
    :param stop: the frame after the last of the first pass
    :returns: (F,) frames, and (F, F) by which curves in them are multiplied; none where there are too few to tell
    """
    after = len(mean) - stop
    parts, places = [np.empty((0, 0))], [np.empty(0, int)]
    if arrival >= _FEWEST_FRAMES + 1:
        parts.append(_leaving_out(np.ones((arrival, 1))))
        places.append(np.arange(arrival))
    if after >= _FEWEST_FRAMES + 4:
        time = np.linspace(-1, 1, after)
        parts.append(_leaving_out(np.stack([np.ones(after), time, time**2, mean[stop:]], axis=1)))
        places.append(np.arange(stop, len(mean)))
    return np.concatenate(places), block_diag(*parts)


def correlated_noise_of_average(covariance: np.ndarray, weights: np.ndarray) -> float:
    """What correlation adds to the noise of a weighted sum over frames that is averaged over neighbors.

    :param covariance: as `noise_covariance` returns it
    :param weights: (T,) of the frames
    :returns: standard deviation of that average beyond what white noise of the same strength gives it, in the unit of
        the deviations; 0 for white noise
    """
    reach = np.arange(-_REACH, _REACH + 1)
    distance = np.hypot(reach[:, None], reach)
    # Of two voxels of the average, how often they are so far apart.
    share = np.exp(-(distance**2) / (4 * _AVERAGE**2))
    share /= share.sum()
    memory = np.zeros((RUN, len(weights)))
    kept = min(_MEMORY, len(weights))
    memory[:, :kept] = covariance[:, :kept]
    of_sum = np.array([weights @ toeplitz(row) @ weights for row in memory])
    white = covariance[0, 0] * (weights @ weights) * share[_REACH, _REACH]
    averaged = (share * np.interp(distance, np.arange(RUN), of_sum)).sum()
    return float(np.sqrt(max(averaged - white, 0.0)))


def _leaving_out(nuisance: np.ndarray) -> np.ndarray:
    """(T, T) what takes (T, k) curves away from others, by least squares."""
    return np.eye(len(nuisance)) - nuisance @ np.linalg.pinv(nuisance)
