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

#: Samples of residue functions that are worked on together: less than 1 MB in the first pass, which stays in a
#: processor's own cache. Products of this size also stay below what OpenBLAS spreads over threads of its own, which
#: would get in the way of ours.
_SAMPLES_AT_ONCE = 2**16

#: In the first pass the residue functions are computed anew from their spectra after so many levels, so that rounding
#: does not add up, and when this share of the voxels is done, to lose these.
_LEVELS_BETWEEN_REBUILDS = 16
_SHARE_DONE_TO_REBUILD = 0.3

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
    :param waves: (K, 2 L - 2, 2) float32, what the real and the imaginary part of component k add to the L samples of
        the residue function and to its L - 2 second differences
    """

    frames: int
    length: int
    inverse: np.ndarray
    order: np.ndarray
    waves: np.ndarray


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
    share = np.where(2 * components % length == 0, 1, 2)[:, None] / length
    samples = np.stack([share * np.cos(angle), -share * np.sin(angle)], axis=-1)
    waves = np.concatenate([samples, np.diff(samples, 2, axis=1)], axis=1)
    return _System(frames, length, inverse[:, None], np.argsort(np.abs(spectrum), kind="stable"), waves.astype(np.float32))


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
        samples = _residue_functions(kept, length)
        maximum = samples[:length].max(axis=0)
        oscillation = np.abs(samples[length:]).sum(axis=0)
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
    length, last = system.length, len(system.order) - 1
    spectra = spectra.astype(np.complex64)
    found = np.zeros(spectra.shape[1], dtype=np.intp)
    voxels = np.arange(len(found))
    level = 0
    while len(voxels) and level < last:
        samples = _residue_functions(spectra, length)
        differences = np.empty_like(samples[length:])
        rounding = np.float32(2 * _ROUNDING) * np.abs(spectra.view(np.float32)).sum(axis=0).reshape(-1, 2).sum(axis=1)
        loud = np.ones(len(voxels), dtype=bool)
        loud_levels = np.zeros(len(voxels), dtype=np.intp)
        rebuild_at, enough = min(level + _LEVELS_BETWEEN_REBUILDS, last), (1 - _SHARE_DONE_TO_REBUILD) * len(voxels)
        while True:
            maximum = samples[:length].max(axis=0)
            oscillation = np.abs(samples[length:], out=differences).sum(axis=0)
            allowed = np.float32(LARGEST_OSCILLATION_INDEX * (length if level else system.frames)) * maximum + rounding
            loud &= oscillation > allowed
            loud &= maximum > rounding
            loud_levels += loud
            component = system.order[level]
            level += 1
            if level == rebuild_at or np.count_nonzero(loud) <= enough:
                break
            samples = _without(samples, spectra[component], system.waves[component])
        found[voxels] += loud_levels
        voxels, spectra = voxels[loud], np.compress(loud, spectra, axis=1)
        spectra[system.order[:level]] = 0
    return found


def _residue_functions(spectra: np.ndarray, length: int) -> np.ndarray:
    """(2 L - 2, V) residue functions and, below them, their second differences, in the precision of the spectra.

    :param spectra: (K, V) complex
    """
    samples = np.empty((2 * length - 2, spectra.shape[1]), dtype=spectra.real.dtype)
    residue, differences = samples[:length], samples[length:]
    residue[:] = scipy.fft.irfft(spectra, length, axis=0)
    np.add(residue[2:], residue[:-2], out=differences)
    differences -= residue[1:-1]
    differences -= residue[1:-1]
    return samples


def _without(samples: np.ndarray, coefficients: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Take one Fourier component out of all residue functions, in place.

    :param samples: (2 L - 2, V) float32, as `_residue_functions` gives them
    :param coefficients: (V,) complex64, the component in each voxel's spectrum
    :param waves: (2 L - 2, 2) float32, what real and imaginary part add
    """
    parts = coefficients.view(np.float32).reshape(-1, 2)
    # BLAS counts columns first: seen through its eyes, this is samples^T -= parts waves^T, written over itself.
    return sgemm(-1.0, parts.T, waves.T, 1.0, samples.T, trans_a=True, overwrite_c=True).T
