"""Histograms of a map over regions, on one scale, to be laid over each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: nCBV from 0 to 8 in steps of 0.25; the last bin takes all that is more, the first all that is less.
EDGES = np.linspace(0.0, 8.0, 33)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of voxels.

    :param edges: (bins + 1,)
    :param shares: (bins,) by the region's name; each adds up to 1
    """

    edges: np.ndarray
    shares: dict[str, np.ndarray]


def histogram(values: np.ndarray, regions: Mapping[str, np.ndarray], edges: np.ndarray = EDGES) -> Histogram:
    """Count the voxels of regions.

    :param values: (Z, Y, X)
    :param regions: (Z, Y, X) bool by name; none of them empty
    """
    shares = {}
    for name, region in regions.items():
        inside = np.clip(values[region], edges[0], edges[-1])
        shares[name] = np.histogram(inside, edges)[0] / inside.size
    return Histogram(edges, shares)
