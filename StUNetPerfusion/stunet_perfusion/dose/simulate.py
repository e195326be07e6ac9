"""Simulation of a lower contrast dose from a full-dose series.

The dose d in (0, 1] is the share of the injected contrast agent that is kept.

`equation1` is the method of Veron Vialard et al. 2021, equation 1: S_d(t) = S(t) - (1 - d) (Sbar(t) - S(0)), with
Sbar a centered moving average over 5 frames, whole and mirrored at the ends, and S(0) the mean of the baseline. It is
an invertible linear filter of the same noisy data and therefore understates the noise of a low-dose map; use it to
compare with that paper.

`noise-matched` scales the relaxation rate: S_d(t) = S0 (S(t) / S0)^d, which is exact where the signal decays with one
exponential. Doing so damps the noise of the scan by g = d (S/S0)^(d-1), so that normal noise of variance
sigma^2 (1 - g^2) is added where g < 1, sigma from the voxel's own baseline: the result carries the noise that a real
low-dose scan would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.series import DscSeries, SimulatedDose
from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress

Method = Literal["equation1", "noise-matched"]
#: Ours, with the noise that a scan of the lower dose would have; the paper's is asked for by name or preset.
DEFAULT_METHOD: Method = "noise-matched"

METHODS: tuple[Method, ...] = get_args(Method)

#: Equation 1 is computed for so many values at a time.
_VALUES_AT_ONCE = 2**17


def simulate_slice(
    signal: np.ndarray,
    baseline_frames: int,
    dose: float,
    method: Method,
    generator: np.random.Generator,
    window: int = 5,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """One slice at a lower dose.

    :param signal: (T, Y, X) float32, steady frames only; any shape after T will do
    :param baseline_frames: number of first frames without contrast
    :param dose: share of the dose that is kept, in (0, 1]; 1 returns a copy of the signal, bit for bit
    :param method: "equation1" or "noise-matched"
    :param generator: the source of the noise, one child of it a frame; "equation1" does not use it
    :param window: frames of the moving average of equation 1, odd
    :param out: where the result is put, float32 of the shape of `signal`, which it may be itself
    :returns: the shape of `signal`, float32, finite and never below 0, as a magnitude is not
    :raises InputError: a dose, method or window that is none, or a baseline too short for the method
    """
    check_dose(dose, method, window)
    result = np.empty(signal.shape, np.float32) if out is None else out
    if dose == 1:
        result[...] = signal
        return result
    signal = np.asarray(signal, dtype=np.float32)
    if method == "equation1":
        _by_equation1(signal, baseline_signal(signal, baseline_frames), dose, window, result)
        return result
    baseline = NoisyBaseline.of(signal, baseline_frames)
    # One frame stays in a processor's cache through all the steps; a slice does not.
    # A generator for each frame lets a preview draw a late one without all that come before it.
    for frame, source in enumerate(generator.spawn(len(signal))):
        one = slice(frame, frame + 1)
        noise = source.standard_normal(signal[one].shape, dtype=np.float32)
        result[one] = lower_with_noise(signal[one], baseline, dose, noise)
    return result


def _by_equation1(signal: np.ndarray, baseline: np.ndarray, dose: float, window: int, result: np.ndarray) -> None:
    """Equation 1 for all frames, some rows at a time: these stay in a processor's cache.

    :param signal: (T, Y, ...)
    :param baseline: (Y, ...)
    :param result: of the shape of `signal`, which it may be itself
    """
    rows = max(_VALUES_AT_ONCE // max(signal[:, :1].size, 1), 1)
    for start in range(0, signal.shape[1], rows):
        block = np.s_[start : start + rows]
        some = np.ascontiguousarray(signal[:, block])
        result[:, block] = lower_by_equation1(some, moving_average(some, window), baseline[block], dose)


def frame_generator(seed: int, z: int, frame: int) -> np.random.Generator:
    """The source of the noise of one frame, where that of the whole slice z is `np.random.default_rng([seed, z])`."""
    return np.random.default_rng(np.random.SeedSequence([seed, z], spawn_key=(frame,)))


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
    slice of the whole series; `frame_generator` is that of one of its frames.

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

    def simulate(z: int) -> None:
        generator = np.random.default_rng([seed, z])
        simulate_slice(series.signal[:, z], baseline_frames, dose, method, generator, window, target[:, z])

    progress(0.0, "Simulating the low dose")
    for done, _ in enumerate(by_slice(simulate, range(slices)), start=1):
        progress(done / slices, "Simulating the low dose")
    before = 1.0 if series.simulated is None else series.simulated.dose
    simulated = SimulatedDose(before * dose, method, seed if method == "noise-matched" else None)
    lowered = replace(series, signal=target, simulated=simulated)
    return lowered.with_note(f"Simulated at {dose:g} of the dose ({method}).")


def check_dose(dose: float, method: str, window: int = 5) -> Method:
    """Refuse what no dose can be simulated with.

    :returns: the method, now that it is known to be one
    :raises InputError: a dose outside (0, 1], an unknown method, or a window that is not odd and positive
    """
    if not 0 < dose <= 1:
        raise InputError("dose", f"{dose:g} is not in (0, 1]", "give the share that is kept, for example 0.5")
    known = next((each for each in METHODS if each == method), None)
    if known is None:
        raise InputError("dose", f"there is no method '{method}'", f"choose {' or '.join(METHODS)}")
    if window < 1 or window % 2 == 0:
        raise InputError("window", f"{window} frames have no middle one", "give an odd number, for example 5")
    return known


def lower_by_equation1(signal: np.ndarray, average: np.ndarray, baseline: np.ndarray, dose: float) -> np.ndarray:
    """Equation 1 for any frames.

    :param signal: (..., Y, X) float32, one frame or several
    :param average: of the same shape, Sbar at these frames; it is overwritten
    :param baseline: (Y, X) S(0)
    :param dose: in (0, 1)
    :returns: the signal at the lower dose, in the memory of `average`
    """
    average -= baseline
    average *= np.float32(dose - 1)
    average += signal
    return np.maximum(average, 0, out=average)


def moving_average(signal: np.ndarray, window: int) -> np.ndarray:
    """Centered mean over `window` frames, with the frames beyond the ends mirrored, so that every window is whole.

    The paper does not say how it treats the ends. With whole windows the first frame keeps its own noise, and a map
    whose baseline is the first frame degrades as in the paper's Table 1; a window that shrinks at the ends takes the
    first frame's noise away with the dose (`Resources/Evaluation/equation1_calibration.md`).

    :param signal: (T, ...)
    :param window: odd; a longer one than the series and its mirror image hold is as long as they allow
    :returns: (T, ...) of the signal's type
    """
    result = np.empty_like(signal)
    frames = len(signal)
    half = _half_window(frames, window)
    for edge in range(min(half, frames)):
        for frame in (edge, frames - 1 - edge):
            result[frame] = centered_mean(signal, frame, window)
    # The others at once, added up in the order of `centered_mean`.
    if frames > 2 * half:
        inner = result[half : frames - half]
        inner[...] = signal[: len(inner)]
        for later in range(1, 2 * half + 1):
            inner += signal[later : later + len(inner)]
        inner *= np.float32(1 / (2 * half + 1))
    return result


def centered_mean(signal: np.ndarray, frame: int, window: int) -> np.ndarray:
    """`moving_average` at one frame: (...) of the signal's type."""
    frames = len(signal)
    half = _half_window(frames, window)
    first, *others = (_mirrored(each, frames) for each in range(frame - half, frame + half + 1))
    total = signal[first].copy()
    for other in others:
        total += signal[other]
    total *= np.float32(1 / (2 * half + 1))
    return total


def _half_window(frames: int, window: int) -> int:
    """Frames before and after a window's middle: mirrored once, a series has no more than it is long."""
    return min(window // 2, frames - 1)


def _mirrored(frame: int, frames: int) -> int:
    """The frame that stands for one beyond the ends: the first and the last are mirrors, and are not repeated."""
    frame = abs(frame)
    return frame if frame < frames else 2 * (frames - 1) - frame


@dataclass(frozen=True, eq=False)
class NoisyBaseline:
    """What `noise-matched` needs to know of the frames before the bolus. All are (Y, X).

    :param log_mean: logarithm of S0
    :param variance: of the signal over the baseline frames
    :param usable: bool, where S0 is positive. Without a baseline there is no relative drop to scale.
    """

    log_mean: np.ndarray
    variance: np.ndarray
    usable: np.ndarray

    @classmethod
    def of(cls, signal: np.ndarray, baseline_frames: int) -> NoisyBaseline:
        """From a signal (T, Y, X).

        :raises InputError: a baseline too short to show its noise
        """
        if baseline_frames < 2:
            raise InputError(
                "baseline", f"{baseline_frames} frame tells nothing about the noise", "use 2 or more baseline frames"
            )
        mean = baseline_signal(signal, baseline_frames)
        variance = signal[:baseline_frames].var(axis=0, ddof=1)
        return cls(np.log(np.maximum(mean, np.finfo(np.float32).tiny)), variance, mean > 0)

    def at(self, row: int, column: int) -> NoisyBaseline:
        """That of one voxel."""
        return NoisyBaseline(self.log_mean[row, column], self.variance[row, column], self.usable[row, column])


def lower_with_noise(signal: np.ndarray, baseline: NoisyBaseline, dose: float, noise: np.ndarray) -> np.ndarray:
    """`noise-matched` for any frames.

    Voxels without baseline stay as they are. Where the signal itself is gone, so is the simulated one.

    :param signal: (..., Y, X) float32, one frame or several
    :param baseline: of the voxels
    :param dose: in (0, 1)
    :param noise: of the same shape, standard normal; it is overwritten
    """
    safe_signal = np.maximum(signal, np.finfo(np.float32).tiny)
    # S0 (S/S0)^d as exp(ln S0 + d (ln S - ln S0)), whose steps cannot overflow
    result = np.log(safe_signal)
    result -= baseline.log_mean
    result *= np.float32(dose)
    result += baseline.log_mean
    np.exp(result, out=result)
    # 1 - g^2 where g < 1, with g = d (S/S0)^(d-1) = d S_d / S
    with np.errstate(over="ignore"):
        damping = np.divide(result, safe_signal, out=safe_signal)
    damping *= np.float32(dose)
    np.minimum(damping, 1, out=damping)
    np.square(damping, out=damping)
    np.subtract(1, damping, out=damping)
    damping *= baseline.variance
    np.sqrt(damping, out=damping)
    noise *= damping
    result += noise
    result[(signal <= 0) & baseline.usable] = 0
    result = np.where(baseline.usable, result, signal)
    return np.maximum(result, 0, out=result)
