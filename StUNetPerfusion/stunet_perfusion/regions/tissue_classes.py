"""Fluid, white and gray matter in a perfusion series, by blood volume and by signal before the bolus.

Expectation maximization of a mixture of normal distributions in two numbers, in which

- the share of each tissue varies in space (Sanjay-Gopal and Hebert 1998, IEEE Trans Image Process 7:1014),
- a smooth field, the sensitivity of the coils, is taken off the logarithm of the signal (Wells 1996, IEEE Trans Med
  Imaging 15:429),
- voxels that hold two tissues are classes of their own, whose means lie between those of the two (Shattuck 2001,
  NeuroImage 13:856): a voxel of cortex and fluid holds as much blood as white matter,
- a flat class takes what is none of these: tumor, edema, vessels, artifacts.

Means are learned where blood volume hardly varies from voxel to voxel, which is where voxels hold one tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Classes in the order of their probabilities. The last ones are mixtures, and whatever else there is.
FLUID, WHITE, GRAY = range(3)
MIXED = ((FLUID, GRAY), (WHITE, GRAY), (FLUID, WHITE))
OTHER = 3 + len(MIXED)
_CLASSES = OTHER + 1

#: Blood volume of the three tissues to begin with, in multiples of the brain's mean: 0.6 to 0.85 and 1.2 to 1.6 are
#: found in phantoms of both families.
_FIRST_VOLUME = (0.1, 0.7, 1.4)
_FIRST_SPREAD = 0.2

#: Blood volumes between which the means of fluid and of white matter are sought.
_HIGHEST_FLUID = 0.3
_LOWEST_WHITE, _HIGHEST_WHITE = 0.3, 1.0

#: Gray matter holds at least so many times the blood of white matter.
LEAST_CONTRAST = 1.25

#: A tissue's numbers spread at least so far, or a class could shrink onto a few equal voxels.
_LEAST_SPREAD = (0.05, 0.02)

#: Blood volume of one tissue varies from place to place by this share at least. The learned spread, from voxels that
#: are surely of it, is smaller; with this one the signal decides where it tells tissues apart.
_VARIES = 0.2

#: What belongs to no tissue may have any blood volume and any logarithm of the signal within ranges of this size.
_FLAT_RANGES = (6.0, 2.0)
_FIRST_SHARE_OF_OTHER = 0.05

#: At the rim of the brain voxels hold fluid, too.
_WEIGHT_OF_RIM = 0.01

_STEPS = 25
#: In the first steps blood volume alone tells tissues apart; then their signals are known.
_STEPS_OF_VOLUME_ALONE = 2

#: Width of the neighborhood in which a tissue's share is taken, pixels and mm through the slices.
_NEIGHBORHOOD = 1.2
_NEIGHBORHOOD_THROUGH = 3.0


@dataclass(frozen=True, eq=False)
class TissueClasses:
    """What voxels are.

    :param probability: (7, Z, Y, X) float32 of fluid, white matter, gray matter, the mixtures of `MIXED`, and anything
        else; 0 outside the brain
    :param share: (7, Z, Y, X) float32 of the same, the mean over the neighborhood of a voxel
    :param volume: (3,) mean blood volume of the three tissues
    :param spread: (3,) standard deviation of the same
    :param contrast: (3,) mean logarithm of the signal, once the field is taken off
    :param field: (Z, Y, X) float32, the smooth part of the signal's logarithm
    """

    probability: np.ndarray
    share: np.ndarray
    volume: np.ndarray
    spread: np.ndarray
    contrast: np.ndarray
    field: np.ndarray


def classify_tissue(volume: np.ndarray, signal: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> TissueClasses:
    """Sort the voxels of a brain.

    :param volume: (Z, Y, X) blood volume in multiples of the brain's mean, smoothed as far as its noise asks
    :param signal: (Z, Y, X) before the bolus; positive in the brain
    :param brain: (Z, Y, X) bool
    :param spacing: (3,) mm along i, j, k
    """
    share = _Shares(brain, spacing)
    bends = _smooth_fields(brain, spacing)
    values = np.stack([volume[brain], np.log(np.maximum(signal[brain], 1e-6))]).astype(np.float64)
    level = float(np.median(values[1]))
    raw = values[1] - level
    logarithm = np.zeros(brain.shape)
    logarithm[brain] = raw
    weight = _evenness((volume, logarithm), brain)
    field = _fit(raw, weight, bends)
    means = np.array([_FIRST_VOLUME, (0.0,) * 3]).T
    covariances = np.repeat(np.diag([_FIRST_SPREAD**2, 1.0])[None], 3, axis=0)
    prior = np.full((_CLASSES, values.shape[1]), (1 - _FIRST_SHARE_OF_OTHER) / OTHER)
    prior[OTHER] = _FIRST_SHARE_OF_OTHER
    probability = prior
    for step in range(_STEPS):
        values[1] = raw - field
        probability = _expectation(values, means, covariances, prior, use_signal=step >= _STEPS_OF_VOLUME_ALONE)
        prior = share.around(probability)
        means, covariances = _maximization(values, probability * weight, means)
        if step >= _STEPS_OF_VOLUME_ALONE:
            field = _field(raw, probability * weight, means, covariances, bends)
    whole, around = (np.zeros((_CLASSES, *brain.shape), np.float32) for _ in range(2))
    whole[:, brain], around[:, brain] = probability, prior
    smooth = np.zeros(brain.shape, np.float32)
    smooth[brain] = field + level
    return TissueClasses(whole, around, means[:, 0], np.sqrt(covariances[:, 0, 0]), means[:, 1], smooth)


def _evenness(images: tuple[np.ndarray, ...], brain: np.ndarray) -> np.ndarray:
    """(n,) 1 where images are the same all around, less where they change: there voxels hold two tissues."""
    share = np.maximum(ndimage.uniform_filter(brain.astype(np.float32), (1, 3, 3)), 1e-6)
    unevenness = np.zeros(np.count_nonzero(brain))
    for image in images:
        inside = np.where(brain, image, 0).astype(np.float64)
        mean = ndimage.uniform_filter(inside, (1, 3, 3)) / share
        square = ndimage.uniform_filter(inside**2, (1, 3, 3)) / share
        variance = np.maximum(square - mean**2, 0)[brain]
        unevenness += (variance / max(np.percentile(variance, 25), 1e-9)) ** 2
    rim = ~ndimage.binary_erosion(brain, np.ones((1, 3, 3)))[brain]
    return np.where(rim, _WEIGHT_OF_RIM, 1 / (1 + unevenness))


def _expectation(
    values: np.ndarray, means: np.ndarray, covariances: np.ndarray, prior: np.ndarray, use_signal: bool
) -> np.ndarray:
    """(7, n) how likely each voxel is of each class."""
    likelihood = np.empty_like(prior)
    used = 2 if use_signal else 1
    for tissue in range(OTHER):
        mean, covariance = _of_class(tissue, means, covariances)
        covariance = covariance[:used, :used]
        away = values[:used] - mean[:used, None]
        squares = np.einsum("in,ij,jn->n", away, np.linalg.inv(covariance), away)
        likelihood[tissue] = np.exp(-squares / 2) / np.sqrt((2 * np.pi) ** used * np.linalg.det(covariance))
    likelihood[OTHER] = 1 / np.prod(_FLAT_RANGES[:used])
    joint = likelihood * prior
    return joint / joint.sum(axis=0)


def _of_class(tissue: int, means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance. A mixture of two tissues may hold anything from a quarter to three quarters of the one."""
    if tissue <= GRAY:
        return means[tissue], covariances[tissue]
    one, other = MIXED[tissue - 3]
    between = means[other] - means[one]
    spread = (covariances[one] + covariances[other]) / 2 + np.outer(between, between) / 48
    return (means[one] + means[other]) / 2, spread


def _maximization(values: np.ndarray, weights: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3, 2) means and (3, 2, 2) covariances of the tissues. One that has lost its voxels stays where it was."""
    means, covariances = before.copy(), np.empty((3, 2, 2))
    for tissue in (FLUID, WHITE, GRAY):
        weight = weights[tissue]
        total = weight.sum()
        if total > 10:
            means[tissue] = values @ weight / total
        away = values - means[tissue][:, None]
        covariances[tissue] = (weight * away) @ away.T / max(total, 10) + np.diag(np.square(_LEAST_SPREAD))
        least = (_VARIES * means[tissue, 0]) ** 2
        covariances[tissue, 0, 0] = max(covariances[tissue, 0, 0], least)
    means[FLUID, 0] = min(means[FLUID, 0], _HIGHEST_FLUID)
    means[WHITE, 0] = np.clip(means[WHITE, 0], _LOWEST_WHITE, _HIGHEST_WHITE)
    means[GRAY, 0] = max(means[GRAY, 0], LEAST_CONTRAST * means[WHITE, 0])
    return means, covariances


def _field(
    raw: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, bends: np.ndarray
) -> np.ndarray:
    """(n,) what is smooth of the signal's logarithm, beyond what the tissues explain."""
    precision = weights[: GRAY + 1] / covariances[:, 1, 1][:, None]
    total = precision.sum(axis=0)
    residual = (precision * (raw[None] - means[:, 1][:, None])).sum(axis=0) / np.maximum(total, 1e-9)
    return _fit(residual, total, bends)


def _fit(values: np.ndarray, weight: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """(n,) the smooth field nearest to values, by weighted least squares."""
    basis = np.concatenate([np.ones((1, bends.shape[1])), bends])
    normal = (basis * weight) @ basis.T
    solved = np.linalg.solve(normal + 1e-6 * np.trace(normal) * np.eye(len(normal)), basis @ (weight * values))
    return solved[1:] @ bends


def _smooth_fields(brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(k, n) polynomials up to the third degree in the plane and the second through it; the constant is left out."""
    where = np.argwhere(brain) * spacing[::-1]
    where = (where - where.mean(axis=0)) / max(float(np.ptp(where[:, 1:], axis=0).max()) / 2, 1.0)
    z, y, x = where.T
    terms = [x**a * y**b * z**c for a in range(4) for b in range(4 - a) for c in range(3) if 0 < a + b + c <= 3]
    bends = np.array([term for term in terms if np.ptp(term) > 0])
    return bends - bends.mean(axis=1, keepdims=True)


class _Shares:
    """The share of each class around a voxel."""

    def __init__(self, brain: np.ndarray, spacing: np.ndarray) -> None:
        self._brain = brain
        through = _NEIGHBORHOOD_THROUGH / spacing[2] / 2
        self._sigma = (through if through > 0.3 else 0.0, _NEIGHBORHOOD, _NEIGHBORHOOD)
        self._size = np.maximum(self._smooth(np.ones(np.count_nonzero(brain))), 1e-6)

    def around(self, probability: np.ndarray) -> np.ndarray:
        """(7, n) shares, none of them nothing."""
        local = np.stack([self._smooth(each) / self._size for each in probability])
        local = np.maximum(local, 1e-3)
        return local / local.sum(axis=0)

    def _smooth(self, values: np.ndarray) -> np.ndarray:
        image = np.zeros(self._brain.shape, np.float32)
        image[self._brain] = values
        return ndimage.gaussian_filter(image, self._sigma, truncate=3.0)[self._brain].astype(np.float64)
