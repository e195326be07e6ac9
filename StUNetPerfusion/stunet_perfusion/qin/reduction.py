"""Fewer pixels in the plane, where a series was resampled onto a finer grid than it was acquired on.

**The rule.** A series with more than 256 rows or columns was resampled: no DSC protocol acquires as many. Blocks of
f x f pixels are averaged, where f divides both sides, and is

- the largest for which as many pixels remain as were acquired (DICOM's AcquisitionMatrix), or
- the smallest for which at most 256 x 256 remain, where the header does not say.

Averaging gives back what the finer grid only pretended to resolve, and a quarter, or a sixteenth, of the time and
memory.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stunet_perfusion.series import DscSeries, Grid

#: More rows or columns than this are the work of a resampling, and the network takes no more.
LARGEST_MATRIX = 256

#: Nobody acquires fewer. A side without a fitting divisor, such as a prime number, stays as it is.
SMALLEST_MATRIX = 64


def reduction_factor(rows: int, columns: int, acquired: int | None) -> int:
    """By how much both sides of the matrix are divided; 1 for not at all.

    :param acquired: the larger side of the matrix that was acquired, or None
    """
    if max(rows, columns) <= LARGEST_MATRIX:
        return 1
    divisors = [f for f in range(1, min(rows, columns) // SMALLEST_MATRIX + 1) if rows % f == 0 and columns % f == 0]
    enough = [f for f in divisors if max(rows, columns) / f <= LARGEST_MATRIX]
    if acquired:
        fine = [f for f in enough if max(rows, columns) / f >= acquired]
        if fine:
            return max(fine)
    return min(enough, default=1)


def reduce_grid(grid: Grid, factor: int) -> Grid:
    """The grid whose pixels are blocks of `factor` x `factor` pixels of another."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, :2].sum(axis=1) * (factor - 1) / 2
    matrix[:3, :2] *= factor
    slices, rows, columns = grid.shape
    return Grid((slices, rows // factor, columns // factor), matrix)


def reduce_series(series: DscSeries, factor: int) -> DscSeries:
    """The series averaged over blocks, with a note. Works on one frame at a time.

    :param factor: divides rows and columns
    """
    if factor == 1:
        return series
    grid = reduce_grid(series.grid, factor)
    signal = np.empty((series.frames, *grid.shape), np.float32)
    for frame, volume in enumerate(series.signal):
        signal[frame] = _block_means(volume, factor)
    sizes = (f"{g.shape[2]} x {g.shape[1]}" for g in (series.grid, grid))
    note = "The matrix of {} was resampled, and is reduced to {} by averaging.".format(*sizes)
    return replace(series, signal=signal, grid=grid).with_note(note)


def reduce_mask(mask: np.ndarray, factor: int) -> np.ndarray:
    """(Z, Y, X) bool: blocks of which at least half is in the mask."""
    return mask if factor == 1 else _block_means(mask.astype(np.float32), factor) >= 0.5


def _block_means(volume: np.ndarray, factor: int) -> np.ndarray:
    slices, rows, columns = volume.shape
    return volume.reshape(slices, rows // factor, factor, columns // factor, factor).mean(axis=(2, 4))
