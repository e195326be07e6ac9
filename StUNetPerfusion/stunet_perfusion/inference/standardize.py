"""How a series is standardized for a network, the paper's pre-processing (section 4.2): frames, box, and scale.

The frames around the bolus, the square box around the brain resampled to 256 x 256, the signal as a z-score of the
brain's first five steady frames, clipped to [-5, 5]. A checkpoint may ask for another input, see `input_kinds`.
"""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.box import square_box
from stunet_perfusion.inference.input_kinds import input_kind
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.networks.quantities import AROUND_BOLUS, FROM_FIRST, SIGNAL, TIGHT
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.errors import InputError

#: The paper takes the signal's statistics from this many frames, the first of the (steady) series.
STATISTICS_FRAMES = 5


#: Steady frames that the window keeps before the bolus arrives, where the series has them.
FRAMES_BEFORE_ARRIVAL = 16

#: Frames from the bolus' arrival on that a window from the first frame has, where the series has them.
FRAMES_FROM_ARRIVAL = 32


def plan_standardization(
    prepared: PreparedSeries,
    frames: int = 64,
    size: int = 256,
    quantity: str = SIGNAL,
    box: str = TIGHT,
    grows: bool = False,
    window: str = AROUND_BOLUS,
) -> Standardization:
    """Look at a series once and fix how it is standardized.

    :param frames: frames of the network's input
    :param size: rows and columns of the network's input
    :param quantity: what the network is given, one of `networks.quantities.INPUTS`
    :param box: how the square around the brain is laid, one of `networks.quantities.BOXES`
    :param grows: whether a box of pixels may be larger than `size`, see `square_box`
    :param window: which frames, one of `networks.quantities.WINDOWS`
    :raises InputError: the brain's signal does not vary, so that it has no z-score, or as `find_first_pass`
    """
    mean, sd = _signal_statistics(prepared)
    if not sd > 0:
        raise InputError(prepared.series.name, "has the same signal everywhere in the brain", "check the brain mask")
    return Standardization(
        box=square_box(prepared.brain, prepared.series.grid.spacing, size, box, grows),
        window=frame_window(prepared.series.frames, prepared.bolus.arrival, frames, window),
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


def frame_window(frames: int, arrival: int, wanted: int = 64, kind: str = AROUND_BOLUS) -> np.ndarray:
    """Which frames the network sees, `wanted` of them, the last repeated where the series is shorter.

    Around the bolus: from `FRAMES_BEFORE_ARRIVAL` before it on. From the first: the first frames of the series; of a
    bolus that is so late that these would have fewer than `FRAMES_FROM_ARRIVAL` of it, the first frame, and then those
    that have as many.

    :param frames: frames of the prepared series
    :param arrival: the frame in which the bolus arrives
    :param kind: one of `networks.quantities.WINDOWS`
    :returns: (wanted,) frame numbers
    """
    earliest = arrival - FRAMES_BEFORE_ARRIVAL if kind == AROUND_BOLUS else arrival + FRAMES_FROM_ARRIVAL - wanted
    start = min(max(earliest, 0), max(frames - wanted, 0))
    window = np.minimum(start + np.arange(wanted), frames - 1)
    if kind == FROM_FIRST:
        window[0] = 0
    return window
