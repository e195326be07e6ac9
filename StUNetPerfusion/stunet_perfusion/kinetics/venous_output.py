"""The venous output, which corrects the artery's partial volume.

An artery of the brain is thinner than a voxel, so that its curve holds tissue, and its area is too small. The superior
sagittal sinus is wide; the same blood leaves through it, and its area is that of a whole voxel of blood. Areas are
therefore taken from the vein (Knutsson 2007, J Magn Reson Imaging 26:913), by the factor

    area under the artery's curve / area under the vein's curve.

Voxels of the vein are those in and close around the brain with the largest areas whose curves come later than the
artery's, and whose signal does not fall to the noise.

Blood in wide vessels changes relaxation less than the same blood in capillaries does (Kjolby 2006, Magn Reson Med
56:187). That ratio is a constant here, and the largest error of what is called absolute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.kinetics.aif import ArterialInput
from stunet_perfusion.kinetics.concentration import baseline_signal, concentration
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.voxels import voxels_inside

#: Relaxivity of blood in wide vessels over that of blood in tissue, 0.16 to 0.24 in the phantoms.
BLOOD_RELAXIVITY = 0.2

#: The vein's curve is the mean of so many voxels.
_VOXELS = 12
_FEWEST_VOXELS = 4

#: It lies in the brain or so close to it, mm.
_REACH = 10.0

#: The center of gravity of its curve is later than the artery's by this at least, s: blood takes 4 to 8 s through the
#: brain, and tissue lies between.
_LATER = 1.0

#: Where the signal falls below this share of its baseline, noise has taken the peak.
_LOWEST_SIGNAL = 0.03

_AIR = 0.1


@dataclass(frozen=True, eq=False)
class VenousOutput:
    """A vein.

    :param curve: (T,) delta R2*
    :param voxels: (Z, Y, X) bool
    :param factor: that CBV relative to the artery is multiplied by to be relative to the vein; at most 1
    """

    curve: np.ndarray
    voxels: np.ndarray
    factor: float

    @property
    def note(self) -> str:
        """One sentence for people, with the error."""
        return (
            f"Absolute values: the artery's partial volume was corrected by a vein (mean of {int(self.voxels.sum())} "
            f"voxels, factor {self.factor:.2f}), and blood in vessels was taken to have {BLOOD_RELAXIVITY:g} of the "
            "relaxivity of blood in tissue; on 24 phantoms CBV came out 7 % too low with a standard deviation of 18 %, "
            "and in patients the error is unknown."
        )


def find_venous_output(prepared: PreparedSeries, aif: ArterialInput, baseline_frames: int) -> VenousOutput:
    """Find a vein.

    :param aif: of the same series
    :param baseline_frames: frames that S0 is the mean of
    :raises InputError: no curve is later than the artery's and larger, so that absolute values cannot be had
    """
    series, brain = prepared.series, prepared.brain
    spacing = series.grid.spacing
    near = np.stack([ndimage.distance_transform_edt(~image, sampling=spacing[1::-1]) <= _REACH for image in brain])
    near[~brain.any(axis=(1, 2))] = False
    level = float(np.median(baseline_signal(series.signal, baseline_frames)[brain]))
    places: list[np.ndarray] = []
    curves: list[np.ndarray] = []
    moment = _center(aif.curve[:, None], series.times)[0]
    for z in np.flatnonzero(near.any(axis=(1, 2))):
        signal = voxels_inside(series.signal[:, z], near[z])
        baseline = baseline_signal(signal, baseline_frames)
        found = np.nan_to_num(concentration(signal, baseline, series.echo_time))
        usable = (baseline > _AIR * level) & (signal.min(axis=0) > _LOWEST_SIGNAL * baseline)
        usable &= _center(found, series.times) > moment + _LATER
        where = np.flatnonzero(usable)
        where = where[np.argsort(found[:, where].sum(axis=0))[-_VOXELS:]]
        places.append(np.flatnonzero(near[z])[where] + z * near[z].size)
        curves.append(found[:, where])
    voxels, all_curves = (
        np.concatenate(places or [np.empty(0, int)]),
        np.concatenate(curves or [aif.curve[:, :0]], axis=1),
    )
    best = np.argsort(all_curves.sum(axis=0))[-_VOXELS:] if len(voxels) else np.empty(0, int)
    area = float(all_curves[:, best].mean(axis=1).sum()) if len(best) else 0.0
    if len(best) < _FEWEST_VOXELS or area < aif.curve.sum():
        raise InputError(
            series.name,
            "shows no vein whose curve is larger than the artery's, so that its partial volume cannot be corrected",
            "leave the maps relative, which nCBV is; or give an arterial input that has no partial volume",
            Setting.AIF,
        )
    mask = np.zeros(brain.shape, bool)
    mask.flat[voxels[best]] = True
    curve = all_curves[:, best].mean(axis=1, dtype=np.float64)
    return VenousOutput(curve, mask, float(aif.curve.sum() / curve.sum()))


def _center(curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,) s, the center of gravity of (T, n) curves, what is below 0 left out."""
    positive = np.maximum(curves, 0)
    total = positive.sum(axis=0)
    seconds = (times - times[0])[:, None]
    return np.divide((seconds * positive).sum(axis=0), total, out=np.zeros(total.shape), where=total > 0)
