"""Blood volume by how much of the brain's own curve is in a voxel's curve.

The closed form adds up a voxel's frames, each with its noise. The curves of a brain are alike, though: a little earlier
or later, narrower or wider, and more or less of them. The brain's mean curve, from which noise is averaged away, says
what they are like in this series, whatever the injection, the frame interval and the scanner were. So a voxel's curve
is fitted by

    c(t) = a m(t) + b m'(t) + c m''(t) + d

with the mean curve m, its derivatives for what comes early or is wide, and a constant for the error of S0. The blood
volume is a. In least squares a frame counts for as much as it tells, and the same frames count for nothing in which
there is no contrast but noise; the closed form would have them all. How large b, c and d are in a brain, beyond what
noise makes of them, is known from its voxels; each is held back as far as noise drowns it (ridge regression with the
prior variances of this very brain).

All of that is a weighted sum over frames with the same weights in every voxel: it costs as little as the closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Voxels whose area is outside of these percentiles do not count for the brain's mean: vessels, and voxels without
#: signal.
TRIMMED = (5.0, 95.0)

#: A coefficient keeps at least this share of its variance, however noisy the series.
_LEAST_SIGNAL = 1e-4


@dataclass(frozen=True, eq=False)
class TemplateFit:
    """A fit, as what each frame of a curve counts for.

    :param weights: (T,) the blood volume is the sum over frames of weight times curve
    :param noise_gain: standard deviation of that sum, where the signal before the bolus has noise of 1 in its logarithm
    """

    weights: np.ndarray
    noise_gain: float

    def blood_volume(self, curves: np.ndarray) -> np.ndarray:
        """(...) float32 of (T, ...) curves, in the unit of the area under them."""
        return np.tensordot(self.weights.astype(np.float32), curves, axes=1)


def fit_template(curves: np.ndarray, stop: int, drop: float, noise: float) -> TemplateFit:
    """Find the mean curve of a brain, and what the frames count for in a fit of it.

    :param curves: (T, n) of voxels of the brain, -ln(S/S0) times any factor
    :param stop: the frame after the last of the first pass, which the area is taken over
    :param drop: -ln(S/S0) over the curves: where the signal is low, the logarithm of its noise is large
    :param noise: standard deviation of the curves before the bolus, in their unit
    """
    areas = curves[:stop].sum(axis=0, dtype=np.float64)
    low, high = np.percentile(areas, TRIMMED)
    tissue = curves[:, (areas >= low) & (areas <= high)].astype(np.float64)
    mean = tissue.mean(axis=1)
    slope = np.gradient(mean)
    basis = np.stack([mean, slope, np.gradient(slope), np.full_like(mean, mean.max())], axis=1)
    # Noise of the signal is the same in all frames, and that of its logarithm the larger the less signal is left.
    precision = np.exp(-2 * drop * mean)
    weighted = (basis * precision[:, None]).T
    gram = weighted @ basis
    alone = np.linalg.pinv(gram)
    variance = (alone @ (weighted @ tissue)).var(axis=1)
    of_signal = np.maximum(variance - noise**2 * np.diag(alone), _LEAST_SIGNAL * variance)
    held_back = np.divide(noise**2, of_signal, out=np.zeros_like(of_signal), where=of_signal > 0)
    held_back[0] = 0
    weights = (np.linalg.pinv(gram + np.diag(held_back)) @ weighted)[0] * mean[:stop].sum()
    return TemplateFit(weights, float(np.sqrt((weights**2 / precision).sum())))
