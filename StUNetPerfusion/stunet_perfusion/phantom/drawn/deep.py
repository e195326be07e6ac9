"""What lies in the middle of the brain: corpus callosum, ventricles, nuclei, choroid plexus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.phantom.drawn.canvas import Canvas
from stunet_perfusion.phantom.drawn.shapes import ball_chain, both_sides, ellipsoid, solid_ellipsoid

_Curve = list[tuple[float, float, float, float]]

# Curves are x, y, z and radius in the millimeters of the landmarks, on the patient's right.
_LATERAL_VENTRICLE: tuple[_Curve, ...] = (
    [
        (15, 35, 1, 3.0),  # frontal horn
        (11, 29, 5, 5.0),
        (8, 18, 11, 6.5),
        (8, 2, 17, 6.5),  # body
        (10, -15, 21, 6.5),
        (16, -29, 19, 7.0),
        (23, -39, 13, 8.0),  # trigone
    ],
    [(23, -39, 12, 7.5), (26, -52, 9, 5.0), (24, -64, 6, 3.0)],  # occipital horn
    [(24, -38, 10, 6.5), (32, -35, -2, 4.5), (36, -24, -11, 3.5), (35, -10, -18, 3.0)],  # temporal horn
)
_FORAMEN: _Curve = [(6.5, 2, 13, 2.0), (3, 0, 8, 1.8), (0, -3, 4, 1.8)]  # of Monro
_AQUEDUCT: _Curve = [(0, -27, 0, 1.3), (0, -31, -8, 1.3), (0, -36, -18, 1.5), (0, -40, -26, 2.5)]
_CAUDATE: _Curve = [
    (13, 23, -4, 5.5),  # head
    (15.5, 19, 5, 7.0),
    (17, 9, 12, 6.5),
    (18.5, -4, 17, 4.8),
    (21, -16, 19, 3.8),
    (26, -29, 17, 2.8),  # tail
]
_CHOROID_PLEXUS: _Curve = [
    (7, -4, 15, 1.6),
    (11, -18, 18, 1.8),
    (17, -30, 16, 2.2),
    (22, -38, 11, 3.2),
    (28, -37, 2, 2.0),
]
_HIPPOCAMPUS: _Curve = [(24, -6, -19, 6.5), (27, -16, -17, 5.0), (28, -27, -11, 4.5), (25, -36, -3, 3.5)]

#: Center, half axes, and by how many degrees the front points to the middle.
_NUCLEI = (
    ((26.5, 2, 1), (7.0, 19, 13.5), 12),  # putamen
    ((20, -4, -1), (5.5, 11, 8), 20),  # pallidum
    ((13.3, -18, 8), (11, 17.5, 11.5), 18),  # thalamus
    ((11, 11, -7), (9, 7, 4.5), 10),  # accumbens, and what lies under the pallidum
    ((8, -13, -7), (6, 8, 4.5), 0),  # below the thalamus
)

#: The corpus callosum is so thick, mm, and so wide before it fans out: half of it in front and at the top.
_CALLOSUM = 5.5
_CALLOSUM_WIDTH = (5.0, 17.0)


@dataclass(frozen=True, eq=False)
class DeepStructures:
    """All (Z, Y, X) bool, to be painted in this order.

    :param callosum: corpus callosum and septum, white matter
    :param hippocampus: with the amygdala, cortex
    :param ventricles: lateral, third and fourth, and the aqueduct
    :param nuclei: deep gray matter
    :param plexus: choroid plexus, in the ventricles
    """

    callosum: np.ndarray
    hippocampus: np.ndarray
    ventricles: np.ndarray
    nuclei: np.ndarray
    plexus: np.ndarray


def deep_structures(canvas: Canvas, middle: np.ndarray) -> DeepStructures:
    """Draw them.

    :param middle: (Z, Y, X) mm from the body that the corpus callosum arches over, negative inside
    """
    side = np.abs(canvas.x)
    front, top = _CALLOSUM_WIDTH
    width = front + (top - front) * np.clip((canvas.z + 6) / 22, 0, 1)
    arch = (middle < 0) & (middle > -_CALLOSUM) & (side < width) & (canvas.z > -5 - 0.1 * canvas.y)
    septum = (side < 0.9) & (middle < 0) & (canvas.z > 6) & (canvas.y > -24)
    ventricles = ball_chain(canvas, _AQUEDUCT) | _chains(canvas, _FORAMEN)
    for curve in _LATERAL_VENTRICLE:
        ventricles |= _chains(canvas, curve, (0.85, 1, 1))
    third = solid_ellipsoid(canvas, (0, -13, -2), (2.4, 15, 11), pitch=-15)
    ventricles |= third | solid_ellipsoid(canvas, (0, -44, -34), (8, 6, 12), pitch=10)
    nuclei = _chains(canvas, _CAUDATE)
    for center, half_axes, yaw in _NUCLEI:
        nuclei |= both_sides(canvas, center, half_axes, yaw=yaw)
    return DeepStructures(
        callosum=arch | septum,
        hippocampus=_chains(canvas, _HIPPOCAMPUS, (1, 1, 0.9)),
        ventricles=ventricles & ~septum | third,
        nuclei=nuclei & ~third,
        plexus=_chains(canvas, _CHOROID_PLEXUS),
    )


def core(canvas: Canvas) -> np.ndarray:
    """Distance from a body around nuclei and ventricles that no sulcus may enter, mm."""
    center = ellipsoid(canvas, (0, -4, 6), (33, 40, 22))
    horns = [
        ellipsoid(canvas.folded, (24, -42, 11), (11, 24, 12)),
        ellipsoid(canvas.folded, (32, -24, -12), (9, 22, 8), pitch=-25),
    ]
    return np.minimum.reduce([center, *horns])


def _chains(canvas: Canvas, curve: _Curve, squash: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    """`ball_chain` on both sides."""
    left = [(-x, *rest) for x, *rest in curve]
    return ball_chain(canvas, curve, squash) | ball_chain(canvas, left, squash)
