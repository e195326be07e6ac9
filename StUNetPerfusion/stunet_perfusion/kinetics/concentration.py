"""From MR signal to contrast agent concentration."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.support.errors import InputError

#: Where TE is not known, concentrations are in units of TE * delta R2*. Every ratio of two of them is the same.
UNKNOWN_ECHO_TIME = 1.0

#: So many values are turned into concentrations at a time: they stay in a processor's cache through all the steps.
_VALUES_AT_ONCE = 2**16


def baseline_signal(signal: np.ndarray, baseline_frames: int) -> np.ndarray:
    """S0, the signal before the bolus: the mean of the first `baseline_frames` frames.

    :param signal: (T, ...)
    :param baseline_frames: 1 gives the first frame, as Verbena takes it; a mean over more is less noisy
    :returns: (...) in the unit of the signal
    """
    if not 1 <= baseline_frames <= len(signal):
        raise InputError(
            "baseline", f"{baseline_frames} frames of {len(signal)} make no baseline", "give a number from 1 to those"
        )
    return signal[:baseline_frames].mean(axis=0)


def concentration(signal: np.ndarray, baseline: np.ndarray, echo_time: float | None) -> np.ndarray:
    """C(t) = -ln(S(t) / S0) / TE, with the conventions of FSL's asl_mfree for voxels that have no logarithm.

    Where S0 is 0 the quotient is taken as 0; where the quotient q is 0 or negative, C = -q / TE. The logarithm is
    taken in double precision and rounded once, the rest is computed in the signal's type: bit for bit what
    asl_mfree's pipeline computes from a float32 series.

    :param signal: (T, ...)
    :param baseline: (...) S0
    :param echo_time: TE in seconds, or None where it is not known: C is then TE * delta R2*, without unit
    :returns: (T, ...) delta R2* in 1/s, of the signal's floating type
    """
    echo_time = UNKNOWN_ECHO_TIME if echo_time is None else echo_time
    usable = baseline != 0
    has_baseline = True if np.all(usable) else usable
    result = np.zeros_like(signal)
    frames = max(_VALUES_AT_ONCE // max(signal[:1].size, 1), 1)
    for start in range(0, len(signal), frames):
        block = result[start : start + frames]
        np.divide(signal[start : start + frames], baseline, out=block, where=has_baseline)
        positive = block > 0
        where = True if positive.all() else positive
        np.log(block, out=block, where=where, dtype=np.float64, casting="same_kind")
        np.negative(block, out=block)
        block /= echo_time
    return result


def area_under_curves(signal: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """sum_t -ln(S(t) / S0) over all frames, in the signal's own precision: for what no original has to be met by.

    In single precision that is far finer than the noise of any scan, and several times as fast as `concentration`,
    with the same conventions.

    :param signal: (T, ...) floating
    :param baseline: (...) S0
    :returns: (...) without unit, of the signal's type
    """
    usable = baseline != 0
    # 0 / 1 is what `concentration` takes for 0 / 0. What is left of other frames there is taken away at the end.
    divisor = np.where(usable, baseline, signal.dtype.type(1))
    area, curve = np.zeros_like(divisor), np.empty_like(divisor)
    for frame in signal:
        np.divide(frame, divisor, out=curve)
        np.log(curve, out=curve, where=curve > 0)
        area -= curve
    area *= usable
    return area


def concentration_curves(signal: np.ndarray, baseline_frames: int, echo_time: float | None) -> np.ndarray:
    """`concentration` with S0 from the first `baseline_frames` frames of the same signal. (T, ...) both ways."""
    return concentration(signal, baseline_signal(signal, baseline_frames), echo_time)
