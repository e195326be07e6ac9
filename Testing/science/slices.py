"""Single parts of what is made of a slice for a network."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.standardization import Standardization


def standardize_slice(plan: Standardization, signal: np.ndarray) -> np.ndarray:
    """The network's input for one slice (T, Y, X)."""
    return slice_for_network(plan, signal).given


def corrected_slice(plan: Standardization, signal: np.ndarray) -> np.ndarray:
    """The map that the network corrects, for one slice (T, Y, X)."""
    return slice_for_network(plan, signal).corrected
