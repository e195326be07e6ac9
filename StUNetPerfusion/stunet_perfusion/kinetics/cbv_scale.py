"""CBV maps as z-scores, as the paper standardizes them, and the way back to blood volume with a true zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.voxels import trimmed_mean

#: Z-scores beyond these limits are cut.
CLIP = 5.0


#: Z-scores this close to the clipping limits no longer follow the blood volume.
NEAR_CLIP = 0.9 * CLIP


#: Values that differ by less than this share of the largest are one value that 32-bit sums have rounded.
ROUNDING = 64 * float(np.finfo(np.float32).eps)


#: The standard deviation of blood volume over a brain is about half of its mean, so that in this unit the closed form
#: is nearly a z-score; but the mean is not blown up by noise as the standard deviation is at a low dose.
CLOSED_FORM_UNIT = 0.5


@dataclass(frozen=True)
class CbvScale:
    """The line between z-scores and blood volume: CBV = mean + sd * z. No blood is z = -mean / sd."""

    mean: float
    sd: float

    def to_blood_volume(self, standardized: np.ndarray) -> np.ndarray:
        """Z-scores to CBV, in the unit of the scale, with a true zero."""
        return (self.mean + self.sd * standardized).astype(np.float32)

    def to_standardized(self, cbv: np.ndarray) -> np.ndarray:
        """CBV to z-scores, clipped to [-5, 5]."""
        return np.clip((cbv - self.mean) / self.sd, -CLIP, CLIP).astype(np.float32)


def has_spread(values: np.ndarray) -> bool:
    """Whether values differ by more than rounding. Without a spread there is no z-score and no correlation."""
    if not values.size:
        return False
    lowest, highest = float(values.min()), float(values.max())
    return highest - lowest > ROUNDING * max(abs(lowest), abs(highest))


def closed_form_scale(cbv: np.ndarray, brain: np.ndarray) -> CbvScale:
    """The line between a CBV map and the unit in which a network corrects the closed form, see `SliceForNetwork`.

    :raises InputError: a map without blood
    """
    mean = trimmed_mean(cbv[brain])
    if not mean > 0:
        raise InputError("CBV map", "holds no blood on average over the brain", "check the map and the brain mask")
    return CbvScale(mean, mean * CLOSED_FORM_UNIT)


def cbv_scale(cbv: np.ndarray, brain: np.ndarray) -> CbvScale:
    """Mean and standard deviation of a CBV map over the brain: how the paper standardizes it.

    :raises InputError: the map is the same everywhere in the brain
    """
    values = cbv[brain].astype(np.float64)
    if not has_spread(values):
        raise InputError("CBV map", "has the same value everywhere in the brain", "check the map and the brain mask")
    return CbvScale(float(values.mean()), float(values.std()))


def recover_scale(standardized: np.ndarray, closed_form: np.ndarray, brain: np.ndarray) -> CbvScale:
    """Find the blood volume that z-scores stand for, with its true zero.

    A z-score says how far a voxel is from the brain's mean, not how much blood it holds, and the mean and SD that
    would undo it belong to a map that is not known when a network predicts. The closed form sum C / sum C_aif of the
    same series knows them: it is noisy in every voxel, but without blood it is 0 on average, if it is taken over the
    first pass alone (over all frames a slow drift of the signal would add to it). So the line that carries
    the predicted z-scores onto the closed form, by least squares over the brain, gives both: CBV = mean + sd * z.
    The noise of the closed form is in the dependent variable and does not bend the line; and a network trained by L2
    predicts a conditional mean, for which the slope of truth over prediction is 1, so the z-scores' own error does
    not either. Voxels near the clipping limits and closed-form values beyond five robust SDs of the line (vessels,
    voxels without signal) are left out.

    :param standardized: (Z, Y, X) predicted z-scores on the series' grid
    :param closed_form: (Z, Y, X) CBV of the first pass of the same series with a mean baseline, any unit
    :param brain: (Z, Y, X) bool
    :returns: the scale, in the unit of `closed_form`
    :raises InputError: prediction and closed form have nothing in common, so there is no scale
    """
    usable = brain & (np.abs(standardized) < NEAR_CLIP) & np.isfinite(closed_form)
    z, cbv = standardized[usable].astype(np.float64), closed_form[usable].astype(np.float64)
    kept = np.ones(z.size, dtype=bool)
    mean = sd = 0.0
    # Where most voxels are on the line to the last digit, their residual says nothing about what is odd.
    least_spread = 0.05 * np.ptp(np.percentile(cbv, (5, 95))) if cbv.size else 0.0
    for _ in range(3):
        if kept.sum() < 3 or not has_spread(z[kept]):
            break
        # The line of least squares by its closed form: a fit of polynomials takes nine times as long.
        (variance, covariance), _ = np.cov(z[kept], cbv[kept])
        sd = covariance / variance
        mean = cbv[kept].mean() - sd * z[kept].mean()
        residual = cbv - (mean + sd * z)
        robust_sd = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        kept = np.abs(residual) <= 5 * max(robust_sd, least_spread)
    if not sd > 0:
        raise InputError(
            "prediction",
            "does not rise with the blood volume of the series, so it has no physical scale",
            "check the series with 'stunet-perfusion info', or use another checkpoint",
        )
    return CbvScale(float(mean), float(sd))
