"""The tags by which scanners tell the frames of a DICOM series apart.

Every maker has habits of its own: Siemens writes when a slice was acquired, GE when it was triggered, Philips the
number of the dynamic scan. Enhanced (multi-frame) objects have their own names for the same things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stunet_perfusion.reading.timing import FRAME_INTERVALS

_SECONDS_PER_MINUTE = 60.0
_SECONDS_PER_HOUR = 3600.0

#: Digits of the date, `YYYYMMDD`, in front of the time in a DICOM date and time.
_DATE_DIGITS = 8


@dataclass(frozen=True)
class Rule:
    """A tag by which frames may be told apart.

    :param tag: its keyword, as messages name it
    :param read: its value as a number: seconds, or a count; None where it tells nothing
    :param is_time: whether its values are seconds; they are counts otherwise
    :param shared: whether all slices of a frame have the same value; slices have their own otherwise
    :param is_clock: whether the seconds are those of a day, and start again at midnight
    """

    tag: str
    read: Callable[[Any], float | None]
    is_time: bool
    shared: bool
    is_clock: bool = False


def seconds_of_day(text: object) -> float | None:
    """Seconds since midnight of a DICOM time, `HHMMSS.FFFFFF`, of which the end may be missing; None of all else."""
    digits = str(text or "").strip().replace(":", "")
    if len(digits) < 6 or not digits.replace(".", "", 1).isdigit():
        return None
    return _SECONDS_PER_HOUR * int(digits[:2]) + _SECONDS_PER_MINUTE * int(digits[2:4]) + float(digits[4:])


def _time_of_date(text: object) -> float | None:
    """Seconds since midnight of a DICOM date and time, `YYYYMMDDHHMMSS.FFFFFF&ZZXX`."""
    return seconds_of_day(str(text or "").strip()[_DATE_DIGITS:].split("+")[0].split("-")[0])


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _from_milliseconds(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else number / 1000


#: Philips' private time from the start of the series to that of the dynamic scan, seconds.
DYNAMIC_SCAN_BEGIN_TIME = "DynamicScanBeginTime"

#: The place of a frame among the dimensions of a multi-frame object, where one of them is time.
DIMENSION_INDEX = "DimensionIndexValues"

#: In this order: a time is better than a count, what a scanner measured better than what it numbered.
RULES = (
    Rule("AcquisitionTime", seconds_of_day, is_time=True, shared=False, is_clock=True),
    Rule("FrameAcquisitionDateTime", _time_of_date, is_time=True, shared=False, is_clock=True),
    Rule("FrameReferenceDateTime", _time_of_date, is_time=True, shared=False, is_clock=True),
    Rule("AcquisitionDateTime", _time_of_date, is_time=True, shared=False, is_clock=True),
    Rule("TriggerTime", _from_milliseconds, is_time=True, shared=False),
    Rule("NominalCardiacTriggerDelayTime", _from_milliseconds, is_time=True, shared=False),
    Rule("TemporalPositionTimeOffset", _number, is_time=True, shared=True),
    Rule(DYNAMIC_SCAN_BEGIN_TIME, _number, is_time=True, shared=True),
    Rule("TemporalPositionIdentifier", _number, is_time=False, shared=True),
    Rule("TemporalPositionIndex", _number, is_time=False, shared=True),
    Rule(DIMENSION_INDEX, _number, is_time=False, shared=True),
    Rule("AcquisitionNumber", _number, is_time=False, shared=True),
    Rule("FrameAcquisitionNumber", _number, is_time=False, shared=True),
    Rule("InstanceNumber", _number, is_time=False, shared=False),
)


def is_consistent(rule: Rule, ordered: np.ndarray) -> bool:
    """Whether the values of a tag make the same frames in every slice.

    :param ordered: (Z, T) values, every slice in ascending order
    """
    steps = np.diff(ordered, axis=1)
    if steps.size and steps.min() <= 0:
        return False
    if rule.shared and not (ordered == ordered[0]).all():
        return False
    if not rule.is_time:
        return True
    # Slices of a frame are taken one after the other, so their times differ, but by less than a frame interval,
    # and in every frame in the same way.
    interval = float(np.median(steps)) if steps.size else FRAME_INTERVALS[0]
    delay = ordered - ordered[:1]
    unsteadiness = np.abs(delay - np.median(delay, axis=1, keepdims=True)).max()
    plausible = FRAME_INTERVALS[0] <= interval <= FRAME_INTERVALS[1]
    return bool(plausible and np.ptp(ordered, axis=0).max() < interval and unsteadiness < 0.5 * interval)
