"""What can be mended in a series, and what doubt that leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from stunet_perfusion.support.errors import InputError, Setting

#: What can be mended, as the setting calls it.
KINDS = ("motion", "frames", "level")

#: An interpolated frame of the first pass may be off by this share of the bolus's peak.
_INTERPOLATION_ERROR = 0.02

#: A level that was mended is not known better than this, as a logarithm: physiology moves it, too.
_LEVEL_ERROR = 0.003

#: How far a voxel may still be from its place after motion was taken out, in millimeters, in the plane.
_RESIDUAL_MOTION = 0.12

#: Share of the blood volume that a head which was moved back is uncertain by: resampling smooths, and not all alike.
MOVED_BACK_ERROR = 0.03

#: How much of what a smoothing over `_BLUR` voxels takes away may have been lost when frames were moved back.
_BLUR, _BLUR_LOSS = 0.7, 0.5


@dataclass(frozen=True)
class MendSettings:
    """What is mended where damage is seen.

    :param motion: the head is moved back
    :param frames: damaged frames and slices are left out, and bridged by their neighbors in time
    :param level: steps and drift of the level are taken off
    """

    motion: bool = True
    frames: bool = True
    level: bool = True


def parse_mend(text: str) -> MendSettings:
    """`auto` for everything, `off` for nothing, or some of `motion,frames,level`.

    :raises InputError: anything else
    """
    if text == "auto":
        return MendSettings()
    if text == "off":
        return MendSettings(False, False, False)
    wanted = [word.strip() for word in text.split(",")]
    for word in wanted:
        if word not in KINDS:
            raise InputError(
                Setting.MEND, f"'{word}' cannot be mended", f"write auto, off, or some of {','.join(KINDS)}"
            )
    return MendSettings(*(kind in wanted for kind in KINDS))


@dataclass(frozen=True, eq=False)
class Doubt:
    """By how much mending widens the uncertainty of a blood volume.

    :param factor: (Z,) on the standard deviation of noise: frames that are left out tell nothing
    :param relative: share of the blood volume itself
    :param level: of the brain's mean blood volume, in all voxels
    :param place: (Z, Y, X) of the brain's mean blood volume, or None
    """

    factor: np.ndarray
    relative: float = 0.0
    level: float = 0.0
    place: np.ndarray | None = None

    def of_slices(self, slices: Sequence[int]) -> Doubt:
        """That of some slices alone."""
        chosen = list(slices)
        return replace(self, factor=self.factor[chosen], place=None if self.place is None else self.place[chosen])

    def widened(self, uncertainty: np.ndarray, cbv: np.ndarray, brain_mean: float) -> np.ndarray:
        """The uncertainty with the doubt in it.

        :param uncertainty: (Z, Y, X) standard deviation, 0 outside the brain
        :param cbv: (Z, Y, X) in the same unit
        :param brain_mean: of `cbv` over the brain
        """
        variance = (uncertainty * self.factor[:, None, None]) ** 2
        variance += (self.relative * cbv) ** 2 + (self.level * brain_mean) ** 2
        if self.place is not None:
            variance += (self.place * brain_mean) ** 2
        return np.where(uncertainty > 0, np.sqrt(variance), 0).astype(np.float32)


def bridge_weights(damaged: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """What is put in the place of damaged frames: a cubic through the two nearest good ones on either side.

    :param damaged: (T,) bool
    :returns: by damaged frame, the frames it is made of, and their weights
    """
    good = np.flatnonzero(~damaged)
    bridges: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for frame in np.flatnonzero(damaged):
        sooner: np.ndarray = good[good < frame][-2:]
        later: np.ndarray = good[good > frame][:2]
        if not len(sooner) or not len(later):
            nearest = later if len(later) else sooner
            if len(nearest):
                bridges[int(frame)] = (nearest, np.full(len(nearest), 1 / len(nearest)))
            continue
        ends = np.concatenate([sooner, later]) if len(sooner) + len(later) == 4 else np.array([sooner[-1], later[0]])
        weights = np.array([np.prod([(frame - b) / (a - b) for b in ends if b != a]) for a in ends])
        bridges[int(frame)] = (ends, weights)
    return bridges


def bridged(signal: np.ndarray, damaged: np.ndarray) -> np.ndarray:
    """The series with damaged frames and slices bridged.

    :param signal: (T, Z, Y, X) float32
    :param damaged: (Z, T) bool
    :returns: a copy
    """
    result = signal.copy()
    for z in np.flatnonzero(damaged.any(axis=1)):
        for frame, (ends, weights) in bridge_weights(damaged[z]).items():
            value = np.tensordot(weights.astype(np.float32), signal[ends, z], axes=1)
            # A cubic may go beyond its ends where a bolus is steep.
            np.clip(value, 0.5 * signal[ends, z].min(axis=0), None, out=value)
            result[frame, z] = value
    return result


def leveled(signal: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The series without steps and drift.

    :param signal: (T, Z, Y, X) float32
    :param curve: (T,) logarithm of the level
    :returns: a copy
    """
    return signal * np.exp(-curve).astype(np.float32)[:, None, None, None]


def noise_factor(damaged: np.ndarray, arrival: int, stop: int) -> np.ndarray:
    """(Z,) by how much noise grows where frames are bridged: in the sum over the first pass, or in a fit of all frames,
    whichever is more.

    :param damaged: (Z, T) bool
    """
    frames = damaged.shape[1]
    weights = np.zeros(frames)
    weights[arrival:stop] = 1.0
    weights[: max(arrival, 1)] = -(stop - arrival) / max(arrival, 1)
    factors = np.ones(len(damaged))
    for z in np.flatnonzero(damaged.any(axis=1)):
        new = weights.copy()
        for frame, (ends, shares) in bridge_weights(damaged[z]).items():
            new[ends] += weights[frame] * shares
            new[frame] = 0.0
        left = frames - np.count_nonzero(damaged[z])
        in_sum = np.sqrt((new**2).sum() / max((weights**2).sum(), 1e-12))
        factors[z] = max(in_sum, np.sqrt(frames / max(left, 1)))
    return factors


def doubt_of_bridges(damaged: np.ndarray, drop: np.ndarray, arrival: int, stop: int) -> float:
    """The share of a blood volume that bridged frames of the first pass may be off by.

    :param damaged: (Z, T) bool
    :param drop: (T,) -ln(S/S0) of the brain
    """
    passing = np.count_nonzero(damaged[:, arrival:stop], axis=1).max(initial=0)
    area = float(drop[arrival:stop].sum())
    return float(passing * _INTERPOLATION_ERROR * drop.max() / area) if area > 0 else 0.0


def doubt_of_level(error: float, drop: np.ndarray, arrival: int, stop: int) -> float:
    """What an error of the level makes of the area under the first pass, over the brain's mean area.

    :param error: of the level, as a logarithm
    """
    area = float(drop[arrival:stop].sum())
    return float((stop - arrival) * max(error, _LEVEL_ERROR) / area) if area > 0 else 0.0


def doubt_of_place(
    passage: np.ndarray, arrival: int, spacing: np.ndarray, outside: np.ndarray, area: float
) -> np.ndarray:
    """(Z, Y, X) what is left of motion at edges and small vessels, over the brain's mean blood volume.

    A voxel may still be beside its place by a tenth of a millimeter, which matters where brightness or blood changes
    from voxel to voxel; and what is smaller than a voxel was blurred when the frames were moved back.

    :param passage: (T, Z, Y, X) signal up to the end of the first pass
    :param arrival: frames before the bolus
    :param spacing: (3,) mm
    :param outside: (Z, Y, X) share of frames in which a voxel came from outside of the image
    :param area: of the brain's mean curve over the first pass
    """
    if not area > 0:
        return outside.astype(np.float32)
    reference = passage[:arrival].mean(axis=0)
    usable = reference > 0
    divisor = np.where(usable, reference, np.float32(1))
    volume = np.zeros(reference.shape, np.float32)
    for frame in passage[arrival:]:
        volume -= np.log(np.clip(frame / divisor, 0.02, 50))
    volume = np.where(usable, volume / np.float32(area), 0)
    steep = np.divide(_steepness(reference, spacing), reference, out=np.zeros(reference.shape), where=usable)
    change = np.clip(steep * _RESIDUAL_MOTION, 0, 1) * (len(passage) - arrival) / area
    blurred = _BLUR_LOSS * np.abs(volume - ndimage.gaussian_filter(volume, (0, _BLUR, _BLUR)))
    return (np.hypot(change, blurred) + _steepness(volume, spacing) * _RESIDUAL_MOTION + outside).astype(np.float32)


def _steepness(image: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(Z, Y, X) change per millimeter in the plane."""
    rows = np.gradient(image, axis=1) / spacing[1] if image.shape[1] > 1 else np.zeros(image.shape)
    columns = np.gradient(image, axis=2) / spacing[0] if image.shape[2] > 1 else np.zeros(image.shape)
    return np.hypot(rows, columns)
