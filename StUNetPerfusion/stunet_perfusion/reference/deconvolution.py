"""Oscillation-index block-circulant deconvolution of all voxels at once.

After Wu et al., Magn Reson Med 50:164, 2003, with the constants of FSL's asl_mfree. Every voxel has the same AIF, so
all residue functions lose the same Fourier components in the same order. The oscillation index does not fall steadily
while they go, so every level of truncation has to be tested, up to the first that is quiet enough.

Two passes. The first removes one component at a time from all voxels in single precision, and finds for each the
first level that does not oscillate too much beyond all doubt of rounding. The second starts there, in double
precision, and decides. It gives the same from level 0: the first pass only saves time.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.linalg.blas import sgemm

from stunet_perfusion.reference.circulant import (
    LARGEST_OSCILLATION_INDEX,
    aif_spectrum,
    is_negligible,
    padded_length,
)

#: Samples of residue functions that are worked on together. More leaves a processor's own cache, less spends the time
#: in handing over Python's lock between threads.
_SAMPLES_AT_ONCE = 2**18

#: In the first pass residue functions are computed anew from their spectra after so many levels, so that rounding does
#: not add up, and without the voxels that are done.
_LEVELS_AT_FIRST, _LEVELS_AT_ONCE = 16, 8

#: The largest product (m n k) that OpenBLAS does not spread over threads of its own, which would get in the way of ours.
_LARGEST_PRODUCT = 2**18

#: Bound of all rounding in the first pass, for each of the L samples, as a share of the sum of a voxel's amplitudes:
#: 16 updates, the transform, the second difference of values up to four times as large, and the sum over 130 of them,
#: at 6e-8 each.
_ROUNDING = 5e-5


@dataclass(frozen=True, eq=False)
class _System:
    """What all voxels have in common.

    :param frames: N
    :param length: L
    :param inverse: (K, 1) complex, one over the AIF's spectrum, 0 where that is negligible; K = L // 2 + 1
    :param order: (K,) Fourier components from the smallest singular value up
    :param waves: (K, L, 2) float32, what the real and the imaginary part of component k add to the residue function
    :param bends: (K, L - 2, 2) float32, what they add to its second differences
    :param share: (K, 1) float32, amplitude of component k in the residue function over its modulus in the spectrum
    :param bend: (K, 1) float32, amplitude in the second differences over that in the residue function, times the root
        mean square of a wave of amplitude 1
    """

    frames: int
    length: int
    inverse: np.ndarray
    order: np.ndarray
    waves: np.ndarray
    bends: np.ndarray
    share: np.ndarray
    bend: np.ndarray


def oscillation_index_cbf(
    concentration: np.ndarray, aif: np.ndarray, frame_interval: float, workers: int | None = None
) -> np.ndarray:
    """CBF by deconvolution: the signed maximum of the residue function, truncated until it oscillates little enough.

    :param concentration: (N, V) delta R2* of V voxels, in the unit of the AIF
    :param aif: (N,) delta R2* of the artery
    :param frame_interval: TR in seconds, the frames being evenly spaced
    :param workers: threads; None takes one for each processor that this process may use
    :returns: (V,) float64 CBF in 1/s; NaN where a curve has NaN or infinity
    :raises InputError: an AIF without positive area
    """
    system = _system(aif, frame_interval)
    voxels = concentration.shape[1]
    cbf = np.empty(voxels)
    size = max(_SAMPLES_AT_ONCE // system.length, 1)
    parts = [slice(start, start + size) for start in range(0, voxels, size)]

    def deconvolve(part: slice) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            spectra = _residue_spectra(concentration[:, part], system)
            cbf[part] = _quiet_maximum(spectra, system, _first_level_in_doubt(spectra, system))

    with ThreadPoolExecutor(workers or _processors()) as executor:
        for _ in executor.map(deconvolve, parts):
            pass
    return cbf


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _system(aif: np.ndarray, frame_interval: float) -> _System:
    frames, length = len(aif), padded_length(len(aif))
    spectrum = aif_spectrum(aif, frame_interval)
    gone = is_negligible(np.abs(spectrum), length)
    inverse = np.where(gone, 0, 1 / np.where(gone, 1, spectrum))
    components = np.arange(len(spectrum))
    angle = 2 * np.pi * np.outer(components, np.arange(length)) / length
    single = 2 * components % length == 0
    share = np.where(single, 1, 2)[:, None] / length
    waves = np.stack([share * np.cos(angle), -share * np.sin(angle)], axis=-1)
    bends = np.diff(waves, 2, axis=1)
    bend = (2 - 2 * np.cos(2 * np.pi * components[:, None] / length)) * np.where(single, 1, np.sqrt(0.5))[:, None]
    order = np.argsort(np.abs(spectrum), kind="stable")
    return _System(
        frames,
        length,
        inverse[:, None],
        order,
        *(array.astype(np.float32) for array in (waves, bends, share, bend)),
    )


def _residue_spectra(concentration: np.ndarray, system: _System) -> np.ndarray:
    """(K, V) complex128: spectra of the residue functions without truncation.

    :param concentration: (N, V)
    """
    return scipy.fft.rfft(concentration.astype(np.float64), system.length, axis=0) * system.inverse


def _quiet_maximum(spectra: np.ndarray, system: _System, level: np.ndarray) -> np.ndarray:
    """(V,) maximum of each residue function at its first level, from `level` on, that is quiet enough.

    :param spectra: (K, V) complex128
    :param level: (V,) number of components that are removed to begin with
    """
    length, last = system.length, len(system.order) - 1
    rank = np.argsort(system.order)[:, None]
    cbf, level = np.empty(spectra.shape[1]), level.copy()
    pending = np.arange(len(cbf))
    while len(pending):
        kept = np.where(rank >= level[pending], spectra[:, pending], 0)
        residue, differences = _residue_functions(kept, length)
        maximum = residue.max(axis=0)
        oscillation = np.abs(differences).sum(axis=0)
        allowed = LARGEST_OSCILLATION_INDEX * np.where(level[pending] == 0, system.frames, length) * maximum
        # A curve that is nowhere positive has a negative index, one with NaN has none: both stay as they are.
        loud = (maximum >= 0) & (oscillation > allowed) & (level[pending] < last)
        cbf[pending[~loud]] = maximum[~loud]
        pending = pending[loud]
        level[pending] += 1
    return cbf


def _first_level_in_doubt(spectra: np.ndarray, system: _System) -> np.ndarray:
    """(V,) a level of truncation for each voxel below which it oscillates too much at every level, surely.

    :param spectra: (K, V) complex128
    """
    last = len(system.order) - 1
    spectra = spectra.astype(np.complex64)
    found = np.zeros(spectra.shape[1], dtype=np.intp)
    voxels = np.arange(len(found))
    level = 0
    while len(voxels) and level < last:
        levels = range(level, min(level + (_LEVELS_AT_ONCE if level else _LEVELS_AT_FIRST), last))
        curves = _Curves.of(spectra, system.length)
        loud_levels = np.full(len(voxels), len(levels))
        unsure = np.flatnonzero(~_surely_loud(curves, spectra, system, levels))
        loud_levels[unsure] = _count_loud_levels(curves.take(unsure), spectra.take(unsure, axis=1), system, levels)
        found[voxels] += loud_levels
        still_loud = loud_levels == len(levels)
        voxels, spectra = voxels[still_loud], np.compress(still_loud, spectra, axis=1)
        spectra[system.order[levels.start : levels.stop]] = 0
        level = levels.stop
    return found


@dataclass(frozen=True, eq=False)
class _Curves:
    """Residue functions of some voxels, in single precision.

    :param residue: (L, V)
    :param differences: (L - 2, V) their second differences
    :param rounding: (V,) bound of what rounding can add to the sum of these
    """

    residue: np.ndarray
    differences: np.ndarray
    rounding: np.ndarray

    @classmethod
    def of(cls, spectra: np.ndarray, length: int) -> _Curves:
        """From (K, V) complex64 spectra."""
        modulus = np.abs(spectra.view(np.float32)).sum(axis=0).reshape(-1, 2).sum(axis=1)
        return cls(*_residue_functions(spectra, length), np.float32(2 * _ROUNDING) * modulus)

    def take(self, voxels: np.ndarray) -> _Curves:
        """Of these voxels; shares the memory where these are all."""
        if len(voxels) == len(self.rounding):
            return self
        return _Curves(
            self.residue.take(voxels, axis=1), self.differences.take(voxels, axis=1), self.rounding.take(voxels)
        )


def _surely_loud(curves: _Curves, spectra: np.ndarray, system: _System, levels: range) -> np.ndarray:
    """(V,) which voxels cannot be quiet at any of `levels`, judged by their curves at the first.

    What is removed on the way can raise the maximum by no more than its amplitudes a together, and lower the sum of
    the absolute second differences by no more than its own, which by Cauchy and Parseval is at most
    (L - 2)^1/2 (L sum (lambda a)^2 / 2)^1/2, lambda = 2 - 2 cos(omega). And the maximum stays positive, so that the
    index has the sign that counts: a curve of mean m and sum of absolute second differences s has a maximum of at
    least m + s / (8 L), for one half of what deviates from the mean is above it.
    """
    length = system.length
    removed = system.order[levels.start : levels.stop - 1]
    amplitude = system.share[removed] * np.abs(spectra[removed])
    bend = system.bend[removed] * amplitude
    oscillation = np.abs(curves.differences).sum(axis=0)
    lowest = oscillation - np.float32(length) * np.sqrt((bend * bend).sum(axis=0)) - curves.rounding
    highest = curves.residue.max(axis=0) + amplitude.sum(axis=0)
    return (lowest > np.float32(LARGEST_OSCILLATION_INDEX * length) * highest) & (lowest > -8 * spectra[0].real)


def _count_loud_levels(curves: _Curves, spectra: np.ndarray, system: _System, levels: range) -> np.ndarray:
    """(V,) at how many of `levels`, counted from the first, the voxels oscillate too much. Writes over the curves."""
    residue, differences = curves.residue, curves.differences
    maximum, oscillation = np.empty((2, len(levels), len(curves.rounding)), dtype=np.float32)
    moduli = np.empty_like(differences)
    for i, level in enumerate(levels):
        if i:
            component = system.order[level - 1]
            _remove(residue, spectra[component], system.waves[component])
            _remove(differences, spectra[component], system.bends[component])
        np.max(residue, axis=0, out=maximum[i])
        np.sum(np.abs(differences, out=moduli), axis=0, out=oscillation[i])
    samples = np.array([[system.length if level else system.frames] for level in levels], dtype=np.float32)
    allowed = np.float32(LARGEST_OSCILLATION_INDEX) * samples * maximum + curves.rounding
    loud = (maximum > curves.rounding) & (oscillation > allowed)
    return np.where(loud.all(axis=0), len(levels), loud.argmin(axis=0))


def _residue_functions(spectra: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(L, V) residue functions and (L - 2, V) their second differences, in the precision of the spectra.

    :param spectra: (K, V) complex
    """
    residue = scipy.fft.irfft(spectra, length, axis=0)
    differences = residue[2:] + residue[:-2]
    differences -= residue[1:-1]
    differences -= residue[1:-1]
    return residue, differences


def _remove(samples: np.ndarray, coefficients: np.ndarray, waves: np.ndarray) -> None:
    """Take one Fourier component out of all residue functions, or out of their differences, in place.

    :param samples: (M, V) float32
    :param coefficients: (V,) complex64, the component in each voxel's spectrum
    :param waves: (M, 2) float32, what real and imaginary part add
    """
    parts = coefficients.view(np.float32).reshape(-1, 2).T
    rows = max(_LARGEST_PRODUCT // (2 * len(coefficients)), 1)
    for start in range(0, len(samples), rows):
        some = slice(start, start + rows)
        # BLAS counts columns first: seen through its eyes, this is samples^T -= parts waves^T, written over itself.
        sgemm(-1.0, parts, waves[some].T, 1.0, samples[some].T, trans_a=True, overwrite_c=True)
