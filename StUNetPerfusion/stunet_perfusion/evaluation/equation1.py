"""The lower doses of the paper's table: Equation 1, with a choice at the ends of the series.

`dose` lets the moving average shrink at the ends, down to the first frame itself. Then the first frame's noise shrinks
with the dose like the contrast, and a map whose baseline is the first frame hardly changes: Verbena at half dose comes
out nearly as at full dose. With a whole window at the ends, the frames beyond them mirrored, the first frame keeps its
noise, and Verbena degrades about as in the paper's table, which does not say how its ends were treated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import ndimage

from stunet_perfusion.dose.simulate import check_dose, lower_by_equation1, simulate_dose
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.preprocessing.preparation import PreparedSeries

Ends = Literal["shrink", "mirror"]

WINDOW = 5


def at_lower_dose(full: PreparedSeries, dose: float, ends: Ends = "shrink") -> PreparedSeries:
    """A series at a lower dose by Equation 1; its brain and bolus are those of the full dose.

    :param ends: `shrink` as `dose` does it, or `mirror`
    :raises InputError: as `simulate_dose`
    """
    series, arrival = full.series, full.bolus.arrival
    if ends == "shrink" or dose == 1:
        return replace(full, series=simulate_dose(series, arrival, dose, "equation1", window=WINDOW))
    check_dose(dose, "equation1", WINDOW)
    signal = np.empty_like(series.signal, dtype=np.float32)
    for z in range(signal.shape[1]):
        frames = series.signal[:, z].astype(np.float32, copy=False)
        average = ndimage.uniform_filter1d(frames, WINDOW, axis=0, mode="mirror")
        signal[:, z] = lower_by_equation1(frames, average, baseline_signal(frames, arrival), dose)
    note = f"Simulated at {dose:g} of the dose (equation1, mirrored at the ends)."
    return replace(full, series=replace(series, signal=signal).with_note(note))
