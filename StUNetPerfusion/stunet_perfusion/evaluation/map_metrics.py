"""Scores of a map against a noise-free truth that `metrics` does not have: edges, hot spot, intervals."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.stats import norm

#: Edges are where the truth changes most: this share of the brain's pixels.
EDGE_SHARE = 0.1

#: Nominal coverages of the uncertainty's intervals that are counted.
LEVELS = (0.50, 0.68, 0.80, 0.90, 0.95, 0.99)


def edge_sharpness(values: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """How steep the map is at the truth's edges, as a share of how steep the truth is.

    The sum of products of both gradients in the plane over that of the truth's own squares, over the tenth of the
    pixels where the truth changes most: 1 for the truth, less for a blurred map. Noise, which knows nothing of the
    edges, adds nothing on average.

    :param values: (Z, Y, X)
    :param truth: (Z, Y, X) in the same unit
    :param mask: (Z, Y, X) bool; only pixels whose four neighbors are in it count
    :returns: NaN where there is no edge
    """
    inner = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(2, 1)[None])
    own, expected = (
        np.stack(np.gradient(image.astype(np.float64), axis=(1, 2)))[:, inner] for image in (values, truth)
    )
    steepness = (expected**2).sum(axis=0)
    if not steepness.any():
        return float("nan")
    edges = steepness >= np.quantile(steepness, 1 - EDGE_SHARE)
    return float((own * expected)[:, edges].sum() / steepness[edges].sum())


def hot_spot(values: np.ndarray, tumor: np.ndarray) -> float:
    """The largest mean over 3 x 3 pixels of a slice that lie in the tumor, as a radiologist places the region.

    The largest pixel where no such square fits. It is biased upwards by noise, in practice as here.

    :param values: (Z, Y, X)
    :param tumor: (Z, Y, X) bool, not empty
    """
    square = np.ones((1, 3, 3))
    fits = ndimage.binary_erosion(tumor, square)
    if not fits.any():
        return float(values[tumor].max())
    means = ndimage.convolve(values.astype(np.float64), square / 9)
    return float(means[fits].max())


def coverage(values: np.ndarray, uncertainty: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict[float, float]:
    """The share of voxels whose truth is in the map's central normal interval, by nominal level.

    :param uncertainty: (Z, Y, X) standard deviation of the map, same unit
    """
    error = np.abs(values[mask].astype(np.float64) - truth[mask])
    return {level: float((error <= norm.ppf((1 + level) / 2) * uncertainty[mask]).mean()) for level in LEVELS}
