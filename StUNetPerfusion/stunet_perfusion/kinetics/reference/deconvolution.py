"""Oscillation-index block-circulant deconvolution of all voxels at once.

After Wu et al., Magn Reson Med 50:164, 2003, with the constants of FSL's asl_mfree. Every voxel has the same AIF, so
all residue functions lose the same Fourier components in the same order. The oscillation index does not fall steadily
while they go, so every level of truncation has to be tested, up to the first that is quiet enough.

Two passes. The first removes one component at a time from all voxels in single precision, and finds for each the
first level that does not oscillate too much beyond all doubt of rounding. The second starts there, in double
precision, and decides. It gives the same from level 0: the first pass only saves time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.linalg.blas import sgemm

from stunet_perfusion.kinetics.reference.circulant import (
    LARGEST_OSCILLATION_INDEX,
    aif_spectrum,
    is_negligible,
    padded_length,
)
from stunet_perfusion.kinetics.reference.processes import compute_in_parts
from stunet_perfusion.support.processors import processors
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: Samples of residue functions that are worked on together: 1.5 MB with their differences, which stays in a
#: processor's own cache. Products of this size are also the largest that OpenBLAS does not spread over threads: these
#: would cost more than they bring.
_SAMPLES_AT_ONCE = 2**17

#: Less than this many voxels for each process are not worth starting one.
_FEWEST_VOXELS_A_PROCESS = 20_000

#: In the first pass the residue functions are computed anew from their spectra after so many levels, so that rounding
#: does not add up, and when this share of the voxels is done, to lose these.
_LEVELS_BETWEEN_REBUILDS = 16
_SHARE_DONE_TO_REBUILD = 0.3

#: Bound of all rounding in the first pass, for each of the L samples, over L and the sum of a voxel's amplitudes: 16
#: updates and the transform of second differences that are up to four times as large, and the sum over L of them, at
#: 6e-8 each.
_ROUNDING = 4e-7


@dataclass(frozen=True, eq=False)
class _System:
    """What all voxels have in common.

    :param frames: N
    :param length: L
    :param inverse: (K, 1) complex, one over the AIF's spectrum, 0 where that is negligible; K = L // 2 + 1
    :param order: (K,) Fourier components from the smallest singular value up
    :param waves: (K, L, 2) float32, what the real and the imaginary part of component k add to the residue function
    :param bends: (K, L - 2, 2) float32, what they add to its second differences
    """

    frames: int
    length: int
    inverse: np.ndarray
    order: np.ndarray
    waves: np.ndarray
    bends: np.ndarray


def oscillation_index_flow(
    concentration: np.ndarray,
    aif: np.ndarray,
    frame_interval: float,
    workers: int | None = None,
    check_cancelled: CheckCancelled = never_cancelled,
) -> tuple[np.ndarray, np.ndarray]:
    """CBF and Tmax by deconvolution: the signed maximum of the residue function, truncated until it oscillates little
    enough, and when it is reached (Calamante 2010, Stroke 41:1169).

    The residue function is circular: what peaks in the padding is tissue that the agent reaches before the artery that
    was measured, and its Tmax is 0. Between frames the maximum is that of the parabola through its neighbors.
    OSIPI CAPLEX has a code for the arterial delay (Q.PH1.007), which Tmax holds besides dispersion, none for Tmax.

    :param concentration: (N, V) delta R2* of V voxels, in the unit of the AIF
    :param aif: (N,) delta R2* of the artery
    :param frame_interval: TR in seconds, the frames being evenly spaced
    :param workers: processes (Linux only, elsewhere one); None takes as many as help
    :returns: (V,) float64 CBF in 1/s, NaN where a curve has NaN or infinity; and (V,) float64 Tmax in seconds
    :raises InputError: an AIF without positive area
    """
    system = _system(aif, frame_interval)

    def deconvolve(part: slice) -> np.ndarray:
        check_cancelled()
        with np.errstate(invalid="ignore", over="ignore"):
            spectra = _residue_spectra(concentration[:, part], system)
            return _quiet_maximum(spectra, system, _first_level_in_doubt(spectra, system))

    voxels = concentration.shape[1]
    if workers is None:
        workers = min(processors(), max(voxels // _FEWEST_VOXELS_A_PROCESS, 1))
    part = max(_SAMPLES_AT_ONCE // system.length, 1)
    cbf, frames = compute_in_parts(deconvolve, voxels, part, workers, values=2).T
    return np.ascontiguousarray(cbf), frames * frame_interval


def oscillation_index_cbf(
    concentration: np.ndarray,
    aif: np.ndarray,
    frame_interval: float,
    workers: int | None = None,
    check_cancelled: CheckCancelled = never_cancelled,
) -> np.ndarray:
    """(V,) float64 CBF in 1/s, see `oscillation_index_flow`."""
    return oscillation_index_flow(concentration, aif, frame_interval, workers, check_cancelled)[0]


def _system(aif: np.ndarray, frame_interval: float) -> _System:
    frames, length = len(aif), padded_length(len(aif))
    spectrum = aif_spectrum(aif, frame_interval)
    gone = is_negligible(np.abs(spectrum), length)
    inverse = np.where(gone, 0, 1 / np.where(gone, 1, spectrum))
    components = np.arange(len(spectrum))
    angle = 2 * np.pi * np.outer(components, np.arange(length)) / length
    share = np.where(2 * components % length == 0, 1, 2)[:, None] / length
    waves = np.stack([share * np.cos(angle), -share * np.sin(angle)], axis=-1)
    bends = np.diff(waves, 2, axis=1)
    order = np.argsort(np.abs(spectrum), kind="stable")
    return _System(frames, length, inverse[:, None], order, waves.astype(np.float32), bends.astype(np.float32))


def _residue_spectra(concentration: np.ndarray, system: _System) -> np.ndarray:
    """(K, V) complex128: spectra of the residue functions without truncation.

    :param concentration: (N, V)
    """
    return scipy.fft.rfft(concentration.astype(np.float64), system.length, axis=0) * system.inverse


def _quiet_maximum(spectra: np.ndarray, system: _System, level: np.ndarray) -> np.ndarray:
    """(V, 2) maximum of each residue function at its first level, from `level` on, that is quiet enough, and the frame
    that it is in.

    :param spectra: (K, V) complex128
    :param level: (V,) number of components that are removed to begin with
    """
    length, last = system.length, len(system.order) - 1
    rank = np.argsort(system.order)[:, None]
    found, level = np.empty((spectra.shape[1], 2)), level.copy()
    pending = np.arange(len(found))
    while len(pending):
        kept = np.where(rank >= level[pending], spectra[:, pending], 0)
        residue, differences = _residue_functions(kept, length)
        maximum = residue.max(axis=0)
        oscillation = np.abs(differences).sum(axis=0)
        allowed = LARGEST_OSCILLATION_INDEX * np.where(level[pending] == 0, system.frames, length) * maximum
        # A curve that is nowhere positive has a negative index, one with NaN has none: both stay as they are.
        loud = (maximum >= 0) & (oscillation > allowed) & (level[pending] < last)
        found[pending[~loud], 0] = maximum[~loud]
        found[pending[~loud], 1] = _frame_of_maximum(residue[:, ~loud], system.frames)
        pending = pending[loud]
        level[pending] += 1
    return found


def _frame_of_maximum(residue: np.ndarray, frames: int) -> np.ndarray:
    """(V,) frame of the maximum of (L, V) residue functions, between frames by a parabola; 0 in the padding."""
    length, voxels = residue.shape
    highest = np.argmax(residue, axis=0)
    place = np.arange(voxels)
    before, at, after = (residue[(highest + step) % length, place] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(highest < frames, np.maximum(highest + np.clip(shift, -0.5, 0.5), 0), 0.0)


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
        residue, differences = _residue_functions(spectra, length)
        moduli = np.empty_like(differences)
        rounding = np.float32(2 * _ROUNDING * length) * np.abs(spectra.view(np.float32)).sum(axis=0).reshape(-1, 2).sum(
            axis=1
        )
        loud = np.ones(len(voxels), dtype=bool)
        loud_levels = np.zeros(len(voxels), dtype=np.intp)
        rebuild_at, enough = min(level + _LEVELS_BETWEEN_REBUILDS, last), (1 - _SHARE_DONE_TO_REBUILD) * len(voxels)
        while True:
            maximum = residue.max(axis=0)
            oscillation = np.abs(differences, out=moduli).sum(axis=0)
            allowed = np.float32(LARGEST_OSCILLATION_INDEX * (length if level else system.frames)) * maximum + rounding
            loud &= oscillation > allowed
            loud &= maximum > rounding
            loud_levels += loud
            component = system.order[level]
            level += 1
            if level == rebuild_at or np.count_nonzero(loud) <= enough:
                break
            residue = _without(residue, spectra[component], system.waves[component])
            differences = _without(differences, spectra[component], system.bends[component])
        found[voxels] += loud_levels
        voxels, spectra = voxels[loud], np.compress(loud, spectra, axis=1)
        spectra[system.order[:level]] = 0
    return found


def _residue_functions(spectra: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(L, V) residue functions and (L - 2, V) their second differences, in the precision of the spectra.

    :param spectra: (K, V) complex
    """
    residue = scipy.fft.irfft(spectra, length, axis=0)
    differences = residue[2:] + residue[:-2]
    differences -= residue[1:-1]
    differences -= residue[1:-1]
    return residue, differences


def _without(samples: np.ndarray, coefficients: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Take one Fourier component out of all residue functions, or out of their differences, in place.

    :param samples: (M, V) float32
    :param coefficients: (V,) complex64, the component in each voxel's spectrum
    :param waves: (M, 2) float32, what real and imaginary part add
    """
    parts = coefficients.view(np.float32).reshape(-1, 2)
    # BLAS counts columns first: seen through its eyes, this is samples^T -= parts waves^T, written over itself.
    return sgemm(-1.0, parts.T, waves.T, 1.0, samples.T, trans_a=True, overwrite_c=True).T
