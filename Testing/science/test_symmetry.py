"""The plane of symmetry: found where it was put, and mirroring twice changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stunet_perfusion.regions.symmetry import (
    SymmetryPlane,
    find_symmetry_plane,
    mirrored_image,
    mirrored_region,
    places,
)
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

SHAPE = (8, 64, 60)


def grid_turned(turn: float, tilt: float, shift: float) -> Grid:
    """A grid in which the head, whose plane is x = 0, lies turned about the body's axis and tilted about that from
    back to front (degrees), and shifted to the side (mm).
    """
    a, b = np.deg2rad([turn, tilt])
    about_body = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_view = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_body @ about_view @ np.diag([3.0, 3.0, 5.0])
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(SHAPE[::-1]) - 1) / 2 + np.array([shift, 0, 0])
    return Grid(SHAPE, matrix)


def head_on(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """An image that is symmetric about x = 0 in space, and the brain, on a grid."""
    x, y, z = np.moveaxis(places(grid), -1, 0)
    brain = (x / 60) ** 2 + (y / 78) ** 2 + (z / 60) ** 2 < 1
    image = (
        1 + 0.5 * np.exp(-((np.abs(x) - 30) ** 2 + (y - 20) ** 2) / 200) - 0.6 * np.exp(-(x**2 + (y + 10) ** 2) / 150)
    )
    return np.where(brain, image, 0).astype(np.float32), brain


@pytest.mark.parametrize(("turn", "tilt", "shift"), [(0, 0, 0), (8, 0, 5), (-11, 5, -9), (3, -7, 12)])
def test_the_plane_is_found_where_it_was_put(turn: float, tilt: float, shift: float) -> None:
    grid = grid_turned(turn, tilt, shift)
    image, brain = head_on(grid)
    plane = find_symmetry_plane(image, brain, grid)
    points = places(grid)[brain]
    truth = SymmetryPlane(np.array([1.0, 0.0, 0.0]), 0.0)
    away = np.linalg.norm(plane.mirrored(points) - truth.mirrored(points), axis=1)
    assert np.median(away) < 4.0, "a voxel"
    assert plane.agreement > 0.98


@settings(max_examples=25, deadline=None)
@given(st.floats(-20, 20), st.floats(-15, 15), st.floats(-30, 30))
def test_mirroring_twice_leaves_a_point_where_it_was(turn: float, shift: float, x: float) -> None:
    plane = SymmetryPlane(np.array([1.0, 0.0, 0.0]), 2.0).turned(turn, shift, np.zeros(3))
    points = np.array([[x, 5.0, -7.0], [0.0, 0.0, 0.0]])
    other = plane.mirrored(points)
    np.testing.assert_allclose(plane.mirrored(other), points, atol=1e-9)
    np.testing.assert_allclose(plane.distance(other), -plane.distance(points), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(plane.normal), 1)


def test_a_region_is_mirrored_voxel_by_voxel() -> None:
    """The plane lies between two columns, so that mirroring is turning the columns round."""
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 5.0, 1.0]))
    plane = SymmetryPlane(np.array([1.0, 0.0, 0.0]), float(SHAPE[2] - 1))
    region = np.random.default_rng(0).random(SHAPE) > 0.7
    np.testing.assert_array_equal(mirrored_region(region, grid, plane), region[:, :, ::-1])
    image = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    np.testing.assert_allclose(mirrored_image(image, grid, plane), image[:, :, ::-1], atol=1e-5)


def test_what_lies_opposite_to_nothing_is_empty() -> None:
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 5.0, 1.0]))
    region = np.zeros(SHAPE, bool)
    region[3, 30, 5] = True
    assert not mirrored_region(region, grid, SymmetryPlane(np.array([1.0, 0.0, 0.0]), -40.0)).any()


def test_the_plane_turns_about_a_point() -> None:
    center = np.array([4.0, -3.0, 8.0])
    plane = SymmetryPlane(np.array([1.0, 0.0, 0.0]), 4.0).turned(10.0, 0.0, center)
    assert plane.distance(center[None])[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(plane.normal, [np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10)), 0])


def test_noise_has_no_plane_of_symmetry() -> None:
    grid = Grid(SHAPE, np.diag([4.0, 4.0, 5.0, 1.0]))
    generator = np.random.default_rng(0)
    brain, image = generator.random(SHAPE) > 0.5, generator.random(SHAPE)
    with pytest.raises(InputError, match="plane of symmetry: is not found"):
        find_symmetry_plane(image, brain, grid)
