"""Residue functions that tissue can have, each by the integral from 0 to t that the convolution needs.

All have R(0) = 1 and the mean transit time as their area. `gamma` and `lognormal` take the same `shape`: 1 / shape is
the squared coefficient of variation of the transit times.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from stunet_perfusion.phantom.contrast import residue_integral

#: The fast path of the biexponential residue function: its share of the flow, and its transit time over the mean.
_FAST_SHARE, _FAST_TRANSIT = 0.7, 0.5


def lognormal_residue_integral(times: np.ndarray, transit: np.ndarray | float, shape: float) -> np.ndarray:
    """The integral of 1 - F from 0 to `times`, s, where transit times are log-normally distributed.

    Integrating by parts, it is t (1 - F(t)) plus the part of the mean that is below t, both in closed form.
    """
    spread = np.sqrt(np.log1p(1 / shape))
    with np.errstate(divide="ignore"):
        scaled = np.log(np.asarray(times, dtype=float) / transit) / spread
    return times * special.ndtr(-scaled - spread / 2) + transit * special.ndtr(scaled - spread / 2)


def biexponential_residue_integral(times: np.ndarray, transit: np.ndarray | float, shape: float) -> np.ndarray:
    """The integral of w exp(-t / a) + (1 - w) exp(-t / b): a fast and a slow path in parallel. `shape` has no part."""
    slow = (1 - _FAST_SHARE * _FAST_TRANSIT) / (1 - _FAST_SHARE)

    def path(share: float, factor: float) -> np.ndarray:
        return share * factor * transit * -np.expm1(-np.asarray(times, dtype=float) / (factor * transit))

    return path(_FAST_SHARE, _FAST_TRANSIT) + path(1 - _FAST_SHARE, slow)


#: By the name that `Physiology.residue` has.
RESIDUES: dict[str, Callable[[np.ndarray, np.ndarray | float, float], np.ndarray]] = {
    "gamma": residue_integral,
    "lognormal": lognormal_residue_integral,
    "biexponential": biexponential_residue_integral,
}
