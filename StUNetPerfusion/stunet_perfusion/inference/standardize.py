"""How a series is standardized for a network, the paper's pre-processing (section 4.2): frames, box, and scale.

The frames around the bolus, the square box around the brain resampled to 256 x 256, the signal as a z-score of the
brain's first five steady frames, clipped to [-5, 5]. A checkpoint may ask for another input, see `input_kinds`.
"""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.box import square_box
from stunet_perfusion.inference.input_kinds import input_kind
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.networks.quantities import SIGNAL, TIGHT
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.errors import InputError

#: The paper takes the signal's statistics from this many frames, the first of the (steady) series.
STATISTICS_FRAMES = 5


#: Steady frames that the window keeps before the bolus arrives, where the series has them.
FRAMES_BEFORE_ARRIVAL = 16


def plan_standardization(
    prepared: PreparedSeries,
    frames: int = 64,
    size: int = 256,
    quantity: str = SIGNAL,
    box: str = TIGHT,
    grows: bool = False,
) -> Standardization:
    """Look at a series once and fix how it is standardized.

    :param frames: frames of the network's input
    :param size: rows and columns of the network's input
    :param quantity: what the network is given, one of `networks.quantities.INPUTS`
    :param box: how the square around the brain is laid, one of `networks.quantities.BOXES`
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
        first_pass=input_kind(quantity).first_pass(prepared),
    )


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
