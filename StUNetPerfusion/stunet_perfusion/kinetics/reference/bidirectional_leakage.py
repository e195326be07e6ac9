"""Correction of CBV for contrast agent that leaks out of the vessels and comes back (Leu, Boxerman, Ellingson).

J Magn Reson Imaging 44:1229, 2016 (OSIPI CAPLEX M.LC1.002; K2 is Q.LC1.002). As the correction of Boxerman 2006, see
`leakage`, but what has leaked washes out again with a rate kep:

    delta R2*(t) = K1 Rbar(t) - K2 int_0^t Rbar(s) exp(-kep (t - s)) ds.

For a given kep that is linear in K1 and K2. kep is therefore looked for on a grid of rates, 0 among them, where it is
the correction of Boxerman: every voxel takes the rate that leaves the smallest squares. That is the least-squares fit
up to the steps of the grid, needs no start, and no derivative of a noisy curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import cumulative_trapezoid

#: Rates of coming back, 1/s, up to 2 per minute. Faster ones would make the leaked part look like a delayed first pass,
#: and be found in tissue that is only late.
RATES = (0.0, *np.geomspace(0.0005, 1 / 30, 15))


@dataclass(frozen=True, eq=False)
class BidirectionalModel:
    """What all voxels have in common.

    :param rbar: (T,) mean delta R2* of voxels that do not enhance
    :param leaked: (rates, T) its convolution with an exponential of each rate
    :param solve_k2: (rates, T) float32; its product with a curve is K2
    :param bases: (rates, 2, T) float32, orthonormal, of what each rate can explain
    :param areas: (rates,) sum over time of `leaked`
    """

    rbar: np.ndarray
    leaked: np.ndarray
    solve_k2: np.ndarray
    bases: np.ndarray
    areas: np.ndarray

    @classmethod
    def of(cls, rbar: np.ndarray, times: np.ndarray) -> BidirectionalModel:
        """The model of a series.

        :param rbar: (T,)
        :param times: (T,) s
        """
        leaked = np.stack([_washed_out(rbar, times, rate) for rate in RATES])
        systems = [np.stack([rbar, -each], axis=1) for each in leaked]
        solve = np.stack([np.linalg.pinv(system)[1] for system in systems])
        bases = np.stack([np.linalg.qr(system)[0].T for system in systems])
        return cls(rbar, leaked, solve.astype(np.float32), bases.astype(np.float32), leaked.sum(axis=1))

    def fit(self, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """K2, the rate of coming back, and what has to be added to the area under a curve.

        :param curves: (T, n) delta R2*
        :returns: (n,) float32 K2 in 1/s, positive where T1 shortening prevails; kep in 1/s; and K2 sum_t leaked
        """
        rates, frames = len(RATES), len(self.rbar)
        explained = self.bases.reshape(2 * rates, frames) @ curves
        explained = np.square(explained).reshape(rates, 2, -1).sum(axis=1)
        best = np.argmax(explained, axis=0)
        k2 = np.take_along_axis(self.solve_k2 @ curves, best[None], axis=0)[0]
        return k2, np.asarray(RATES, np.float32)[best], k2 * self.areas[best].astype(np.float32)


def _washed_out(rbar: np.ndarray, times: np.ndarray, rate: float) -> np.ndarray:
    """(T,) int_0^t Rbar(s) exp(-rate (t - s)) ds by the trapezoid rule, at any spacing of frames."""
    seconds = times - times[0]
    return np.exp(-rate * seconds) * cumulative_trapezoid(rbar * np.exp(rate * seconds), seconds, initial=0)
