"""The voxels of a mask, in a layout that is fast to compute with, and their trimmed mean."""

from __future__ import annotations

import numpy as np

#: Percentiles of the values that a trimmed mean is taken between: vessels, and voxels without signal, do not count.
TRIMMED = (5.0, 95.0)


def voxels_inside(signal: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`signal[:, mask]` with all voxels of a frame side by side, which is how later steps go through them.

    :param signal: (T, Y, X)
    :param mask: (Y, X) bool
    :returns: (T, n) in C order
    """
    places = np.flatnonzero(mask)
    result = np.empty((len(signal), len(places)), signal.dtype)
    for frame, voxels in zip(signal, result, strict=True):
        # "clip" spares a copy that is made to leave `out` as it is after an error; there is no error here.
        np.take(frame, places, out=voxels, mode="clip")
    return result


def trimmed_mean(values: np.ndarray) -> float:
    """Mean of the values between the 5th and the 95th percentile.

    :param values: (n,)
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return 0.0
    low, high = np.percentile(finite, TRIMMED)
    return float(finite[(finite >= low) & (finite <= high)].mean())
