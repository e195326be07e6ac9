"""A standardization: everything that takes a series to a network's input, and maps back. `standardize` finds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FittedFirstPass
from stunet_perfusion.inference.box import SquareBox
from stunet_perfusion.networks.quantities import SIGNAL
from stunet_perfusion.series import Grid


@dataclass(frozen=True, eq=False)
class Standardization:
    """Everything that is needed to take a series to standardized slices, and maps back.

    :param box: the square around the brain
    :param window: (T,) frames of the prepared series, in order; the first or last repeated where it is too short
    :param signal_mean: mean of the brain's signal in the first five steady frames
    :param signal_sd: standard deviation of the same
    :param grid: the grid of the series
    :param quantity: what the network is given, one of `networks.quantities.INPUTS`
    :param first_pass: what curves are measured by, where the input needs it
    """

    box: SquareBox
    window: np.ndarray
    signal_mean: float
    signal_sd: float
    grid: Grid
    quantity: str = SIGNAL
    first_pass: FittedFirstPass | None = None
