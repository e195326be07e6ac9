"""The outer form of the cerebrum: two hemispheres, their lobes, and the fissures between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.phantom.drawn.canvas import SIZE, Canvas, large_field
from stunet_perfusion.phantom.drawn.shapes import ellipsoid, joined, true_distance, without

#: Half the width of the fissures, mm.
_BETWEEN_HEMISPHERES = 1.0
_SYLVIAN = 0.8
_OVER_INSULA = 1.2

#: Middle of the insula (x, y, z), half its length and height, and how far it bulges.
_INSULA = (40.0, 3.0, 3.0)
_INSULA_SIZE = (25.0, 17.0)
_INSULA_BULGE = 4.0

#: The Sylvian fissure rises backwards by this slope, and is not quite straight, mm.
_SYLVIAN_SLOPE = -0.42
_SYLVIAN_WOBBLE = 2.5

#: The tentorium falls backwards and to the sides by these slopes.
_TENTORIUM_BACK = 0.34
_TENTORIUM_SIDE = 0.48


@dataclass(frozen=True, eq=False)
class Cerebrum:
    """Distances in mm, negative inside, (Z, Y, X) float32.

    :param envelope: from the smooth hull over all gyri, before fissures are cut
    :param surface: from the hull after fissures are cut
    :param middle: from what joins the hemispheres: corpus callosum and all below it
    :param tentorium: from the space below the tentorium
    """

    envelope: np.ndarray
    surface: np.ndarray
    middle: np.ndarray
    tentorium: np.ndarray


def shape_cerebrum(canvas: Canvas, generator: np.random.Generator) -> Cerebrum:
    """Hemispheres with frontal, temporal and occipital poles, cut by fissures."""
    both = canvas.folded
    temporal = joined(
        ellipsoid(both, (44.5, -10, -18), (19.5, 36, 22), pitch=-12, yaw=-6),
        ellipsoid(both, (46, -40, -8), (20, 34, 20), pitch=-10),
        8,
    )
    cisterns = joined(
        ellipsoid(canvas, (0, -20, -24), (20, 25, 17)),
        ellipsoid(canvas, (0, 8, -27), (17, 16, 13)),
        6,
    )
    tentorium = _below_tentorium(canvas)
    # in front of its edge the space below the tentorium is open to the cisterns
    behind_edge = SIZE * (canvas.y + 43 - 0.1 * both.x)
    below = -joined(-tentorium, -behind_edge, 8)
    envelope = without(without(joined(_body(canvas), temporal, 5), below, 5), cisterns, 5)
    middle = _midline_body(canvas)
    wobble = _SYLVIAN_WOBBLE * large_field(canvas.shape, 16.0, generator)
    fissures = np.minimum(_between_hemispheres(canvas, middle), _sylvian(both, wobble))
    return Cerebrum(envelope, without(envelope, fissures, 1), middle, tentorium)


def _body(canvas: Canvas) -> np.ndarray:
    """Frontal, parietal and occipital lobes: round above, flat below."""
    # the forehead slopes, and the brain is widest behind its middle
    y = canvas.y + 16 + 0.10 * np.maximum(canvas.z - 10, 0)
    x = np.abs(canvas.x) / (70 - 0.04 * np.clip(y, -40, 90))
    z = canvas.z - 11
    flat = (x**2.3 + np.abs(y / 88) ** 2.3) ** (1 / 2.3)
    above = np.sqrt(flat**2 + (z / 68) ** 2) - 1
    below = (flat**3 + np.abs(z / 32) ** 3) ** (1 / 3) - 1
    return true_distance(np.where(z > 0, above, below).astype(np.float32))


def _midline_body(canvas: Canvas) -> np.ndarray:
    """Distance from the body that the corpus callosum arches over: an ellipse from the side, the same at every x."""
    cos, sin = np.cos(np.radians(-8)), np.sin(np.radians(-8))
    y, z = canvas.y + 5, canvas.z - 3
    y, z = (cos * y + sin * z) / 42, (-sin * y + cos * z) / 26
    return (SIZE * 30 * (np.sqrt(y**2 + z**2) - 1)).astype(np.float32)


def _below_tentorium(canvas: Canvas) -> np.ndarray:
    """Distance from the space under the tentorium, which falls from its apex to the sides and back."""
    back = np.maximum(-46 - canvas.y, 0)
    side = np.sqrt(canvas.x**2 + 36) - 6
    height = 1 - _TENTORIUM_BACK * back - _TENTORIUM_SIDE * side
    steepness = np.sqrt(1 + _TENTORIUM_BACK**2 + _TENTORIUM_SIDE**2)
    return ((canvas.z - height) * (SIZE / steepness)).astype(np.float32)


def _between_hemispheres(canvas: Canvas, middle: np.ndarray) -> np.ndarray:
    """The fissure in the midline, down to the corpus callosum."""
    return without(SIZE * np.abs(canvas.x) - _BETWEEN_HEMISPHERES, middle, 1)


def _sylvian(both: Canvas, wobble: np.ndarray) -> np.ndarray:
    """The Sylvian fissure: the sheet over the insula, a cleft from there to the side, and the stem towards the middle.

    :param both: the canvas with both sides on the right
    """
    x, y, z = _INSULA
    length, height = _INSULA_SIZE
    along = both.y - y
    upwards = both.z - (z - 2 + 0.5 * _SYLVIAN_SLOPE * along)
    spread = np.sqrt((along / length) ** 2 + (upwards / height) ** 2)
    bulge = x + 1 - _INSULA_BULGE * spread**2
    insula = np.maximum(SIZE * np.abs(both.x - bulge) - _OVER_INSULA, SIZE * height * (spread - 1))

    line = z - 5 + _SYLVIAN_SLOPE * along + wobble
    steepness = np.float32(SIZE / np.sqrt(1 + _SYLVIAN_SLOPE**2))
    end = -38 + 0.25 * (70 - both.x)
    cleft = np.maximum.reduce(
        [steepness * np.abs(both.z - line) - _SYLVIAN, SIZE * (bulge - both.x), SIZE * (end - both.y)]
    )
    # in front of the insula the temporal pole is free
    low = np.minimum(line, -17 + 0.5 * np.maximum(both.x - 18, 0))
    stem = np.maximum.reduce(
        [steepness * np.abs(both.z - low) - _OVER_INSULA, SIZE * (4 - both.y), SIZE * (12 - both.x)]
    )
    return np.minimum.reduce([insula, cleft, stem])
