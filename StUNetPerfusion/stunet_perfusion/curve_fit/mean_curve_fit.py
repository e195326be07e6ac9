"""Blood volume by projection of each voxel's curve onto the brain's mean curve.

The closed form adds up a voxel's frames, each with its noise. But the curves of a brain are alike: a little earlier or
later, narrower or wider, larger or smaller. The brain's mean curve, which has hardly any noise, shows their form in
this series, whatever the injection, the frame interval and the scanner were. Each voxel's curve is fitted by

    c(t) = a m(t) + b m'(t) + c m''(t) + d

with the mean curve m, its derivatives for bolus arrival and width, and a constant for the error of S0. The blood volume
is a. Least squares weight each frame by its information; the closed form weights frames without contrast, which hold
noise alone, like all others. How much b, c and d vary in this brain beyond noise is known from its voxels; each is
shrunk accordingly (ridge regression with these prior variances).

The result is a weighted sum over frames with the same weights in every voxel, as fast as the closed form. Bolus arrival
(b) is such a sum, too: it tells tissues apart that hold the same blood but are fed by different arteries.

In leaking vessels the contrast agent adds a part of either sign: it lowers the signal, or brightens it by its T1. There
e l(t) is fitted as well, where l is the mean curve on its way out of the vessels and back: m convolved with an
exponential (Boxerman et al. 2006, AJNR 27:859-867, use its integral). That term costs precision, since its shape
resembles the constant's, and most voxels do not leak. So it is used only where it exceeds what noise and the brain's
other voxels explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.support.voxels import TRIMMED

#: After which leaking agent is mostly gone, s. It stays longer; but what it does to the signal by T1 and by T2* does
#: not rise and fall alike, and this comes nearest to both together. Chosen on phantoms of both families, unseen heads;
#: 30 to 60 s do nearly as well.
_LEAKAGE_TIME = 40.0

#: Standard deviations from where on leakage begins to be believed, and is believed wholly.
_BELIEVED = (3.0, 5.0)

#: Leakage whose curve peaks at less than this share of the brain's mean curve is as good as none.
_LEAST_LEAKAGE = 0.02

#: A coefficient keeps at least this share of its variance, however noisy the series.
_LEAST_SIGNAL = 1e-4


@dataclass(frozen=True, eq=False)
class Leakage:
    """What is known of leakage in a brain, and of the fit that has it as a term.

    :param weights: (T,) how much of it there is in a curve is the sum over frames of weight times curve
    :param noise_gain: standard deviation of that sum, as of `MeanCurveFit`
    :param usual: median of it over the brain
    :param spread: standard deviation over the brain, beyond noise
    :param volume_weights: (T,) of the blood volume beside it, as of `MeanCurveFit`
    :param volume_noise_gain: standard deviation of that, likewise
    """

    weights: np.ndarray
    noise_gain: float
    usual: float
    spread: float
    volume_weights: np.ndarray
    volume_noise_gain: float

    def belief(self, amount: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
        """How far voxels are believed to leak, 0 to 1.

        :param amount: (...) of leakage, as `weights` sum it up
        :param noise: (...) as for `MeanCurveFit.measure`
        """
        beyond = np.abs(amount - self.usual) / np.hypot(self.spread, np.float32(self.noise_gain) * noise)
        first, last = _BELIEVED
        return np.clip((beyond - first) / (last - first), 0, 1)


@dataclass(frozen=True, eq=False)
class MeanCurveFit:
    """A fit, as what each frame of a curve counts for.

    :param weights: (T,) the blood volume is the sum over frames of weight times curve
    :param noise_weights: (T,) the same for noise of the signal over its baseline: where the signal is low, the
        logarithm of its noise is large
    :param leakage: what becomes of voxels that leak
    :param arrival_weights: (T,) how early the bolus arrives in a voxel is the sum over frames of weight times curve:
        the coefficient of the mean curve's slope
    :param arrival_noise_gain: standard deviation of that, as `noise_gain`
    """

    weights: np.ndarray
    noise_weights: np.ndarray
    leakage: Leakage
    arrival_weights: np.ndarray
    arrival_noise_gain: float

    @property
    def noise_gain(self) -> float:
        """Standard deviation of the blood volume, where the signal before the bolus has white noise of 1."""
        return _size(self.noise_weights)

    def measure(self, curves: np.ndarray, noise: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Blood volume and its noise.

        :param curves: (T, ...)
        :param noise: (...) standard deviation of the curves before the bolus
        :returns: (...) float32 both, in the unit of the area under the curves
        """
        leakage = self.leakage
        weights = np.stack([self.weights, leakage.volume_weights - self.weights, leakage.weights]).astype(np.float32)
        volume, change, amount = np.tensordot(weights, curves, axes=1)
        belief = leakage.belief(amount, noise).astype(np.float32)
        gain = np.float32(self.noise_gain) + np.float32(leakage.volume_noise_gain - self.noise_gain) * belief
        return volume + belief * change, (gain * noise).astype(np.float32)

    def arrival(self, curves: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
        """How early curves come, in standard deviations of what noise makes of that.

        :param curves: (T, ...)
        :param noise: (...) standard deviation of the curves before the bolus; where it is 0 nothing is early
        :returns: (...) float32; negative where curves come late
        """
        early = np.tensordot(self.arrival_weights.astype(np.float32), curves, axes=1)
        deviation: np.ndarray = np.broadcast_to(np.float32(self.arrival_noise_gain) * noise, early.shape)
        return np.divide(early, deviation, out=np.zeros(early.shape, np.float32), where=deviation > 0)


def fit_mean_curve(
    curves: np.ndarray, noise: np.ndarray, stop: int, drop: float, typical_noise: float, frame_interval: float
) -> MeanCurveFit:
    """Find the mean curve of a brain, and what the frames count for in a fit of it.

    :param curves: (T, n) of voxels of the brain, -ln(S/S0) times any factor
    :param noise: (n,) standard deviation of the curves before the bolus, in their unit
    :param stop: the frame after the last of the first pass, which the area is taken over
    :param drop: -ln(S/S0) over the curves: where the signal is low, the logarithm of its noise is large
    :param typical_noise: the noise of a typical voxel
    :param frame_interval: s
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
    alone = np.linalg.pinv(weighted @ basis)
    variance = (alone @ (weighted @ tissue)).var(axis=1)
    of_signal = np.maximum(variance - typical_noise**2 * np.diag(alone), _LEAST_SIGNAL * variance)
    held_back = np.divide(typical_noise**2, of_signal, out=np.zeros_like(of_signal), where=of_signal > 0)
    held_back[0] = 0
    area, deviation = mean[:stop].sum(), 1 / np.sqrt(precision)
    of_curve, early, *_ = _solution(basis, precision, held_back)
    weights = area * of_curve

    way_out = np.convolve(mean, np.exp(-np.arange(len(mean)) * frame_interval / _LEAKAGE_TIME))[: len(mean)]
    with_leakage = np.column_stack([basis, way_out * mean.max() / way_out.max()])
    of_volume, *_, of_leakage = _solution(with_leakage, precision, np.append(held_back, 0.0))
    amount, gain = of_leakage @ curves, _size(of_leakage * deviation)
    usual = float(np.median(amount))
    # Of normally distributed values half are within 0.6745 standard deviations.
    variance_seen = (np.median(np.abs(amount - usual)) / 0.6745) ** 2
    of_brain = variance_seen - (gain * float(np.median(noise))) ** 2
    leakage = Leakage(
        of_leakage,
        gain,
        usual,
        max(float(np.sqrt(max(of_brain, 0.0))), _LEAST_LEAKAGE),
        area * of_volume,
        area * _size(of_volume * deviation),
    )
    return MeanCurveFit(weights, weights * deviation, leakage, early, _size(early * deviation))


def _solution(basis: np.ndarray, precision: np.ndarray, held_back: np.ndarray) -> np.ndarray:
    """(k, T) what frames count for in each of k coefficients, by least squares that hold some of them back."""
    weighted = (basis * precision[:, None]).T
    return np.linalg.pinv(weighted @ basis + np.diag(held_back)) @ weighted


def _size(weights: np.ndarray) -> float:
    return float(np.sqrt((weights**2).sum()))
