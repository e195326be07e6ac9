"""Single parts of what is made of a slice for a network."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.inference.slice_input import slice_for_network
from stunet_perfusion.inference.standardize import Standardization
from stunet_perfusion.networks.quantities import Z_SCORE


def standardize_slice(plan: Standardization, signal: np.ndarray) -> np.ndarray:
    """The network's input for one slice (T, Y, X)."""
    return slice_for_network(plan, Z_SCORE, signal).given


def corrected_slice(plan: Standardization, target: str, signal: np.ndarray) -> np.ndarray:
    """The map that a network of some target corrects, for one slice (T, Y, X)."""
    return slice_for_network(plan, target, signal).corrected
