"""What every computation needs first: steady frames, the brain, and where the bolus is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stunet_perfusion.preprocessing.bolus import Bolus, count_unsteady_frames, find_bolus
from stunet_perfusion.preprocessing.brain import brain_mask, mean_curve
from stunet_perfusion.preprocessing.mending import Doubt
from stunet_perfusion.preprocessing.quality.report import QualityReport
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting

#: Whoever drops frames by hand has to leave as many.
FEWEST_REMAINING_FRAMES = 8


@dataclass(frozen=True, eq=False)
class PreparedSeries:
    """A DSC series that is ready to be computed with.

    :param series: the steady frames only; shares the memory of the series that it was made from
    :param brain: (Z, Y, X) bool
    :param bolus: arrival and peak, as frame indices into `series`
    :param dropped_frames: how many first frames were left out
    :param dropped_last: how many last frames were left out: those of a later bolus
    :param quality: how good the series is, where that was looked at
    :param doubt: what mending adds to the uncertainty, where something was mended
    """

    series: DscSeries
    brain: np.ndarray
    bolus: Bolus
    dropped_frames: int
    dropped_last: int = 0
    quality: QualityReport | None = None
    doubt: Doubt | None = None


def prepare(
    series: DscSeries, *, mask: np.ndarray | None = None, drop_frames: int | Literal["auto"] = "auto"
) -> PreparedSeries:
    """Leave out the unsteady first frames, find the brain, and find the bolus.

    :param series: a checked series
    :param mask: (Z, Y, X) bool brain mask, or None to find the brain
    :param drop_frames: number of first frames to leave out, or "auto" to find it
    :raises InputError: a mask of another shape or without voxels, a number of frames that leaves too few, no
        brain, no bolus, or a bolus that is cut off
    """
    if mask is not None:
        mask = _checked_mask(mask, series)
    if drop_frames != "auto":
        _check_number(drop_frames, series)
    seen = series if drop_frames == "auto" else series.dropping_first(drop_frames)
    brain = brain_mask(seen) if mask is None else mask
    curve = mean_curve(seen, brain)
    if drop_frames == "auto":
        drop_frames = count_unsteady_frames(curve)
        seen, curve = series.dropping_first(drop_frames), curve[drop_frames:]
    return PreparedSeries(seen, brain, find_bolus(curve, series.name), drop_frames)


def _check_number(drop_frames: int, series: DscSeries) -> None:
    if not 0 <= drop_frames <= series.frames - FEWEST_REMAINING_FRAMES:
        raise InputError(
            Setting.DROP_FRAMES,
            f"{drop_frames} of {series.frames} frames cannot be left out",
            f"give 0 to {series.frames - FEWEST_REMAINING_FRAMES}, or auto",
        )


def _checked_mask(mask: np.ndarray, series: DscSeries) -> np.ndarray:
    mask = np.asarray(mask, dtype=bool)
    if mask.shape != series.grid.shape:
        raise InputError(
            "brain mask",
            f"has {mask.shape} voxels (slices, rows, columns), and the series has {series.grid.shape}",
            "give a mask on the grid of the series",
        )
    if not mask.any():
        raise InputError("brain mask", "is empty", "give a mask with voxels, or none to find the brain")
    return mask
