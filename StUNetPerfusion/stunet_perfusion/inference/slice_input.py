"""What is made of a slice for a network, and what every kind of input offers for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FittedFirstPass
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.kinetics.cbv_scale import CbvScale
from stunet_perfusion.preprocessing.preparation import PreparedSeries


@dataclass(frozen=True, eq=False)
class SliceForNetwork:
    """All that is made of a slice for a network, in the box.

    :param given: (64, 256, 256) float32, its input: z-scores in [-5, 5]; or curves of -ln(S/S0) in [-10, 10], which
        maps follow
    :param corrected: (256, 256) float32, the map that it corrects, in halves of the brain's mean (0 at the mean, -2
        without blood), or None
    :param unit: of its correction, in halves of the brain's mean
    :param noise: (256, 256) float32, the standard deviation of the noise that the network is not told of, in halves of
        the brain's mean; None where it is not wanted, or there is none
    """

    given: np.ndarray
    corrected: np.ndarray | None = None
    unit: float = 1.0
    noise: np.ndarray | None = None


class InputKind(Protocol):
    """One kind of input, with the output that belongs to it."""

    #: the largest absolute value of the input
    clip: float

    #: the largest absolute value of the map in training, before what is corrected is taken off
    target_clip: float

    #: whether the network's own numbers tell blood volume; those of z-scores do not
    tells_blood_volume: bool

    def first_pass(self, prepared: PreparedSeries) -> FittedFirstPass | None:
        """What the curves of a series are measured by, or None where no curve is needed.

        :raises InputError: as `find_first_pass`
        """

    def of_slice(self, plan: Standardization, signal: np.ndarray, noise: bool = False) -> SliceForNetwork:
        """The network's input for one slice, and what its output is to be added to.

        :param signal: (T, Y, X) of the prepared series, every frame of it
        :param noise: whether the noise is wanted
        """

    def target_scale(self, cbv: np.ndarray, brain: np.ndarray, found_brain: np.ndarray) -> CbvScale:
        """The line between a CBV map and the numbers that the network predicts, before what is corrected is taken off.

        :param cbv: (Z, Y, X) any unit
        :param brain: (Z, Y, X) bool, where it is known
        :param found_brain: (Z, Y, X) bool, the brain as it is found in the series
        :raises InputError: as `cbv_scale` and `closed_form_scale`
        """
