"""From MR signal to contrast agent concentration."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.errors import InputError

#: Where TE is not known, concentrations are in units of TE * delta R2*. Every ratio of two of them is the same.
UNKNOWN_ECHO_TIME = 1.0


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
    quotient = np.divide(signal, baseline, out=np.zeros_like(signal), where=baseline != 0)
    result = -quotient
    positive = quotient > 0
    np.log(quotient, out=result, where=positive, dtype=np.float64, casting="same_kind")
    np.negative(result, out=result, where=positive)
    result /= echo_time
    return result


def concentration_curves(signal: np.ndarray, baseline_frames: int, echo_time: float | None) -> np.ndarray:
    """`concentration` with S0 from the first `baseline_frames` frames of the same signal. (T, ...) both ways."""
    return concentration(signal, baseline_signal(signal, baseline_frames), echo_time)
