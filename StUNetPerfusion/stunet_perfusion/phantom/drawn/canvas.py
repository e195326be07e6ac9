"""The space that a head is drawn in: where every voxel is, and smooth random fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from stunet_perfusion.series import Grid

#: Voxel size, mm.
VOXEL = 1.2

#: Landmarks are given as they are in MNI space, whose brain is larger than most people's: times this they are mm.
SIZE = 0.945

#: What is drawn reaches from here to there: x to the right, y forwards, z up from the anterior commissure.
_FIRST = np.array([-92.0, -122.0, -84.0])
_LAST = np.array([92.0, 106.0, 100.0])

#: Nothing is as straight as a formula: space is bent by this much (standard deviation) over this length.
_BEND = 1.3
_BEND_LENGTH = 22.0


@dataclass(frozen=True, eq=False)
class Canvas:
    """Coordinates of every voxel, in the millimeters of the landmarks: to the right, forwards and up.

    :param x: (Z, Y, X) float32; slices from feet to head, rows from the face backwards, columns from right to left
    :param grid: where the voxels are, in true millimeters
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels as (Z, Y, X)."""
        slices, rows, columns = self.x.shape
        return slices, rows, columns

    @property
    def folded(self) -> Canvas:
        """The same with both sides on the patient's right: what is drawn there appears on both."""
        return Canvas(np.abs(self.x), self.y, self.z, self.grid)

    def crop(self, low: np.ndarray, high: np.ndarray) -> tuple[tuple[slice, slice, slice], Canvas]:
        """The part of the canvas from one landmark to another, and where it is in the arrays of the whole."""
        margin = 4 * _BEND
        step = VOXEL / SIZE
        first = np.floor((np.asarray(low) - margin - _FIRST) / step).astype(int)
        last = np.ceil((np.asarray(high) + margin - _FIRST) / step).astype(int)
        count = np.array(self.shape[::-1])
        # x and y fall along their axes
        first[:2], last[:2] = count[:2] - 1 - last[:2], count[:2] - 1 - first[:2]
        first, last = np.maximum(first, 0), np.minimum(last, count - 1)
        of_x, of_y, of_z = (slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        box = of_z, of_y, of_x
        return box, Canvas(self.x[box], self.y[box], self.z[box], self.grid)


def blank_canvas(generator: np.random.Generator) -> Canvas:
    """A canvas with room for a head, bent a little at random."""
    step = VOXEL / SIZE
    count = np.ceil((_LAST - _FIRST) / step).astype(int) + 1
    x, y, z = (start + np.arange(n) * step for start, n in zip(_FIRST, count, strict=True))
    grid = Grid.from_lps(count[::-1], np.array([-x[-1], -y[-1], z[0]]) * SIZE, np.full(3, VOXEL), np.eye(3))
    straight = np.meshgrid(z, y[::-1], x[::-1], indexing="ij", sparse=True)
    z, y, x = (
        (axis + _BEND * large_field(grid.shape, _BEND_LENGTH, generator)).astype(np.float32) for axis in straight
    )
    return Canvas(x, y, z, grid)


def large_field(shape: tuple[int, int, int], length: float, generator: np.random.Generator) -> np.ndarray:
    """(Z, Y, X) float32 random field that varies over about `length` mm: mean 0, standard deviation 1."""
    step = length / 2 / VOXEL
    coarse = [int(np.ceil(n / step)) + 4 for n in shape]
    noise = ndimage.gaussian_filter(generator.standard_normal(coarse, dtype=np.float32), 1.0)
    noise /= noise.std()
    for axis, n in enumerate(shape):
        noise = _interpolated(noise, axis, 1 + np.arange(n) / step)
    return noise


def _interpolated(values: np.ndarray, axis: int, where: np.ndarray) -> np.ndarray:
    """Values read at fractional places along one axis, by cubic B-splines, which are smooth and stay in range."""
    low = where.astype(int)
    share = (where - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    weights = (
        (1 - share) ** 3 / 6,
        (3 * share**3 - 6 * share**2 + 4) / 6,
        (-3 * share**3 + 3 * share**2 + 3 * share + 1) / 6,
        share**3 / 6,
    )
    return sum(weight * np.take(values, low + n - 1, axis) for n, weight in enumerate(weights))


@dataclass(frozen=True, eq=False)
class Waves:
    """Random waves of about one length in all directions, periodic: what folds follow.

    :param values: (n, n, n) float32, mean 0, standard deviation 1
    :param step: mm from value to value
    """

    values: np.ndarray
    step: float

    def at(self, points: np.ndarray) -> np.ndarray:
        """(V,) float32, at points (3, V) in mm."""
        return ndimage.map_coordinates(self.values, points / np.float32(self.step), order=3, mode="grid-wrap")


def random_waves(length: float, spread: float, generator: np.random.Generator, count: int = 72) -> Waves:
    """Waves of a length in mm, whose wave numbers vary by `spread` (relative standard deviation)."""
    step = length / 7
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*[fft.fftfreq(count, step)] * 3, indexing="ij", sparse=True)))
    band = np.exp(-0.5 * ((frequency * length - 1) / spread) ** 2)
    noise = fft.fftn(generator.standard_normal((count, count, count), dtype=np.float32))
    values = fft.ifftn(noise * band.astype(np.float32)).real
    return Waves((values / values.std()).astype(np.float32), step)
