"""Folds: sulci that follow random waves over the surface, and the ribbon of gray matter along them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom.drawn.canvas import SIZE, VOXEL, Canvas, large_field, random_waves
from stunet_perfusion.phantom.drawn.shapes import distance_from
from stunet_perfusion.phantom.drawn.sulci import named_sulci

#: From a sulcus to the next but one, mm.
WAVELENGTH = 36.0
_WAVELENGTH_SPREAD = 0.16

#: Sulci go this deep, mm, differently from place to place: shallow ones end, deep ones reach far in.
_DEPTH = 10.0
_DEPTH_VARIATION = 5.0
_DEEPEST = 22.0
_NAMED_DEPTH = 8.0  # named ones are deeper by so much

#: Finer dimples between them.
_DIMPLE_WAVELENGTH = 26.0
_DIMPLE_DEPTH = 2.5

#: Named sulci are as crooked as others, mm.
_WOBBLE = 3.0

#: Sulci stand upright on the surface, but not quite: this share of the way down they follow it.
_UPRIGHT = 0.8

#: Half the width of a sulcus at its bottom, and how much it opens towards the surface, mm.
_HALF_WIDTH = 0.48
_OPENING = 0.45

#: The ribbon of gray matter, mm.
_THICKNESS = 2.3
_THICKNESS_VARIATION = 0.25


def fold(
    canvas: Canvas,
    surface: np.ndarray,
    middle: np.ndarray,
    kept_clear: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Fold the cortex of a cerebrum.

    :param surface: (Z, Y, X) mm from the hull with its fissures, negative inside
    :param middle: (Z, Y, X) mm from the body that the corpus callosum arches over
    :param kept_clear: (Z, Y, X) mm from what no sulcus may reach: ventricles and deep nuclei
    :returns: gray and white matter, both (Z, Y, X) bool; the rest of the hull is fluid
    """
    hull = surface < 0
    depth = -distance_from(hull)
    fluid = ~hull | _sulci(canvas, depth, middle, kept_clear, generator)
    # what is left on its own between sulci is no brain
    brain = _largest_part(~fluid)
    thickness = _THICKNESS + _THICKNESS_VARIATION * large_field(canvas.shape, 18.0, generator)
    gray = brain & (-distance_from(brain) < thickness)
    return gray, brain & ~gray


def _sulci(
    canvas: Canvas,
    depth: np.ndarray,
    middle: np.ndarray,
    kept_clear: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """(Z, Y, X) bool: fluid in the sulci.

    Sulci are where waves are zero. The waves are read not where a voxel is but near the point of the surface above
    it, so that sulci go down into the hemisphere.
    """
    shell = (depth > -3) & (depth < _DEEPEST + 3)
    above = _points_of_surface(canvas, depth, shell)
    wobble = _WOBBLE * large_field(canvas.shape, 14.0, generator)[shell]
    guide, weight = named_sulci(above, middle[shell], wobble, WAVELENGTH)
    # both sides of the midline have folds of their own
    points = np.stack([above.x + np.where(above.x > 0, 103, 0), above.y, above.z]).astype(np.float32) * SIZE
    waves = random_waves(WAVELENGTH, _WAVELENGTH_SPREAD, generator).at(points)
    waves += weight * (guide - 0.7 * waves)
    dimples = random_waves(_DIMPLE_WAVELENGTH, 0.2, generator).at(points)
    reach = _DEPTH + _DEPTH_VARIATION * large_field(canvas.shape, 20.0, generator)
    reach[shell] += _NAMED_DEPTH * weight
    reach = np.minimum(np.clip(reach, 1, _DEEPEST), depth + kept_clear - 3.5)
    half_width = _HALF_WIDTH + _OPENING * np.exp(-np.maximum(depth, 0) / 3)
    sulci = np.zeros(canvas.shape, dtype=bool)
    for pattern, deepest in ((waves, reach), (dimples, np.minimum(reach - 2, _DIMPLE_DEPTH))):
        values = np.full(canvas.shape, 9, dtype=np.float32)
        values[shell] = pattern
        slope = np.sqrt(sum(part**2 for part in np.gradient(values, VOXEL)))
        sulci |= shell & (np.abs(values) < half_width * slope) & (depth < deepest)
    return sulci


def _points_of_surface(canvas: Canvas, depth: np.ndarray, shell: np.ndarray) -> Canvas:
    """Where the voxels of the shell look for the waves: coordinates are (V,)."""
    smooth = ndimage.gaussian_filter(depth, 1.5 / VOXEL)
    slopes = np.gradient(smooth, VOXEL)
    length = np.sqrt(sum(slope**2 for slope in slopes))
    outwards = np.float32(-_UPRIGHT / SIZE) * depth / np.maximum(length, np.float32(0.5))
    # x and y fall along their axes
    z, y, x = (
        axis[shell] + sign * (outwards * slope)[shell]
        for axis, sign, slope in zip((canvas.z, canvas.y, canvas.x), (1, -1, -1), slopes, strict=True)
    )
    return Canvas(x, y, z, canvas.grid)


def _largest_part(solid: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(solid)
    if count < 2:
        return solid
    return parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
