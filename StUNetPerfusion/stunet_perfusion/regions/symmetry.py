"""The plane of symmetry of a head, found in its image, and what lies on the other side of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, optimize

from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

#: Voxels of about this size are enough to find the plane to a fraction of a degree, mm.
_COARSE_VOXEL = 4.0

#: Differences finer than this are anatomy of one side, not symmetry, mm.
_SMOOTHING = 4.0

#: The plane is looked for within these angles, degrees, and this distance from the brain's center, mm.
_LARGEST_ANGLE = 25.0
_LARGEST_SHIFT = 25.0

#: So much of the brain and its surroundings has to lie opposite to something, or there is little to be compared.
_LEAST_SHARE = 0.5

#: A brain that agrees less with its mirror image has no plane that is worth using.
SMALLEST_AGREEMENT = 0.5


@dataclass(frozen=True, eq=False)
class SymmetryPlane:
    """A plane between the two sides of a head.

    :param normal: (3,) unit vector in RAS; its first component is positive, so that it points to the patient's right
    :param offset: of the plane from the origin along the normal, mm
    :param agreement: correlation of the image with its mirror image over the brain, -1 to 1
    """

    normal: np.ndarray
    offset: float
    agreement: float = 1.0

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(n,) mm from the plane, positive on the patient's right. Points are (n, 3) mm, RAS."""
        return points @ self.normal - self.offset

    def mirrored(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) the same points on the other side."""
        return points - 2 * self.distance(points)[:, None] * self.normal

    def turned(self, degrees: float, shift: float, center: np.ndarray) -> SymmetryPlane:
        """The plane turned about the axis of the body through a point, and shifted to the patient's right.

        :param degrees: from above, counterclockwise
        :param shift: mm
        :param center: (3,) RAS, mm
        """
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        normal = turn @ self.normal
        distance = float(self.normal @ center) - self.offset
        return replace(self, normal=normal, offset=float(normal @ center) - distance + shift)


def find_symmetry_plane(image: np.ndarray, brain: np.ndarray, grid: Grid) -> SymmetryPlane:
    """The plane about which an image of the brain agrees best with its own mirror image.

    :param image: (Z, Y, X) any contrast, for example the signal before the bolus
    :param brain: (Z, Y, X) bool
    :param grid: of both
    :raises InputError: the image does not agree with any mirror image of itself
    """
    volume = _Coarse.of(image, brain, grid)

    def disagreement(parameters: np.ndarray) -> float:
        return -volume.agreement(_plane(parameters, volume.center))

    starts = [(turn, 0.0, shift) for turn in (-12.0, -6.0, 0.0, 6.0, 12.0) for shift in (-8.0, 0.0, 8.0)]
    best = min(starts, key=lambda start: disagreement(np.array(start)))
    found = optimize.minimize(
        disagreement,
        np.array(best),
        method="Nelder-Mead",
        options={"xatol": 0.05, "fatol": 1e-5, "maxfev": 200, "initial_simplex": _simplex(best)},
    )
    plane = _plane(found.x, volume.center)
    agreement = -float(found.fun)
    if agreement < SMALLEST_AGREEMENT:
        raise InputError(
            "plane of symmetry",
            f"is not found: the brain agrees with its mirror image to {agreement:.2f} only, and not to "
            f"{SMALLEST_AGREEMENT:g}",
            "check the brain mask, or draw the region of the other side by hand",
        )
    return replace(plane, agreement=agreement)


def mirrored_region(region: np.ndarray, grid: Grid, plane: SymmetryPlane) -> np.ndarray:
    """The same region on the other side of a plane.

    Every voxel is true whose mirror image lies in the region (nearest voxel), so that no holes appear.

    :param region: (Z, Y, X) bool
    :returns: (Z, Y, X) bool; empty where the other side lies outside of the grid
    """
    return mirrored_image(region.astype(np.float32), grid, plane, order=0) > 0.5


def mirrored_image(image: np.ndarray, grid: Grid, plane: SymmetryPlane, order: int = 1) -> np.ndarray:
    """An image seen in the mirror: every voxel has the value of the place opposite to it.

    :param image: (Z, Y, X)
    :param order: of the spline between voxels; 0 takes the nearest
    :returns: (Z, Y, X) float32; 0 where the opposite place lies outside of the grid
    """
    voxels = _mirrored_voxels(grid, plane)
    values = image.astype(np.float32, copy=False)
    return ndimage.affine_transform(values, voxels[:3, :3], voxels[:3, 3], order=order, mode="grid-constant", cval=0.0)


def places(grid: Grid) -> np.ndarray:
    """(Z, Y, X, 3) float64 RAS of every voxel, mm."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    return np.stack([i, j, k], axis=-1) @ grid.ijk_to_ras[:3, :3].T + grid.ijk_to_ras[:3, 3]


@dataclass(frozen=True, eq=False)
class _Coarse:
    """An image whose voxels are large and whose brightness is smooth."""

    image: np.ndarray
    places: np.ndarray
    values: np.ndarray
    grid: Grid
    center: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, brain: np.ndarray, grid: Grid) -> _Coarse:
        spacing = grid.spacing[::-1]
        step = np.maximum(np.round(_COARSE_VOXEL / spacing), 1).astype(int)
        inside = np.where(brain, image, 0).astype(np.float32)
        level = float(np.median(image[brain]))
        inside = np.clip(inside / level if level > 0 else inside, 0, 3)
        sigma = _SMOOTHING / 2.355 / spacing
        smooth = ndimage.gaussian_filter(inside, (0, *sigma[1:]))[:: step[0], :: step[1], :: step[2]]
        share = ndimage.gaussian_filter(brain.astype(np.float32), (0, *sigma[1:]))[:: step[0], :: step[1], :: step[2]]
        matrix = grid.ijk_to_ras.copy()
        matrix[:3, :3] *= step[::-1]
        coarse = Grid(smooth.shape, matrix)
        around = ndimage.binary_dilation(share > 0.05, np.ones((1, 3, 3)), iterations=2)
        center = np.average(places(coarse).reshape(-1, 3), axis=0, weights=share.ravel())
        return cls(smooth, np.argwhere(around).astype(float), smooth[around], coarse, center)

    def agreement(self, plane: SymmetryPlane) -> float:
        """Correlation with the mirror image over the brain and what is around it: the outline of the brain counts, too.
        What lies opposite to nothing of the image is left out.
        """
        voxels = _mirrored_voxels(self.grid, plane)
        there = self.places @ voxels[:3, :3].T + voxels[:3, 3]
        known = ((there >= 0) & (there <= np.array(self.image.shape) - 1)).all(axis=1)
        if np.count_nonzero(known) < _LEAST_SHARE * len(known):
            return -1.0
        x = self.values[known]
        y = ndimage.map_coordinates(self.image, there[known].T, order=1)
        x, y = x - x.mean(), y - y.mean()
        size = float(np.linalg.norm(x) * np.linalg.norm(y))
        return float(x @ y) / size if size else 0.0


def _mirrored_voxels(grid: Grid, plane: SymmetryPlane) -> np.ndarray:
    """(4, 4) from a voxel (k, j, i) to the one opposite to it."""
    reflection = np.eye(4)
    reflection[:3, :3] -= 2 * np.outer(plane.normal, plane.normal)
    reflection[:3, 3] = 2 * plane.offset * plane.normal
    voxels = np.linalg.inv(grid.ijk_to_ras) @ reflection @ grid.ijk_to_ras
    turned = np.eye(4)
    # From (i, j, k) to (k, j, i), the order of arrays.
    turned[:3, :3], turned[:3, 3] = voxels[:3, :3][::-1, ::-1], voxels[:3, 3][::-1]
    return turned


def _plane(parameters: np.ndarray, center: np.ndarray) -> SymmetryPlane:
    """:param parameters: degrees about the body's axis, degrees about the axis from back to front, mm to the right"""
    turn, tilt = np.deg2rad(np.clip(parameters[:2], -_LARGEST_ANGLE, _LARGEST_ANGLE))
    normal = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
    shift = float(np.clip(parameters[2], -_LARGEST_SHIFT, _LARGEST_SHIFT))
    return SymmetryPlane(normal, float(normal @ center) + shift)


def _simplex(start: tuple[float, float, float]) -> np.ndarray:
    return np.array(start) + np.vstack([np.zeros(3), np.diag([4.0, 4.0, 4.0])])
