"""Brain stem and cerebellum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.phantom.drawn.canvas import SIZE, Canvas, large_field
from stunet_perfusion.phantom.drawn.shapes import ball_chain, distance_from, ellipsoid, joined

#: The brain stem: z, y of its middle, half width and half depth. Midbrain, pons, medulla, cord.
_STEM = (
    (2, -24, 11, 8),
    (-8, -24, 15, 10),
    (-16, -25, 14, 11),
    (-24, -26, 16, 13),
    (-33, -27, 17, 13.5),
    (-42, -31, 14, 12),
    (-50, -37, 10, 8),
    (-62, -42, 8.5, 7),
    (-80, -46, 6.5, 5.5),
    (-120, -48, 6, 5),
)
_STEM_TOP = 1.0

#: From the pons to the white matter of the cerebellum: x, y, z, radius.
_PEDUNCLE = [(12, -32, -32, 6.0), (18, -42, -34, 6.0), (24, -52, -35, 6.0)]

#: The cerebellum is this far below the tentorium, mm.
_UNDER_TENTORIUM = 2.0

#: From fissure to fissure of the cerebellum, how deep they go, half their width, and how thick its cortex is, mm.
_FOLIA = 8.0
_FOLIA_DEPTH = 7.0
_HALF_WIDTH = 0.5
_CORTEX = 2.4


@dataclass(frozen=True, eq=False)
class Hindbrain:
    """Arrays are (Z, Y, X).

    :param hull: mm from the smooth hull of cerebellum and brain stem, negative inside
    :param gray: cortex of the cerebellum: bool
    :param white: its white matter: bool
    :param stem: brain stem: bool
    """

    hull: np.ndarray
    gray: np.ndarray
    white: np.ndarray
    stem: np.ndarray


def shape_hindbrain(canvas: Canvas, tentorium: np.ndarray, generator: np.random.Generator) -> Hindbrain:
    """Draw them.

    :param tentorium: (Z, Y, X) mm from the space below the tentorium, negative inside
    """
    stem = _brain_stem(canvas)
    cerebellum = _cerebellum(canvas, tentorium)
    gray, white = _folia(canvas, cerebellum, generator)
    peduncles = ball_chain(canvas, _PEDUNCLE) | ball_chain(canvas, [(-x, *rest) for x, *rest in _PEDUNCLE])
    return Hindbrain(
        hull=joined(cerebellum, stem, 10),
        gray=gray & ~peduncles,
        white=white | peduncles,
        stem=stem < 0,
    )


def _brain_stem(canvas: Canvas) -> np.ndarray:
    """Distance from midbrain, pons, medulla and cord, mm."""
    z, y, width, depth = np.array(_STEM[::-1], dtype=np.float32).T
    middle, a, b = (np.interp(canvas.z, z, values).astype(np.float32) for values in (y, width, depth))
    radius = np.sqrt((canvas.x / a) ** 2 + ((canvas.y - middle) / b) ** 2)
    return SIZE * np.maximum(np.minimum(a, b) * (radius - 1), canvas.z - _STEM_TOP)


def _cerebellum(canvas: Canvas, tentorium: np.ndarray) -> np.ndarray:
    """Distance from its smooth hull, mm; it reaches into the brain stem."""
    hemispheres = ellipsoid(canvas.folded, (26, -66, -36), (29, 29, 23), pitch=8, yaw=-12)
    vermis = ellipsoid(canvas, (0, -61, -27), (15, 27, 26))
    front = ellipsoid(canvas, (0, -56, -22), (27, 18, 19), pitch=-15)
    return np.maximum(joined(joined(hemispheres, vermis, 6), front, 6), tentorium + _UNDER_TENTORIUM)


def _folia(canvas: Canvas, hull: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gray and white matter of the cerebellum: fissures run around the stem, white matter branches between them.

    :returns: both (Z, Y, X) bool; the rest of the hull is fluid
    """
    around = SIZE * np.sqrt((canvas.y + 40) ** 2 + (1.1 * (canvas.z + 30)) ** 2 + 0.35 * canvas.x**2)
    phase = around + 2.2 * large_field(canvas.shape, 14.0, generator)
    from_fissure = np.abs((phase / _FOLIA) % 1 - 0.5) * _FOLIA
    brain = (hull < 0) & ~((from_fissure < _HALF_WIDTH) & (hull > -_FOLIA_DEPTH))
    gray = brain & (-distance_from(brain) < _CORTEX)
    return gray, brain & ~gray
