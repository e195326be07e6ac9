"""How the head lies in the scanner: the EPI grid, the head's random deformation, and tissue shares of every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom.acquisition import Protocol
from stunet_perfusion.phantom.anatomy import Anatomy, Tissue
from stunet_perfusion.series import Grid

#: Distance of the elastic deformation's control points, mm.
_CONTROL_SPACING = 40.0

#: Points per EPI voxel side, in plane; through the slice they are at most 1.2 mm apart.
_IN_PLANE_POINTS = 2
_THROUGH_PLANE_STEP = 1.2


@dataclass(frozen=True, eq=False)
class Position:
    """Where the slices lie in the anatomy.

    :param grid: EPI grid in the anatomy's space, as the scanner would write it
    :param to_anatomy: 4x4 matrix from EPI indices (i, j, k) to anatomy indices (x, y, z), with the head's affine change
    :param bend: (3, a, b, c) elastic displacement at control points, anatomy voxels x, y, z; c, b, a along EPI i, j, k
    """

    grid: Grid
    to_anatomy: np.ndarray
    bend: np.ndarray


def position_head(anatomy: Anatomy, protocol: Protocol, generator: np.random.Generator) -> Position:
    """Lay axial slices through a head, the uppermost at the vertex, and deform the head as the protocol says."""
    in_plane = protocol.field_of_view / protocol.matrix
    size = np.array([in_plane, in_plane, protocol.slice_spacing])
    count = np.array([protocol.matrix, protocol.matrix, protocol.slices])
    first, last = anatomy.brain_box
    middle = (first + last)[::-1] / 2
    center = (anatomy.grid.ijk_to_ras @ [*middle, 1])[:3]
    height = (last[0] - first[0]) * anatomy.grid.spacing[2]
    # array axes run right to left, face to back, feet to head
    axes = _rotation(*np.radians([protocol.tilt, 0, 0])) @ np.diag([-1.0, -1.0, 1.0])
    up = height / 2 - (protocol.slices - 1) / 2 * protocol.slice_spacing
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = axes * size
    ijk_to_ras[:3, 3] = center + axes[:, 2] * up - ijk_to_ras[:3, :3] @ ((count - 1) / 2)
    grid = Grid((protocol.slices, protocol.matrix, protocol.matrix), ijk_to_ras)

    change = np.eye(3)
    if protocol.deformation > 0:
        strength = protocol.deformation
        turn = np.radians(generator.uniform(-5, 5, 3) * strength)
        change = _rotation(*turn) @ np.diag(1 + generator.uniform(-0.08, 0.08, 3) * strength)
        change += np.triu(generator.uniform(-0.03, 0.03, (3, 3)) * strength, 1)
    if protocol.mirrored:
        change = change @ np.diag([-1.0, 1.0, 1.0])
    about = np.eye(4)
    about[:3, :3] = change
    about[:3, 3] = center - change @ center
    to_anatomy = np.linalg.inv(anatomy.grid.ijk_to_ras) @ about @ ijk_to_ras

    points = np.ceil((count - 1) * size / _CONTROL_SPACING).astype(int) + 1
    bend = generator.standard_normal((3, *points[::-1])) * 2.5 * protocol.deformation
    bend /= anatomy.grid.spacing.reshape(3, 1, 1, 1)
    return Position(grid, to_anatomy, bend)


def tissue_fractions(anatomy: Anatomy, position: Position, protocol: Protocol, slices: np.ndarray) -> np.ndarray:
    """The share that every tissue has in each EPI voxel: the partial volume effect.

    Averages the tissue at about 8 to 20 points per voxel over the slice's thickness, then blurs in plane as EPI does.

    :param slices: indices of the slices that are wanted
    :returns: (tissues, len(slices), Y, X) float32, summing to 1 over tissues
    """
    rows, columns = position.grid.shape[1:]
    tissues = len(Tissue)
    inside = _IN_PLANE_POINTS
    through = int(np.ceil(protocol.slice_thickness / _THROUGH_PLANE_STEP))
    i = (np.arange(columns * inside) + 0.5) / inside - 0.5
    j = (np.arange(rows * inside) + 0.5) / inside - 0.5
    share_of_gap = protocol.slice_thickness / protocol.slice_spacing
    k = ((np.arange(through) + 0.5) / through - 0.5) * share_of_gap
    matrix = position.to_anatomy.astype(np.float32)
    pixel = (np.arange(rows).repeat(inside)[:, None] * columns + np.arange(columns).repeat(inside)) * tissues
    result = np.empty((tissues, len(slices), rows, columns), dtype=np.float32)
    for n, z in enumerate(slices):
        bend = _bend_of_slice(position, z)
        index = np.zeros((through, rows * inside, columns * inside), dtype=np.int32)
        outside = np.zeros(index.shape, dtype=bool)
        for axis, size in enumerate(anatomy.tissue.shape[::-1]):
            m = matrix[axis]
            plane = (m[0] * i)[None, :] + (m[1] * j)[:, None] + (m[2] * z + m[3]) + bend[axis]
            position_on_axis = plane[None] + (m[2] * k)[:, None, None] + np.float32(0.5)
            nearest = np.floor(position_on_axis).astype(np.int32)
            outside |= (nearest < 0) | (nearest >= size)
            stride = int(np.prod(anatomy.tissue.shape[::-1][:axis]))
            index += nearest * np.int32(stride)
        index[outside] = 0
        tissue = anatomy.tissue.reshape(-1)[index]
        tissue[outside] = Tissue.AIR
        counts = np.bincount((tissue + pixel).ravel(), minlength=rows * columns * tissues)
        result[:, n] = counts.reshape(rows, columns, tissues).transpose(2, 0, 1) / np.float32(inside**2 * through)
    if protocol.blur > 0:
        ndimage.gaussian_filter(result, (0, 0, protocol.blur, protocol.blur), output=result, mode="nearest")
    return result


def _bend_of_slice(position: Position, z: int) -> np.ndarray:
    """(3, rows * 2, columns * 2) float32 elastic displacement in anatomy voxels, the same through the slice."""
    shape = position.grid.shape
    points = position.bend.shape[1:]
    where = [
        np.array([z]) / max(shape[0] - 1, 1) * (points[0] - 1),
        np.linspace(0, points[1] - 1, shape[1] * _IN_PLANE_POINTS // 4 + 1),
        np.linspace(0, points[2] - 1, shape[2] * _IN_PLANE_POINTS // 4 + 1),
    ]
    coarse = np.stack(
        [
            ndimage.map_coordinates(field, np.meshgrid(*where, indexing="ij"), order=3, mode="nearest")[0]
            for field in position.bend
        ]
    )
    fine = [np.linspace(0, n - 1, size * _IN_PLANE_POINTS) for n, size in zip(coarse.shape[1:], shape[1:], strict=True)]
    return _linear_2d(coarse, *fine).astype(np.float32)


def _linear_2d(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(n, len(rows), len(columns)): images read at fractional rows and columns."""
    for axis, where in ((1, rows), (2, columns)):
        low = np.minimum(where.astype(int), images.shape[axis] - 2)
        share = np.expand_dims(where - low, 1) if axis == 1 else where - low
        images = np.take(images, low, axis) * (1 - share) + np.take(images, low + 1, axis) * share
    return images


def _rotation(x: float, y: float, z: float) -> np.ndarray:
    """3x3 rotation about x, then y, then z, radians."""
    cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
