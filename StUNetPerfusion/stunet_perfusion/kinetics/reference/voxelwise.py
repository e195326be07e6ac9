"""Oscillation-index deconvolution one voxel at a time, word for word as it is defined: plain and slow.

It takes any singular value decomposition of the circulant matrix, one of LAPACK's too, and so can be compared with
the original. `deconvolution` does the same for all voxels at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.kinetics.reference.circulant import (
    LARGEST_OSCILLATION_INDEX,
    aif_spectrum,
    is_negligible,
    padded_length,
)


@dataclass(frozen=True, eq=False)
class Decomposition:
    """U diag(S) V^T of the circulant matrix, and in which steps it is truncated.

    :param left: (L, L) U, singular vectors in columns
    :param singular: (L,) S
    :param right: (L, L) V
    :param steps: indices of the singular values that go together, from the smallest up; the largest is not among them
    """

    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray
    steps: tuple[tuple[int, ...], ...]


def one_by_one(left: np.ndarray, singular: np.ndarray, right: np.ndarray) -> Decomposition:
    """A decomposition as LAPACK gives it, largest singular value first, truncated one by one as the original does.

    A circulant matrix has its singular values in pairs, and LAPACK is free to rotate the two vectors of a pair. The
    CBF of a voxel whose truncation ends inside a pair depends on that rotation, so on the LAPACK.
    """
    return Decomposition(left, singular, right, tuple((i,) for i in range(len(singular) - 1, 0, -1)))


def fourier_decomposition(aif: np.ndarray, frame_interval: float) -> Decomposition:
    """The decomposition into cosines and sines, in which the two of a pair are removed together.

    :param aif: (N,) delta R2* of the artery
    :param frame_interval: TR in seconds
    """
    length = padded_length(len(aif))
    spectrum = aif_spectrum(aif, frame_interval)
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    singular: list[float] = []
    members: list[tuple[int, ...]] = []
    for k, value in enumerate(spectrum):
        angle = 2 * np.pi * k * np.arange(length) / length
        single = 2 * k % length == 0
        norm = np.sqrt((1 if single else 2) / length)
        waves = (np.cos,) if single else (np.cos, np.sin)
        members.append(tuple(len(singular) + i for i in range(len(waves))))
        for wave in waves:
            # Convolution multiplies a wave by |A| and shifts its phase by arg A.
            right.append(norm * wave(angle))
            left.append(norm * wave(angle + np.angle(value)))
            singular.append(float(np.abs(value)))
    ascending = np.argsort(np.abs(spectrum), kind="stable")
    steps = tuple(members[k] for k in ascending[:-1])
    return Decomposition(np.array(left).T, np.array(singular), np.array(right).T, steps)


def voxel_cbf(curve: np.ndarray, decomposition: Decomposition) -> float:
    """CBF of one voxel: the signed maximum of its residue function, truncated until it oscillates little enough.

    The oscillation index is sum_{i>=3} |r_i - 2 r_{i-1} + r_{i-2}| / (n max r), with n = N in the first test and L in
    all others.

    :param curve: (N,) delta R2* in the unit of the AIF
    :returns: CBF in 1/s, NaN where the curve has NaN
    """
    frames, length = len(curve), len(decomposition.singular)
    padded = np.zeros(length)
    padded[:frames] = curve
    gone = is_negligible(decomposition.singular, length)
    inverse = np.where(gone, 0.0, 1 / np.where(gone, 1.0, decomposition.singular))
    weights = inverse * (decomposition.left.T @ padded)
    residue = decomposition.right @ weights
    samples = frames
    for step in decomposition.steps:
        with np.errstate(invalid="ignore", divide="ignore"):
            index = np.abs(np.diff(residue, 2)).sum() / (samples * residue.max())
        if not index > LARGEST_OSCILLATION_INDEX:
            break
        weights[list(step)] = 0
        residue = decomposition.right @ weights
        samples = length
    return float(residue.max())
