"""Rigid registration of an anatomic image (T1 after contrast, FLAIR, T2) to the baseline of a series.

Both show one head, in other contrasts: what is alike is how well the gray value of the one foretells that of the other,
mutual information (Mattes 2003, IEEE Trans Med Imaging 22:120; Viola and Wells 1997). Both are usually scanned in one
session and share a frame of reference, so that the search starts from where the headers say they are, at a coarse
resolution first. Samples are taken in the brain and close around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

#: Fewer slices do not tell how a head is tilted.
FEWEST_SLICES = 3

#: Headers of one session agree to far less than this; what is further away is another patient, or has lost its place.
LARGEST_SHIFT = 40.0
LARGEST_TURN = 25.0

#: At least this share of the brain has to lie within the anatomic image.
LEAST_OVERLAP = 0.3

#: Where both images are of one head, mutual information falls when the one is shifted by this distance, mm, by at least
#: this factor.
_DISPLACEMENT = 12.0
_LEAST_GAIN = 1.3

_BINS = 32
_SAMPLES = 0.3
#: Tissue around the brain that is looked at, too, mm.
_MARGIN = 8.0


@dataclass(frozen=True, eq=False)
class AnatomyRegistration:
    """Where the anatomic image lies.

    :param to_anatomy: (4, 4) from a place in the series to the same place in the anatomic image, RAS, mm
    :param turn: degrees
    :param shift: mm, of the brain's center
    :param similarity: mutual information, and that of the images shifted against each other
    :param note: one sentence for people
    """

    to_anatomy: np.ndarray
    turn: float
    shift: float
    similarity: tuple[float, float]
    note: str

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "to_anatomy_ras": self.to_anatomy.tolist(),
            "turn_degrees": self.turn,
            "shift_mm": self.shift,
            "mutual_information": self.similarity[0],
            "mutual_information_displaced": self.similarity[1],
        }


def as_the_headers_say() -> AnatomyRegistration:
    """No registration: both images share a frame of reference."""
    return AnatomyRegistration(np.eye(4), 0.0, 0.0, (0.0, 0.0), "The anatomy was taken where its header says.")


def register_anatomy(
    baseline: np.ndarray, brain: np.ndarray, grid: Grid, anatomy: np.ndarray, anatomy_grid: Grid, name: str = "anatomy"
) -> AnatomyRegistration:
    """Find where an anatomic image lies. Takes seconds.

    :param baseline: (Z, Y, X) signal of the series before the bolus
    :param brain: (Z, Y, X) bool
    :param anatomy: (K, J, I) the anatomic image
    :param name: what messages call it
    :raises InputError: too few slices, a constant image, no overlap, or images that do not match
    """
    check_anatomy(brain, grid, anatomy, anatomy_grid, name)
    fixed, moving = _image(_even(baseline), grid), _image(_even(anatomy), anatomy_grid)
    around = ndimage.distance_transform_edt(~brain, sampling=grid.spacing[::-1]) <= _MARGIN
    mask = _image(around.astype(np.uint8), grid)
    center = grid.ijk_to_ras @ np.append(np.argwhere(brain).mean(axis=0)[::-1], 1)
    start = sitk.Euler3DTransform()
    start.SetCenter((_RAS_TO_LPS @ center)[:3].tolist())
    method = _method(mask)
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:
        raise _no_match(name) from None
    matrix = _ras_matrix(found)
    turn, shift = _size(matrix, center)
    if turn > LARGEST_TURN or shift > LARGEST_SHIFT:
        raise _no_match(name, f"only after a turn by {turn:.0f} degrees and a shift by {shift:.0f} mm")
    similarity = _similarity(fixed, moving, mask, matrix)
    if similarity[0] < _LEAST_GAIN * similarity[1]:
        raise _no_match(name)
    note = f"The anatomy was registered: turned by {turn:.1f} degrees, shifted by {shift:.1f} mm; please check it."
    return AnatomyRegistration(matrix, turn, shift, similarity, note)


def check_anatomy(brain: np.ndarray, grid: Grid, anatomy: np.ndarray, anatomy_grid: Grid, name: str) -> None:
    """Refuse what cannot be laid under a map.

    :raises InputError: too few slices, a constant image, or no overlap
    """
    if min(anatomy.shape) < FEWEST_SLICES:
        count = min(anatomy.shape)
        raise InputError(
            name, f"has {count} {'slice' if count == 1 else 'slices'}, and {FEWEST_SLICES} are needed", "give a volume"
        )
    if not np.isfinite(anatomy).all() or not np.ptp(anatomy) > 0:
        raise InputError(name, "is the same everywhere, or not a number", "export the image again")
    overlap = _share_inside(brain, grid, anatomy_grid)
    if overlap < LEAST_OVERLAP:
        raise InputError(
            name,
            f"covers {100 * overlap:.0f} % of the brain in the series",
            "check that both are of one patient and session, and that the image kept its position in space",
        )


def on_anatomy(
    values: np.ndarray, grid: Grid, registration: AnatomyRegistration, anatomy_grid: Grid, *, nearest: bool = False
) -> np.ndarray:
    """A map in the voxels of the anatomic image; 0 where the series has none.

    :param values: (Z, Y, X) on the grid of the series
    :param nearest: take the nearest voxel, as masks and labels need it; else the three-linear mean of neighbors
    :returns: (K, J, I) float32
    """
    from_anatomy = np.linalg.inv(registration.to_anatomy)
    voxels = np.linalg.inv(grid.ijk_to_ras) @ from_anatomy @ anatomy_grid.ijk_to_ras
    matrix, shift = voxels[:3, :3][::-1, ::-1], voxels[:3, 3][::-1]
    # A slice is as thick as the distance to the next: half a voxel beyond the last center still belongs to it.
    padded = np.pad(values.astype(np.float32), 1, mode="edge")
    order = 0 if nearest else 1
    moved = ndimage.affine_transform(padded, matrix, shift + 1, anatomy_grid.shape, order=order, mode="nearest")
    inside = ndimage.affine_transform(
        np.pad(np.ones(values.shape, np.float32), 1), matrix, shift + 1, anatomy_grid.shape, order=1, mode="constant"
    )
    return np.where(inside >= 0.5, moved, 0).astype(np.float32)


_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _method(mask: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SAMPLES)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.01, numberOfIterations=150, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _similarity(fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, matrix: np.ndarray) -> tuple[float, float]:
    """Mutual information where the image was found, and the largest of four places around."""

    def at(shift: tuple[float, float, float]) -> float:
        displaced = matrix.copy()
        displaced[:3, 3] += shift
        method = _method(mask)
        method.SetInitialTransform(_transform(displaced))
        return -float(method.MetricEvaluate(fixed, moving))

    d = _DISPLACEMENT
    return at((0, 0, 0)), max(at(shift) for shift in ((d, 0, 0), (-d, 0, 0), (0, d, 0), (0, -d, 0)))


def _no_match(name: str, how: str = "nowhere better than shifted") -> InputError:
    return InputError(
        name,
        f"matches the series {how}",
        "check that both are of one patient, or take it where its header says",
    )


def _even(image: np.ndarray) -> np.ndarray:
    """Without the brightest hundredth, so that vessels and fat do not take up all bins."""
    return np.clip(image, 0, np.percentile(image, 99.0)).astype(np.float32)


def _image(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(grid.lps_origin.tolist())
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection(grid.lps_direction.ravel().tolist())
    return image


def _ras_matrix(transform: sitk.Transform) -> np.ndarray:
    """(4, 4) of a rigid transform, in RAS."""
    points = np.vstack([np.zeros(3), np.eye(3)])
    moved = np.array([transform.TransformPoint(point.tolist()) for point in points])
    lps = np.eye(4)
    lps[:3, 3], lps[:3, :3] = moved[0], (moved[1:] - moved[0]).T
    return _RAS_TO_LPS @ lps @ _RAS_TO_LPS


def _transform(ras: np.ndarray) -> sitk.AffineTransform:
    lps = _RAS_TO_LPS @ ras @ _RAS_TO_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def _size(matrix: np.ndarray, center: np.ndarray) -> tuple[float, float]:
    """Degrees of the rotation, and mm by which the center moves."""
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), float(np.linalg.norm((matrix @ center - center)[:3]))


def _share_inside(brain: np.ndarray, grid: Grid, other: Grid) -> float:
    """Share of the brain's voxels that lie within another grid."""
    ijk = np.argwhere(brain)[:: max(int(brain.sum() // 20_000), 1), ::-1]
    places = np.c_[ijk, np.ones(len(ijk))] @ (np.linalg.inv(other.ijk_to_ras) @ grid.ijk_to_ras).T
    size = np.array(other.shape[::-1])
    inside = ((places[:, :3] >= -0.5) & (places[:, :3] <= size - 0.5)).all(axis=1)
    return float(inside.mean())
