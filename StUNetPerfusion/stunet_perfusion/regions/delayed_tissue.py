"""Volumes of tissue that the agent reaches late. Research use only.

Tmax above 6 s marks tissue at risk in acute stroke (Olivot 2009, Stroke 40:469; DEFUSE 3). What of it is lost is read
from diffusion; from perfusion alone it is estimated as CBF below 30 % of that of tissue that is not late, as is done in
CT (Campbell 2011, Stroke 42:3435). Pieces of less than 1 ml are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

#: Tissue is late from this Tmax on, and surely not late up to the other, s.
LATE = 6.0
NOT_LATE = 4.0

#: Flow below this share of that of tissue that is not late is hardly any.
CORE_FLOW = 0.3

#: A smaller piece is noise, ml.
SMALLEST_PIECE = 1.0


@dataclass(frozen=True, eq=False)
class DelayedTissue:
    """What is late.

    :param late: (Z, Y, X) bool, Tmax above 6 s
    :param core: (Z, Y, X) bool, the part of it with hardly any flow
    :param late_ml: volume
    :param core_ml: volume
    """

    late: np.ndarray
    core: np.ndarray
    late_ml: float
    core_ml: float

    @property
    def mismatch_ml(self) -> float:
        """Late, but with flow."""
        return self.late_ml - self.core_ml

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "tmax_above_6_s_ml": self.late_ml,
            "core_ml": self.core_ml,
            "mismatch_ml": self.mismatch_ml,
            "mismatch_ratio": self.late_ml / self.core_ml if self.core_ml else None,
            "use": "Research use only: not for diagnosis.",
        }


def delayed_tissue(tmax: np.ndarray, cbf: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> DelayedTissue:
    """Measure what is late.

    :param tmax: (Z, Y, X) s
    :param cbf: (Z, Y, X) any unit
    :param brain: (Z, Y, X) bool
    :param spacing: (3,) mm along i, j, k
    """
    voxel = float(np.prod(spacing)) / 1000
    late = _pieces((tmax > LATE) & brain, voxel)
    healthy = brain & (tmax <= NOT_LATE) & (cbf > 0)
    flow = float(np.median(cbf[healthy])) if healthy.any() else 0.0
    core = _pieces(late & (cbf < CORE_FLOW * flow), voxel)
    return DelayedTissue(late, core, float(late.sum()) * voxel, float(core.sum()) * voxel)


def _pieces(mask: np.ndarray, voxel: float) -> np.ndarray:
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * voxel
    sizes[0] = 0
    return (sizes >= SMALLEST_PIECE)[labels]
