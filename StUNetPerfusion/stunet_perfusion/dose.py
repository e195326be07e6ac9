"""Simulation of a lower contrast dose from a full-dose series.

The dose d in (0, 1] is the share of the injected contrast agent that is kept.

`equation1` is the method of Veron Vialard et al. 2021, equation 1: S_d(t) = S(t) - (1 - d) (Sbar(t) - S(0)), with
Sbar a centered moving average over time. It is an invertible linear filter of the same noisy data and therefore
understates the noise of a low-dose map; use it to compare with that paper.

`noise-matched` scales the relaxation rate: S_d(t) = S0 (S(t) / S0)^d, which is exact where the signal decays with one
exponential. Doing so damps the noise of the scan by g = d (S/S0)^(d-1), so that normal noise of variance
sigma^2 (1 - g^2) is added where g < 1, sigma from the voxel's own baseline: the result carries the noise that a real
low-dose scan would.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from stunet_perfusion.concentration import baseline_signal
from stunet_perfusion.errors import InputError
from stunet_perfusion.progress import Progress, no_progress
from stunet_perfusion.series import DscSeries

Method = Literal["equation1", "noise-matched"]
METHODS: tuple[str, ...] = get_args(Method)


def simulate_slice(
    signal: np.ndarray,
    baseline_frames: int,
    dose: float,
    method: Method,
    generator: np.random.Generator,
    window: int = 5,
) -> np.ndarray:
    """One slice at a lower dose.

    :param signal: (T, Y, X) float32, steady frames only; any shape after T will do
    :param baseline_frames: number of first frames without contrast
    :param dose: share of the dose that is kept, in (0, 1]; 1 returns a copy of the signal, bit for bit
    :param method: "equation1" or "noise-matched"
    :param generator: the source of the noise; "equation1" does not use it
    :param window: frames of the moving average of equation 1, odd
    :returns: the shape of `signal`, float32, finite and never below 0, as a magnitude is not
    :raises InputError: a dose, method or window that is none, or a baseline too short for the method
    """
    check_dose(dose, method, window)
    if dose == 1:
        return signal.astype(np.float32, copy=True)
    signal = np.asarray(signal, dtype=np.float32)
    if method == "equation1":
        result = _equation1(signal, baseline_signal(signal, baseline_frames), dose, window)
    else:
        result = _noise_matched(signal, baseline_frames, dose, generator)
    return np.maximum(result, 0, out=result)


def simulate_dose(
    series: DscSeries,
    baseline_frames: int,
    dose: float,
    method: Method = "equation1",
    seed: int = 0,
    window: int = 5,
    in_place: bool = False,
    progress: Progress = no_progress,
) -> DscSeries:
    """A series at a lower dose, slice by slice.

    Slice z draws its noise from `np.random.default_rng([seed, z])`, so that one slice computed alone equals the same
    slice of the whole series.

    :param series: steady frames only, (T, Z, Y, X)
    :param baseline_frames: number of first frames without contrast
    :param dose: share of the dose that is kept, in (0, 1]
    :param method: "equation1" or "noise-matched"
    :param seed: of the noise
    :param window: frames of the moving average of equation 1, odd
    :param in_place: overwrite the signal of `series`, which saves the memory of a second one
    :returns: the low-dose series, with a note; at dose 1 it is `series` itself
    :raises InputError: as `simulate_slice`
    """
    check_dose(dose, method, window)
    if dose == 1:
        return series
    target = series.signal if in_place else np.empty_like(series.signal, dtype=np.float32)
    slices = series.signal.shape[1]
    for z in range(slices):
        progress(z / slices, "Simulating the low dose")
        generator = np.random.default_rng([seed, z])
        target[:, z] = simulate_slice(series.signal[:, z], baseline_frames, dose, method, generator, window)
    progress(1.0, "Simulating the low dose")
    return replace(series, signal=target).with_note(f"Simulated at {dose:g} of the dose ({method}).")


def check_dose(dose: float, method: str, window: int = 5) -> None:
    """Refuse what no dose can be simulated with.

    :raises InputError: a dose outside (0, 1], an unknown method, or a window that is not odd and positive
    """
    if not 0 < dose <= 1:
        raise InputError("dose", f"{dose:g} is not in (0, 1]", "give the share that is kept, for example 0.5")
    if method not in METHODS:
        raise InputError("dose", f"there is no method '{method}'", f"choose {' or '.join(METHODS)}")
    if window < 1 or window % 2 == 0:
        raise InputError("window", f"{window} frames have no middle one", "give an odd number, for example 5")


def _equation1(signal: np.ndarray, baseline: np.ndarray, dose: float, window: int) -> np.ndarray:
    result = moving_average(signal, window)
    result -= baseline
    result *= np.float32(dose - 1)
    result += signal
    return result


def moving_average(signal: np.ndarray, window: int) -> np.ndarray:
    """Centered mean over `window` frames.

    Near the ends the window shrinks on both sides alike, so that it stays centered: a signal that rises or falls
    evenly is returned as it is everywhere, which a one-sided window or repeated end frames would bend.

    :param signal: (T, ...)
    :param window: odd
    :returns: (T, ...) of the signal's type
    """
    frames = len(signal)
    half = min(window // 2, (frames - 1) // 2)
    result = np.empty_like(signal)
    middle = result[half : frames - half]
    np.copyto(middle, signal[: frames - 2 * half])
    for shift in range(1, 2 * half + 1):
        middle += signal[shift : frames - 2 * half + shift]
    middle *= np.float32(1 / (2 * half + 1))
    for edge in range(half):
        result[edge] = signal[: 2 * edge + 1].mean(axis=0)
        result[frames - 1 - edge] = signal[frames - 2 * edge - 1 :].mean(axis=0)
    return result


def _noise_matched(signal: np.ndarray, baseline_frames: int, dose: float, generator: np.random.Generator) -> np.ndarray:
    if baseline_frames < 2:
        raise InputError(
            "baseline", f"{baseline_frames} frame tells nothing about the noise", "use 2 or more baseline frames"
        )
    baseline = baseline_signal(signal, baseline_frames)
    variance = signal[:baseline_frames].var(axis=0, ddof=1)
    # Without a baseline there is no relative drop to scale: such voxels stay as they are. Where the signal itself
    # is gone, so is the simulated one.
    usable = baseline > 0
    safe_signal = np.maximum(signal, np.finfo(np.float32).tiny)
    # S0 (S/S0)^d as exp(ln S0 + d (ln S - ln S0)), whose steps cannot overflow
    log_baseline = np.log(np.maximum(baseline, np.finfo(np.float32).tiny))
    result = np.log(safe_signal)
    result -= log_baseline
    result *= np.float32(dose)
    result += log_baseline
    np.exp(result, out=result)
    # 1 - g^2 where g < 1, with g = d (S/S0)^(d-1) = d S_d / S
    with np.errstate(over="ignore"):
        damping = np.divide(result, safe_signal, out=safe_signal)
    damping *= np.float32(dose)
    np.minimum(damping, 1, out=damping)
    np.square(damping, out=damping)
    np.subtract(1, damping, out=damping)
    damping *= variance
    np.sqrt(damping, out=damping)
    noise = generator.standard_normal(signal.shape, dtype=np.float32)
    noise *= damping
    result += noise
    result[(signal <= 0) & usable] = 0
    return np.where(usable, result, signal)
