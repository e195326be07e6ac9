"""Solids on a canvas. A distance is in mm from the surface, negative inside, and true to first order near it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from stunet_perfusion.phantom.drawn.canvas import SIZE, VOXEL, Canvas

Point = tuple[float, float, float]


def ellipsoid(canvas: Canvas, center: Point, half_axes: Point, *, pitch: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """Distance from an ellipsoid; landmarks are x, y, z.

    :param pitch: degrees by which its front points up
    :param yaw: degrees by which its front points to the patient's right
    """
    x, y, z = canvas.x - center[0], canvas.y - center[1], canvas.z - center[2]
    if yaw:
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        x, y = cos * x - sin * y, sin * x + cos * y
    if pitch:
        cos, sin = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
        y, z = cos * y + sin * z, -sin * y + cos * z
    a, b, c = (np.float32(axis) for axis in half_axes)
    x, y, z = x / a, y / b, z / c
    radius = np.sqrt(x**2 + y**2 + z**2)
    slope = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    return SIZE * radius * (radius - 1) / np.maximum(slope, np.float32(1e-4))


def solid_ellipsoid(
    canvas: Canvas, center: Point, half_axes: Point, *, pitch: float = 0.0, yaw: float = 0.0
) -> np.ndarray:
    """The inside of a small ellipsoid, see `ellipsoid`: (Z, Y, X) bool."""
    inside = np.zeros(canvas.shape, dtype=bool)
    reach = max(half_axes)
    box, part = canvas.crop(np.subtract(center, reach), np.add(center, reach))
    inside[box] = ellipsoid(part, center, half_axes, pitch=pitch, yaw=yaw) < 0
    return inside


def both_sides(canvas: Canvas, center: Point, half_axes: Point, *, pitch: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    """The inside of a small ellipsoid and of its mirror image: (Z, Y, X) bool.

    :param center: on the patient's right
    :param yaw: degrees by which the fronts point to the middle
    """
    right = solid_ellipsoid(canvas, center, half_axes, pitch=pitch, yaw=-yaw)
    return right | solid_ellipsoid(canvas, (-center[0], *center[1:]), half_axes, pitch=pitch, yaw=yaw)


def true_distance(level: np.ndarray) -> np.ndarray:
    """Distance from where a smooth field is 0: its value over its slope, which is mm to first order."""
    slope = np.sqrt(sum(part**2 for part in np.gradient(level, np.float32(VOXEL))))
    return level / np.maximum(slope, np.float32(1e-3))


def ball_chain(canvas: Canvas, points: Sequence[tuple[float, ...]], squash: Point = (1, 1, 1)) -> np.ndarray:
    """What balls along a curve cover: (Z, Y, X) bool.

    :param points: x, y, z and radius, in the millimeters of the landmarks; the curve between them is smooth
    :param squash: how much narrower than their radius the balls are along x, y, z
    """
    inside = np.zeros(canvas.shape, dtype=bool)
    curve = _smooth_curve(np.array(points, dtype=float))
    axes = np.array(squash, dtype=float)
    for *center, radius in curve:
        reach = radius * axes
        box, part = canvas.crop(center - reach, center + reach)
        place = ((part.x - center[0]) / reach[0]) ** 2 + ((part.y - center[1]) / reach[1]) ** 2
        inside[box] |= place + ((part.z - center[2]) / reach[2]) ** 2 < 1
    return inside


def _smooth_curve(points: np.ndarray) -> np.ndarray:
    """A Catmull-Rom curve through the points, about 1 mm from step to step."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    pieces = []
    for before, start, stop, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        steps = max(int(np.linalg.norm((stop - start)[:3])), 2)
        t = np.linspace(0, 1, steps, endpoint=False)[:, None]
        slope_in, slope_out = (stop - before) / 2, (after - start) / 2
        pieces.append(
            start * (2 * t**3 - 3 * t**2 + 1)
            + slope_in * (t**3 - 2 * t**2 + t)
            + stop * (3 * t**2 - 2 * t**3)
            + slope_out * (t**3 - t**2)
        )
    return np.concatenate([*pieces, points[-1:]])


def joined(one: np.ndarray, other: np.ndarray, rounding: float) -> np.ndarray:
    """Distance from two solids together, with the groove between them filled over about `rounding` mm."""
    mix = np.clip(0.5 + 0.5 * (other - one) / np.float32(rounding), 0, 1)
    return other + mix * (one - other) - np.float32(rounding) * mix * (1 - mix)


def without(one: np.ndarray, other: np.ndarray, rounding: float) -> np.ndarray:
    """Distance from the first solid after the second has been taken out of it."""
    return -joined(-one, other, rounding)


def distance_from(inside: np.ndarray) -> np.ndarray:
    """Distance from the surface of a solid that is given by its voxels, mm, negative inside: float32."""
    image = sitk.GetImageFromArray(inside.astype(np.uint8))
    image.SetSpacing([VOXEL] * 3)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    # measured from the centers of the solid's outermost voxels, whose faces are half a voxel further out
    return sitk.GetArrayFromImage(distance) - np.float32(VOXEL / 2)
