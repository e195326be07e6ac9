"""How a series is standardized for a network, the paper's pre-processing (section 4.2): frames, box, and scale.

The frames around the bolus, the square box around the brain resampled to 256 x 256, the signal as a z-score of the
brain's first five steady frames, clipped to [-5, 5]. A checkpoint may ask for something else, see `quantities`: curves
of -ln(S/S0) as the input, and a correction to the fit of the mean curve as the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FirstPass
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass
from stunet_perfusion.inference.box import SquareBox, square_box
from stunet_perfusion.kinetics.cbv_scale import CLIP
from stunet_perfusion.networks.quantities import (
    CORRECTION_TO_FIT,
    CURVES_AND_FIT,
    SIGNAL,
    TIGHT,
    Z_SCORE,
)
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

#: The paper takes the signal's statistics from this many frames, the first of the (steady) series.
STATISTICS_FRAMES = 5


#: Steady frames that the window keeps before the bolus arrives, where the series has them.
FRAMES_BEFORE_ARRIVAL = 16


#: Curves of -ln(S/S0) over the brain's mean area are so many times as large for the network: about 1 at their peak in
#: average tissue, with 8 frames under a first pass. They are cut where only arteries are.
LOG_RATIO_GAIN, LOG_RATIO_CLIP = 8.0, 10.0


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


def frame_window(frames: int, arrival: int, wanted: int = 64) -> np.ndarray:
    """Which frames the network sees: `wanted` around the bolus, the last repeated where the series is shorter.

    :param frames: frames of the prepared series
    :param arrival: the frame in which the bolus arrives
    :returns: (wanted,) frame numbers
    """
    start = min(max(arrival - FRAMES_BEFORE_ARRIVAL, 0), max(frames - wanted, 0))
    return np.minimum(start + np.arange(wanted), frames - 1)
