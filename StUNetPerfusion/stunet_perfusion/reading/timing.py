"""When the frames were taken and at which echo time: what the user says, else the sidecar, else the file."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.reading.sidecar import Sidecar
from stunet_perfusion.support.errors import InputError, Setting

#: DSC series are taken every 0.5 to 3 s; the bounds are wide, but tell seconds from milliseconds.
FRAME_INTERVALS = (0.05, 20.0)
#: Gradient and spin echo DSC have TE 5 to 110 ms; likewise.
ECHO_TIMES = (0.001, 0.25)

#: A number without unit: no DSC series is slower than one frame in 100 s or faster than one in 0.1 s.
_SMALLEST_MILLISECONDS = 100.0

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "µs", "μs", "microsecond", "microseconds"), 1e-6),
}

_EVEN = 0.01


def seconds_in(unit: str) -> float | None:
    """Seconds in one `unit` as file headers spell it, or None where it is no unit of time."""
    return _SECONDS.get(unit.strip().lower())


def unknown_unit(interval: float) -> tuple[float, str]:
    """The unit of a frame interval that came without one.

    :returns: seconds in that unit, and a note for the user
    """
    name, seconds = ("milliseconds", 1e-3) if interval >= _SMALLEST_MILLISECONDS else ("seconds", 1.0)
    return seconds, f"The file gives {interval:g} between frames without a unit; taken as {name}."


def decide_times(
    name: str, frames: int, recorded: np.ndarray | None, sidecar: Sidecar, frame_interval: float | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Times of all frames.

    The file's own times are kept beside a sidecar that gives only a repetition time where both agree to 1 %, since
    they may be uneven and the repetition time is not.

    :param recorded: (T,) seconds from the file, or None
    :param frame_interval: seconds, what the user says, or None
    :returns: (T,) seconds and notes
    :raises InputError: nobody says, or what is said cannot be
    """
    if frame_interval is not None:
        _check(Setting.FRAME_INTERVAL, frame_interval, FRAME_INTERVALS, "DSC frames are", "1.5")
        return np.arange(frames) * float(frame_interval), ()
    told = sidecar.volume_timing(frames)
    if told is not None:
        return told, (f"Frame times come from {sidecar.timing_origin}.", *_uneven(told))
    interval = sidecar.repetition_time
    if interval is not None:
        origin = sidecar.origin("RepetitionTime")
        _check(f"{origin}: RepetitionTime", interval, FRAME_INTERVALS, "DSC frames are", "1.5")
        if recorded is None:
            return np.arange(frames) * interval, (f"The frame interval, {interval:g} s, comes from {origin}.",)
        own = float(np.median(np.diff(recorded))) if frames > 1 else interval
        if abs(own - interval) > _EVEN * interval:
            note = f"The frame interval is {interval:g} s by {origin}, not {own:g} s as the file itself says."
            return np.arange(frames) * interval, (note,)
    if recorded is None:
        fact = "does not say how much time is between its frames"
        raise InputError(name, fact, "give the time between frames in seconds", Setting.FRAME_INTERVAL)
    return recorded, _uneven(recorded)


def decide_echo_time(
    recorded: float | None, sidecar: Sidecar, echo_time: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """TE in seconds and notes; None where nobody says.

    :param recorded: seconds from the file, or None
    :param echo_time: seconds, what the user says, or None
    :raises InputError: what is said cannot be
    """
    if echo_time is not None:
        _check(Setting.ECHO_TIME, echo_time, ECHO_TIMES, "DSC has echo times of", "0.03")
        return float(echo_time), ()
    if sidecar.echo_time is not None:
        origin = sidecar.origin("EchoTime")
        _check(f"{origin}: EchoTime", sidecar.echo_time, ECHO_TIMES, "DSC has echo times of", "0.03")
        if recorded is not None and abs(recorded - sidecar.echo_time) > _EVEN * sidecar.echo_time:
            note = f"TE is {sidecar.echo_time:g} s by {origin}, not {recorded:g} s as the file itself says."
            return sidecar.echo_time, (note,)
        return sidecar.echo_time, ()
    if recorded is not None and not ECHO_TIMES[0] <= recorded <= ECHO_TIMES[1]:
        note = f"The file's echo time, {recorded:g} s, is not possible and is ignored; give the echo time in seconds."
        return None, (note,)
    return recorded, ()


def _check(subject: str | Setting, value: float, bounds: tuple[float, float], what: str, example: str) -> None:
    lowest, highest = bounds
    if np.isfinite(value) and lowest <= value <= highest:
        return
    in_seconds = value / 1000
    way_out = f"write it in seconds, for example {example}"
    if np.isfinite(value) and lowest <= in_seconds <= highest:
        way_out = f"it looks like milliseconds and should be in seconds, {in_seconds:g}"
    raise InputError(subject, f"is {value:g} s, and {what} {lowest:g} to {highest:g} s", way_out)


def _uneven(times: np.ndarray) -> tuple[str, ...]:
    """A note about the oddest step, where one differs from the median by more than 5 %."""
    steps = np.diff(times)
    if len(steps) == 0 or not (steps > 0).all():
        return ()
    median = float(np.median(steps))
    odd = int(np.argmax(np.abs(steps - median)))
    if abs(steps[odd] - median) <= 0.05 * median:
        return ()
    note = (
        f"The frames are not evenly spaced: {steps[odd]:.4g} s between frames {odd} and {odd + 1}, "
        f"{median:.4g} s as a rule."
    )
    multiple = steps[odd] / median
    if multiple > 1.5 and abs(multiple - round(multiple)) < 0.05:
        note += " A frame may be missing there."
    return (note,)
