"""The voxels of a mask, in a layout that is fast to compute with."""

from __future__ import annotations

import numpy as np


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
