"""What is around the brain: the cranial cavity with its fluid and dural sinuses, bone, scalp and face."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.drawn.canvas import SIZE, Canvas, large_field
from stunet_perfusion.phantom.drawn.shapes import (
    ball_chain,
    both_sides,
    distance_from,
    ellipsoid,
    joined,
    solid_ellipsoid,
)

#: Fluid between the brain's hull and the dura; bone, which varies; scalp, mm.
_FLUID = 2.0
_BONE = 5.5
_BONE_VARIATION = 0.9
_SCALP = 4.6

#: Sinuses are triangles and bands along the bone, mm: half the height of the superior sagittal sinus at its beginning
#: over the forehead and at its end, how far it lies below the bone, and half the width of the transverse sinus.
_SAGITTAL = (1.5, 5.0)
_SAGITTAL_DEPTH = 2.0
_TRANSVERSE = 2.5
_STRAIGHT = [(0, -44, 6, 2.2), (0, -60, 0, 2.5), (0, -80, -8, 2.8), (0, -98, -14, 3.2)]


def paint_around(tissue: np.ndarray, canvas: Canvas, hull: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Paint fluid, bone, scalp and face where there is no brain yet.

    :param tissue: (Z, Y, X) uint8 with the brain in it, painted in place
    :param hull: (Z, Y, X) mm from the smooth hull of the whole brain, negative inside
    :returns: (Z, Y, X) mm from the inside of the skull, negative inside
    """
    cisterns = solid_ellipsoid(canvas, (0, -12, -17), (18, 32, 11)) | solid_ellipsoid(
        canvas, (0, -44, -6), (24, 18, 17)
    )
    cavity = distance_from((hull < _FLUID) | cisterns | (tissue > 0))
    bone = _BONE + _BONE_VARIATION * large_field(canvas.shape, 30.0, generator)
    face = ellipsoid(canvas, (0, 42, -62), (58, 46, 62))
    neck = ellipsoid(canvas, (0, -30, -60), (62, 62, 90))
    head = joined(joined(cavity - bone - _SCALP, face, 12), neck, 15)
    base = solid_ellipsoid(canvas, (0, 5, -36), (36, 45, 20), pitch=10)
    empty = tissue == Tissue.AIR
    tissue[empty & (head < 0)] = Tissue.SCALP
    tissue[empty & ((cavity < bone) | base)] = Tissue.BONE
    tissue[empty & (cavity < 0)] = Tissue.FLUID
    _paint_face(tissue, canvas)
    return cavity


def _paint_face(tissue: np.ndarray, canvas: Canvas) -> None:
    """Orbits with eyes, and the air of nose and sinuses, where bone and soft tissue are."""
    solid = np.isin(tissue, (Tissue.SCALP, Tissue.BONE))
    tissue[solid & both_sides(canvas, (32, 62, -36), (19, 24, 17))] = Tissue.SCALP
    tissue[solid & both_sides(canvas, (33, 66, -36), (12.5, 12.5, 12.5))] = Tissue.FLUID
    nose = solid_ellipsoid(canvas, (0, 62, -50), (13, 28, 16)) | both_sides(canvas, (27, 58, -64), (13, 14, 13))
    tissue[solid & nose] = Tissue.AIR


def paint_sinuses(tissue: np.ndarray, canvas: Canvas, cavity: np.ndarray, tentorium: np.ndarray) -> None:
    """Paint the superior sagittal, straight and transverse sinus into fluid and bone.

    :param cavity: (Z, Y, X) mm from the inside of the skull, negative inside
    :param tentorium: (Z, Y, X) mm from the space below the tentorium, negative inside
    """
    width = np.interp(canvas.y, (-100, 70), _SAGITTAL[::-1]).astype(np.float32)
    triangle = SIZE * np.abs(canvas.x) < 1 + 0.9 * (width + np.minimum(cavity, 0))
    sagittal = triangle & (np.abs(cavity + _SAGITTAL_DEPTH) < width) & (canvas.z > -14 + 0.2 * np.maximum(canvas.y, 0))
    along_bone = (cavity > -4) & (cavity < 1.5) & (canvas.y < -52)
    transverse = along_bone & (np.abs(tentorium + 1) < _TRANSVERSE)
    veins = sagittal | transverse | ball_chain(canvas, _STRAIGHT)
    tissue[veins & np.isin(tissue, (Tissue.FLUID, Tissue.BONE))] = Tissue.VEIN
