"""How fast the deconvolution is on this machine, all voxels at once and one after another."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import scipy.fft

from stunet_perfusion.kinetics.reference.deconvolution import oscillation_index_cbf
from stunet_perfusion.kinetics.reference.voxelwise import fourier_decomposition, voxel_cbf
from stunet_perfusion.support.progress import Progress, no_progress

FRAME_INTERVAL = 1.5
ECHO_TIME = 0.03

#: CBV (fraction) and MTT (s) of gray matter, white matter, CSF and what is neither, and their share of the voxels.
_SHARES = (0.4, 0.35, 0.1, 0.15)
_CBV = (0.0525, 0.021, 0.003, 0.0)
_MTT = (4.0, 4.8, 6.0, 5.0)

#: Steps in which curves are made, much finer than frames, seconds.
_FINE_STEP = 0.1


@dataclass(frozen=True)
class DeconvolutionSpeed:
    """Voxels a second of the same deconvolution in two ways, measured in one run.

    :param voxels: how many were deconvolved at once
    :param frames: N
    :param batched: voxels a second, all at once
    :param loop_voxels: how many of them were deconvolved one after another
    :param loop: voxels a second, one after another
    :param largest_difference: between the two CBF, relative
    """

    voxels: int
    frames: int
    batched: float
    loop_voxels: int
    loop: float
    largest_difference: float

    @property
    def ratio(self) -> float:
        """How many times faster all at once is."""
        return self.batched / self.loop


def measure_deconvolution(
    voxels: int, frames: int = 60, loop_voxels: int = 500, workers: int | None = None, progress: Progress = no_progress
) -> DeconvolutionSpeed:
    """Deconvolve brain-like curves at SNR 100 all at once, and some of them one after another.

    :param voxels: how many at once
    :param workers: processes of the former; None takes as many as help
    """
    progress(0.0, "Making brain-like curves")
    curves, aif = brain_like_curves(voxels, frames)
    progress(0.3, f"Deconvolving {voxels} voxels at once")
    start = perf_counter()
    at_once = oscillation_index_cbf(curves, aif, FRAME_INTERVAL, workers)
    batched = voxels / (perf_counter() - start)
    chosen = np.linspace(0, voxels - 1, min(loop_voxels, voxels)).astype(int)
    progress(0.8, f"Deconvolving {len(chosen)} voxels one after another")
    decomposition = fourier_decomposition(aif, FRAME_INTERVAL)
    start = perf_counter()
    one_by_one = np.array([voxel_cbf(curve, decomposition) for curve in curves[:, chosen].T])
    loop = len(chosen) / (perf_counter() - start)
    difference = np.abs(at_once[chosen] - one_by_one) / np.abs(one_by_one)
    return DeconvolutionSpeed(voxels, frames, batched, len(chosen), loop, float(difference.max()))


def brain_like_curves(voxels: int, frames: int, snr: float = 100.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Concentrations of gray and white matter, CSF and empty voxels, as measured at TE 30 ms and TR 1.5 s.

    A gamma-variate AIF with recirculation, exponential residue functions, delays of 0 to 3 s, Rician noise.

    :param snr: baseline signal over its standard deviation
    :returns: (T, V) float32 tissue and (T,) float64 arterial delta R2*, 1/s
    """
    generator = np.random.default_rng(seed)
    fine = np.arange(0, frames * FRAME_INTERVAL, _FINE_STEP)
    every = round(FRAME_INTERVAL / _FINE_STEP)
    since = np.clip(fine - 15.0, 0, None)
    first_pass = since**3 * np.exp(-since / 1.5)
    again = np.convolve(np.interp(fine - 12.0, fine, first_pass, left=0), np.exp(-fine / 20.0))[: len(fine)]
    aif = 300 * (first_pass / first_pass.max() + 0.06 * again / again.max())

    tissue = generator.choice(len(_SHARES), voxels, p=_SHARES)
    cbv = np.array(_CBV)[tissue] * np.exp(0.25 * generator.standard_normal(voxels))
    mtt = np.array(_MTT)[tissue] * np.exp(0.15 * generator.standard_normal(voxels))
    delay = generator.uniform(0, 3, voxels)
    length = scipy.fft.next_fast_len(2 * len(fine), real=True)
    spectrum = scipy.fft.rfft(aif, length)
    omega = 2 * np.pi * scipy.fft.rfftfreq(length, _FINE_STEP)
    curves = np.empty((frames, voxels), dtype=np.float32)
    for start in range(0, voxels, 4096):
        part = slice(start, start + 4096)
        transfer = cbv[part, None] * np.exp(-1j * omega * delay[part, None]) / (1 + 1j * omega * mtt[part, None])
        clean = scipy.fft.irfft(spectrum * transfer, length)[:, : len(fine) : every].T
        noise = generator.standard_normal((2, *clean.shape)) / snr
        curves[:, part] = np.hypot(np.exp(-ECHO_TIME * clean) + noise[0], noise[1])
    curves /= curves[:8].mean(axis=0)
    return -np.log(curves) / np.float32(ECHO_TIME), aif[::every]
