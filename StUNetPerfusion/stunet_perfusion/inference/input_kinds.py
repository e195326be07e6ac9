"""The kinds of input by their identifiers, one class for each."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.curves_and_fit_input import CurvesAndFitInput
from stunet_perfusion.inference.signal_input import SignalInput
from stunet_perfusion.inference.slice_input import InputKind, SliceForNetwork
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.networks.quantities import CURVES_AND_FIT, SIGNAL

_KINDS: dict[str, InputKind] = {SIGNAL: SignalInput(), CURVES_AND_FIT: CurvesAndFitInput()}


def input_kind(quantity: str) -> InputKind:
    """The kind of an identifier.

    :param quantity: one of `networks.quantities.INPUTS`
    :raises KeyError: another one; checkpoints and settings are checked before
    """
    return _KINDS[quantity]


def slice_for_network(plan: Standardization, signal: np.ndarray, noise: bool = False) -> SliceForNetwork:
    """The network's input for one slice, and what its output is to be added to; see `InputKind.of_slice`.

    :param signal: (T, Y, X) of the prepared series, every frame of it
    :param noise: whether the noise that the network is not told of is wanted
    """
    return input_kind(plan.quantity).of_slice(plan, signal, noise)
