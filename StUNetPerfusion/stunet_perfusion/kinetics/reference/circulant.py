"""The arterial input as a circulant matrix: convolution, padded so that the end does not fold back onto the start.

L = N + floor(1.2 N), matrix element (i, j) = TR * C_aif[(i - j) mod L] (Wu et al., Magn Reson Med 50:164, 2003). The
Fourier basis diagonalizes it: its singular values are |A_k|, A the discrete Fourier transform of TR * C_aif, each
twice but for k = 0 and, at even L, k = L / 2.
"""

from __future__ import annotations

import numpy as np
import scipy.fft

from stunet_perfusion.support.errors import InputError

#: A truncated residue function is accepted from this oscillation index down (asl_mfree's constant).
LARGEST_OSCILLATION_INDEX = 0.1


def padded_length(frames: int) -> int:
    """L, the number of samples that N frames are padded to with zeros."""
    return frames + int(np.floor(1.2 * frames))


def checked_aif(aif: np.ndarray, frames: int) -> np.ndarray:
    """The AIF as float64, when it can serve as one.

    :param aif: delta R2* of the artery
    :param frames: how many values it has to have
    :raises InputError: another number of values, values that are not numbers, or an area that is not positive
    """
    aif = np.asarray(aif, dtype=np.float64)
    if aif.shape != (frames,):
        raise InputError("AIF", f"has {aif.size} values, and the series has {frames} frames", "give one value a frame")
    if not (np.isfinite(aif).all() and aif.sum() > 0):
        raise InputError("AIF", "has an area that is not positive, so no contrast passes", "choose other arteries")
    return aif


def aif_spectrum(aif: np.ndarray, frame_interval: float) -> np.ndarray:
    """(L // 2 + 1,) complex128: the discrete Fourier transform of TR * C_aif, padded to L samples.

    :param aif: (N,) delta R2* of the artery
    :param frame_interval: TR in seconds
    :raises InputError: values that are not numbers, or an area that is not positive
    """
    aif = checked_aif(aif, len(aif))
    return scipy.fft.rfft(frame_interval * aif, padded_length(len(aif)))


def is_negligible(singular: np.ndarray, length: int) -> np.ndarray:
    """Which singular values are zero but for rounding. They cannot be inverted and count as removed from the start.

    :param singular: singular values, or moduli of the spectrum
    :param length: L
    """
    return singular <= length * np.finfo(np.float64).eps * singular.max()
