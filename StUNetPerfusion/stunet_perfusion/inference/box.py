"""The square box around the brain: images from the grid of the series into it, and back.

The paper crops series and maps to square prisms that tightly fit the brain, and resamples each slice to 256 x 256
(section 4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from stunet_perfusion.networks.quantities import (
    PIXELS,
    TIGHT,
)

#: A brain that fills less of the box than this is enlarged to fill it: its structures would be far smaller than those
#: that a network knows.
SMALLEST_BRAIN_IN_BOX = 0.4


#: A box of pixels grows to so many times the size that a network was trained with, in steps that its reductions divide.
LARGEST_BOX, BOX_STEP = 1.5, 8


@dataclass(frozen=True)
class SquareBox:
    """A square in the plane of the slices, the same for all of them, on pixel indices.

    :param row: (start, stop) edges in rows; pixel i covers i - 0.5 to i + 0.5
    :param column: (start, stop) edges in columns
    :param size: rows and columns that the box is resampled to
    """

    row: tuple[float, float]
    column: tuple[float, float]
    size: int = 256


def square_box(
    brain: np.ndarray, spacing: np.ndarray, size: int = 256, kind: str = TIGHT, grows: bool = False
) -> SquareBox:
    """The square (in millimeters) that tightly fits the brain over all slices, centered on it.

    :param brain: (Z, Y, X) bool
    :param spacing: (3,) voxel size along columns, rows, slices, mm
    :param kind: of whole `PIXELS`, the box is as large as it is asked for and its pixels are those of the series, where
        these are square, and the brain neither larger than the box nor much smaller; else it is `TIGHT`
    :param grows: let a box of pixels be larger than it is asked for, up to `LARGEST_BOX` times, so that a larger brain
        fits, too. A network without fully connected layers predicts it as well.
    """
    edges = []
    for axis, voxel in ((1, spacing[1]), (2, spacing[0])):
        touched = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))
        edges.append((touched[0] - 0.5, touched[-1] + 0.5, float(voxel)))
    side = max((stop - start) * voxel for start, stop, voxel in edges)
    row, column = (_widened(start, stop, side / voxel) for start, stop, voxel in edges)
    pixels = row[1] - row[0]
    square = np.isclose(pixels, column[1] - column[0], rtol=1e-3)
    if kind == PIXELS and square and grows and size < pixels <= LARGEST_BOX * size:
        size = math.ceil(pixels / BOX_STEP) * BOX_STEP
    if kind == PIXELS and square and SMALLEST_BRAIN_IN_BOX * size <= pixels <= size:
        row, column = (_whole_pixels(*edge, size) for edge in (row, column))
    return SquareBox(row, column, size)


def _widened(start: float, stop: float, length: float) -> tuple[float, float]:
    center = (start + stop) / 2
    return center - length / 2, center + length / 2


def _whole_pixels(start: float, stop: float, size: int) -> tuple[float, float]:
    """`size` whole pixels with the same center, to within half a pixel."""
    first = round((start + stop - size + 1) / 2)
    return first - 0.5, first - 0.5 + size


def cropped(box: SquareBox, images: np.ndarray) -> tuple[SquareBox, np.ndarray]:
    """Images without what `into_box` never looks at, and the box as it lies in them: half of a slice may be air.

    :param images: (..., Y, X)
    :returns: the box, and a view of the images
    """
    edges, places = [], []
    for (start, stop), pixels in zip((box.row, box.column), images.shape[-2:], strict=True):
        first = min(max(math.floor(start), 0), pixels - 1)
        last = max(min(math.ceil(stop) + 1, pixels), first + 1)
        edges.append((start - first, stop - first))
        places.append(slice(first, last))
    return SquareBox(edges[0], edges[1], box.size), images[..., places[0], places[1]]


def into_box(box: SquareBox, images: np.ndarray) -> np.ndarray:
    """Resample images from the grid of the series to the box, bilinearly; beyond the image the edge is repeated.

    :param images: (..., Y, X)
    :returns: (..., size, size) float32
    """
    step_y, step_x = (box.row[1] - box.row[0]) / box.size, (box.column[1] - box.column[0]) / box.size
    index = np.arange(box.size) + 0.5
    rows = csr_array(_linear_weights(box.row[0] + step_y * index, images.shape[-2]))
    columns = _linear_weights(box.column[0] + step_x * index, images.shape[-1])
    stack = images.astype(np.float32, copy=False).reshape(-1, *images.shape[-2:])
    # A row of the box is made of two rows of the image: many times less to do than a full product of matrices.
    resampled = [(rows @ image) @ columns.T for image in stack]
    return np.array(resampled).reshape(*images.shape[:-2], box.size, box.size)


def out_of_box(box: SquareBox, images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resample images from the box to the grid of the series, bilinearly; 0 outside the box.

    :param images: (..., size, size)
    :param shape: rows and columns of the series
    :returns: (..., Y, X) float32
    """
    positions, inside = [], []
    for (start, stop), pixels in zip((box.row, box.column), shape, strict=True):
        index = np.arange(pixels)
        positions.append((index - start) * box.size / (stop - start) - 0.5)
        inside.append(((index >= start) & (index <= stop)).astype(np.float32))
    rows = _linear_weights(positions[0], box.size) * inside[0][:, None]
    columns = _linear_weights(positions[1], box.size) * inside[1][:, None]
    return np.matmul(np.matmul(rows, images.astype(np.float32, copy=False)), columns.T)


def _linear_weights(positions: np.ndarray, pixels: int) -> np.ndarray:
    """(positions, pixels) matrix that interpolates linearly along one axis; positions beyond the ends take the end.

    Bilinear interpolation is separable, so a whole slice of all frames is two matrix products.
    """
    positions = np.clip(positions, 0, pixels - 1)
    lower = np.minimum(positions.astype(int), max(pixels - 2, 0))
    fraction = (positions - lower).astype(np.float32)
    weights = np.zeros((len(positions), pixels), dtype=np.float32)
    each = np.arange(len(positions))
    weights[each, lower] = 1 - fraction
    weights[each, np.minimum(lower + 1, pixels - 1)] += fraction
    return weights
