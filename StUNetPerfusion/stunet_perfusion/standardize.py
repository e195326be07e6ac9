"""The paper's pre-processing (section 4.2), and the way back to the patient's grid and to blood volume.

Forward: the frames around the bolus, the square box around the brain resampled to 256 x 256, the signal as a z-score
of the brain's first five steady frames, the CBV map as a z-score of the brain's CBV, both clipped to [-5, 5].

A checkpoint may ask for something else than the paper, see `network_quantities`: curves of -ln(S/S0) as the input, and
a correction to the closed form as the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from stunet_perfusion.errors import InputError
from stunet_perfusion.first_pass import (
    FirstPass,
    find_first_pass,
    trimmed_mean,
)
from stunet_perfusion.network_quantities import (
    CORRECTION_TO_FIT,
    CURVES_AND_FIT,
    PIXELS,
    SIGNAL,
    TIGHT,
    Z_SCORE,
)
from stunet_perfusion.preparation import PreparedSeries
from stunet_perfusion.series import Grid

#: Z-scores beyond these limits are cut.
CLIP = 5.0

#: The paper takes the signal's statistics from this many frames, the first of the (steady) series.
STATISTICS_FRAMES = 5

#: Steady frames that the window keeps before the bolus arrives, where the series has them.
FRAMES_BEFORE_ARRIVAL = 16

#: Z-scores this close to the clipping limits no longer follow the blood volume.
NEAR_CLIP = 0.9 * CLIP

#: Curves of -ln(S/S0) over the brain's mean area are so many times as large for the network: about 1 at their peak in
#: average tissue, with 8 frames under a first pass. They are cut where only arteries are.
LOG_RATIO_GAIN, LOG_RATIO_CLIP = 8.0, 10.0

#: The standard deviation of blood volume over a brain is about half of its mean, so that in this unit the closed form
#: is nearly a z-score; but the mean is not blown up by noise as the standard deviation is at a low dose.
CLOSED_FORM_UNIT = 0.5

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


@dataclass(frozen=True, eq=False)
class Standardization:
    """Everything that is needed to take a series to standardized slices, and maps back.

    :param box: the square around the brain
    :param window: (T,) frames of the prepared series, in order; the first or last repeated where it is too short
    :param signal_mean: mean of the brain's signal in the first five steady frames
    :param signal_sd: standard deviation of the same
    :param grid: the grid of the series
    :param quantity: what the network is given, one of `network_quantities`
    :param first_pass: what curves are measured by, where input or target need it
    """

    box: SquareBox
    window: np.ndarray
    signal_mean: float
    signal_sd: float
    grid: Grid
    quantity: str = SIGNAL
    first_pass: FirstPass | None = None

    @property
    def clip(self) -> float:
        """The largest absolute value of the network's input."""
        return CLIP if self.quantity == SIGNAL else LOG_RATIO_CLIP


@dataclass(frozen=True)
class CbvScale:
    """The line between z-scores and blood volume: CBV = mean + sd * z. No blood is z = -mean / sd."""

    mean: float
    sd: float

    def to_blood_volume(self, standardized: np.ndarray) -> np.ndarray:
        """Z-scores to CBV, in the unit of the scale, with a true zero."""
        return (self.mean + self.sd * standardized).astype(np.float32)

    def to_standardized(self, cbv: np.ndarray) -> np.ndarray:
        """CBV to z-scores, clipped to [-5, 5]."""
        return np.clip((cbv - self.mean) / self.sd, -CLIP, CLIP).astype(np.float32)


def plan_standardization(
    prepared: PreparedSeries,
    frames: int = 64,
    size: int = 256,
    quantity: str = SIGNAL,
    target: str = Z_SCORE,
    box: str = TIGHT,
    grows: bool = False,
) -> Standardization:
    """Look at a series once and fix how it is standardized.

    :param frames: frames of the network's input
    :param size: rows and columns of the network's input
    :param quantity: what the network is given
    :param target: what the network says
    :param box: how the square around the brain is laid, one of `network_quantities`
    :param grows: whether a box of pixels may be larger than `size`, see `square_box`
    :raises InputError: the brain's signal does not vary, so that it has no z-score, or as `find_first_pass`
    """
    mean, sd = _signal_statistics(prepared)
    if not sd > 0:
        raise InputError(prepared.series.name, "has the same signal everywhere in the brain", "check the brain mask")
    return Standardization(
        box=square_box(prepared.brain, prepared.series.grid.spacing, size, box, grows),
        window=frame_window(prepared.series.frames, prepared.bolus.arrival, frames),
        signal_mean=mean,
        signal_sd=sd,
        grid=prepared.series.grid,
        quantity=quantity,
        first_pass=_first_pass(prepared, quantity, target),
    )


def _first_pass(prepared: PreparedSeries, quantity: str, target: str) -> FirstPass | None:
    """What the input or the target need of it."""
    if quantity == SIGNAL and target == Z_SCORE:
        return None
    return find_first_pass(prepared, fitted=quantity == CURVES_AND_FIT or target == CORRECTION_TO_FIT)


def _signal_statistics(prepared: PreparedSeries) -> tuple[float, float]:
    """Mean and SD over brain voxels and the first five frames, slice by slice in double precision."""
    count, total, squares = 0, 0.0, 0.0
    for z, brain in enumerate(prepared.brain):
        values = prepared.series.signal[:STATISTICS_FRAMES, z][:, brain].astype(np.float64)
        count, total, squares = count + values.size, total + values.sum(), squares + (values**2).sum()
    mean = total / count
    return mean, float(np.sqrt(max(squares / count - mean**2, 0.0)))


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


def frame_window(frames: int, arrival: int, wanted: int = 64) -> np.ndarray:
    """Which frames the network sees: `wanted` around the bolus, the last repeated where the series is shorter.

    :param frames: frames of the prepared series
    :param arrival: the frame in which the bolus arrives
    :returns: (wanted,) frame numbers
    """
    start = min(max(arrival - FRAMES_BEFORE_ARRIVAL, 0), max(frames - wanted, 0))
    return np.minimum(start + np.arange(wanted), frames - 1)


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
    return SquareBox(*edges, box.size), images[..., places[0], places[1]]


def closed_form_scale(cbv: np.ndarray, brain: np.ndarray) -> CbvScale:
    """The line between a CBV map and the unit in which a network corrects the closed form, see `SliceForNetwork`.

    :raises InputError: a map without blood
    """
    mean = trimmed_mean(cbv[brain])
    if not mean > 0:
        raise InputError("CBV map", "holds no blood on average over the brain", "check the map and the brain mask")
    return CbvScale(mean, mean * CLOSED_FORM_UNIT)


def cbv_scale(cbv: np.ndarray, brain: np.ndarray) -> CbvScale:
    """Mean and standard deviation of a CBV map over the brain: how the paper standardizes it.

    :raises InputError: the map is the same everywhere in the brain
    """
    values = cbv[brain].astype(np.float64)
    if not values.std() > 0:
        raise InputError("CBV map", "has the same value everywhere in the brain", "check the map and the brain mask")
    return CbvScale(float(values.mean()), float(values.std()))


def recover_scale(standardized: np.ndarray, closed_form: np.ndarray, brain: np.ndarray) -> CbvScale:
    """Find the blood volume that z-scores stand for, with its true zero.

    A z-score says how far a voxel is from the brain's mean, not how much blood it holds, and the mean and SD that
    would undo it belong to a map that is not known when a network predicts. The closed form sum C / sum C_aif of the
    same series knows them: it is noisy in every voxel, but without blood it is 0 on average, if it is taken over the
    first pass alone (over all frames a slow drift of the signal would add to it). So the line that carries
    the predicted z-scores onto the closed form, by least squares over the brain, gives both: CBV = mean + sd * z.
    The noise of the closed form is in the dependent variable and does not bend the line; and a network trained by L2
    predicts a conditional mean, for which the slope of truth over prediction is 1, so the z-scores' own error does
    not either. Voxels near the clipping limits and closed-form values beyond five robust SDs of the line (vessels,
    voxels without signal) are left out.

    :param standardized: (Z, Y, X) predicted z-scores on the series' grid
    :param closed_form: (Z, Y, X) CBV of the first pass of the same series with a mean baseline, any unit
    :param brain: (Z, Y, X) bool
    :returns: the scale, in the unit of `closed_form`
    :raises InputError: prediction and closed form have nothing in common, so there is no scale
    """
    usable = brain & (np.abs(standardized) < NEAR_CLIP) & np.isfinite(closed_form)
    z, cbv = standardized[usable].astype(np.float64), closed_form[usable].astype(np.float64)
    kept = np.ones(z.size, dtype=bool)
    mean = sd = 0.0
    # Where most voxels are on the line to the last digit, their residual says nothing about what is odd.
    least_spread = 0.05 * np.ptp(np.percentile(cbv, (5, 95))) if cbv.size else 0.0
    for _ in range(3):
        if kept.sum() < 3 or not z[kept].std() > 0:
            break
        # The line of least squares by its closed form: a fit of polynomials takes nine times as long.
        (variance, covariance), _ = np.cov(z[kept], cbv[kept])
        sd = covariance / variance
        mean = cbv[kept].mean() - sd * z[kept].mean()
        residual = cbv - (mean + sd * z)
        robust_sd = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        kept = np.abs(residual) <= 5 * max(robust_sd, least_spread)
    if not sd > 0:
        raise InputError(
            "prediction",
            "does not rise with the blood volume of the series, so it has no physical scale",
            "check the series with 'stunet-perfusion info', or use another checkpoint",
        )
    return CbvScale(float(mean), float(sd))


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
