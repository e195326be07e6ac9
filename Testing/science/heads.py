"""A head of nested ellipsoids, drawn for tests: volumes are known, and nothing has to be read."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.phantom import Anatomy
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.series import Grid

#: Half axes (z, y, x) in mm, from the outside in.
_LAYERS = (
    (Tissue.SCALP, (84.0, 98.0, 80.0)),
    (Tissue.BONE, (79.0, 93.0, 75.0)),
    (Tissue.FLUID, (72.0, 86.0, 68.0)),
    (Tissue.CORTEX, (69.0, 83.0, 65.0)),
    (Tissue.WHITE_RIGHT, (60.0, 74.0, 56.0)),
    (Tissue.DEEP_GRAY, (22.0, 30.0, 26.0)),
    (Tissue.VENTRICLE, (14.0, 24.0, 10.0)),
)


def ellipsoid_head(voxel: float = 1.5) -> Anatomy:
    """Scalp, bone, fluid, cortex, white matter of two sides, deep gray matter, ventricle."""
    count = int(200 / voxel)
    axis = (np.arange(count) - (count - 1) / 2) * voxel
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    tissue = np.zeros((count, count, count), dtype=np.uint8)
    for kind, (a, b, c) in _LAYERS:
        tissue[(z / a) ** 2 + (y / b) ** 2 + (x / c) ** 2 < 1] = kind
    left = np.broadcast_to(x > 0, tissue.shape)  # columns run from the patient's right to left
    tissue[(tissue == Tissue.WHITE_RIGHT) & left] = Tissue.WHITE_LEFT
    grid = Grid.from_lps(tissue.shape, [axis[0]] * 3, [voxel] * 3, np.eye(3))
    return Anatomy(tissue, grid, "ellipsoids")


def ball(anatomy: Anatomy, center: tuple[float, float, float], radius: float) -> np.ndarray:
    """(Z, Y, X) bool: a ball around `center` (z, y, x), mm from the middle of the head."""
    spacing = anatomy.grid.spacing[::-1]
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(anatomy.tissue.shape, spacing, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 < radius**2
