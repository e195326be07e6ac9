"""What a scan's noise has that white noise has not, as the series itself shows it.

A scanner's filters make the noise of neighbors alike, and what breathing and pulse do to the signal lasts over some
frames and some centimeters. A map averages over frames and over like neighbors, and noise with such a texture is
averaged away less than white noise of the same strength.

It is seen in the frames before the bolus and after its first pass, where little else happens. What does happen there
is taken away by least squares, voxel by voxel: the baseline's mean; a parabola and the brain's mean curve in the frames
after the first pass. That takes noise away as well, more of the slow than of the fast, which is why the covariances
from frame to frame are not read off what is left, but solved for (as K. J. Worsley et al. 2002, NeuroImage 15:1-15, do
for functional MRI).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag, toeplitz

#: Neighboring voxels that are looked at together, along a row or a column.
RUN = 4

#: Frames, one of them itself, with which a frame's noise may be correlated.
_MEMORY = 6

#: So many frames more than are taken away have to be left of a part of a series, or it says nothing.
_FEWEST_FRAMES = 4

#: A voxel in which this many times more is left than in the median one has more in it than noise: a vessel, or leakage.
_ODD = 3.0

#: A voxel's neighbors are averaged with it about as by a normal distribution of this standard deviation, in voxels.
#: How much of the noise is left hardly depends on it, beside what is left of white noise.
_AVERAGE = 1.0

#: Neighbors beyond this many voxels have no share in that.
_REACH = 4


def noise_covariance(deviations: np.ndarray, arrival: int, stop: int) -> np.ndarray:
    """The covariance of the noise of voxels that are neighbors, or the same, some frames apart.

    :param deviations: (T, n, RUN) of the signal from its baseline, in runs of neighbors, whose noise is alike in
        strength
    :param arrival: frames before the bolus
    :param stop: the frame after the last of the first pass
    :returns: (RUN, _MEMORY) covariances of voxels 0, 1, ... apart in frames 0, 1, ... apart; all 0 where there are too
        few frames or voxels to tell
    """
    texture = np.zeros((RUN, _MEMORY))
    frames, leaving_out = beside_the_bolus(deviations.mean(axis=(1, 2), dtype=np.float64), arrival, stop)
    if not len(frames):
        return texture
    seen = deviations[frames]
    left = (leaving_out.astype(np.float32) @ seen.reshape(len(frames), -1)).reshape(seen.shape)
    strength = np.sqrt(np.square(left).mean(axis=0)).max(axis=-1)
    left = np.ascontiguousarray(np.moveaxis(left[:, strength <= _ODD * np.median(strength)], -1, 0))
    if not left.size:
        return texture
    apart = np.abs(frames[:, None] - frames)
    lags = [(apart == lag).astype(float) for lag in range(_MEMORY)]
    # What is left of noise that is correlated over one lag alone, at each lag.
    mixing = np.array([[(at * (leaving_out @ of @ leaving_out)).sum() for of in lags] for at in lags])
    for distance in range(RUN):
        pairs = zip(left, left[distance:], strict=False)
        product = sum(one @ other.T for one, other in pairs) / (left.shape[2] * (RUN - distance))
        texture[distance] = np.linalg.lstsq(mixing, np.array([(at * product).sum() for at in lags]), rcond=None)[0]
    return texture


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


def correlated_noise_of_average(texture: np.ndarray, weights: np.ndarray) -> float:
    """What texture adds to the noise of a weighted sum over frames that is averaged over neighbors.

    :param texture: as `noise_covariance`
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
    memory[:, :kept] = texture[:, :kept]
    of_sum = np.array([weights @ toeplitz(row) @ weights for row in memory])
    white = texture[0, 0] * (weights @ weights) * share[_REACH, _REACH]
    averaged = (share * np.interp(distance, np.arange(RUN), of_sum)).sum()
    return float(np.sqrt(max(averaged - white, 0.0)))


def _leaving_out(nuisance: np.ndarray) -> np.ndarray:
    """(T, T) what takes (T, k) curves away from others, by least squares."""
    return np.eye(len(nuisance)) - nuisance @ np.linalg.pinv(nuisance)
