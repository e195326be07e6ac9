"""Which image of a DICOM slice belongs to which frame, and when it was taken.

Scanners tell frames apart by different tags. The rules are tried in a fixed order, and the first by which every slice
has the same frames is taken and reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.reading.dicom_completeness import refuse_doubled, refuse_missing
from stunet_perfusion.reading.dicom_headers import ImageHeader, moments
from stunet_perfusion.reading.dicom_rules import RULES, Rule, is_consistent
from stunet_perfusion.reading.timing import FRAME_INTERVALS
from stunet_perfusion.support.errors import InputError

#: Parts of a second by which whole seconds may be early or late.
_SHIFTS = np.linspace(-0.5, 0.5, 11)


@dataclass(frozen=True, eq=False)
class Frames:
    """The images of a series in order.

    :param table: for every frame, its slices along the slice normal
    :param times: (T,) seconds from the first frame, or None where no tag tells
    :param notes: the rule that was chosen
    """

    table: list[list[ImageHeader]]
    times: np.ndarray | None
    notes: tuple[str, ...]


def sort_into_frames(name: str, slices: list[list[ImageHeader]]) -> Frames:
    """Sort the images of all slices by frame.

    :param slices: for every slice its images, in any order
    :raises InputError: images are doubled or missing, or no rule fits all slices
    """
    refuse_doubled(name, slices)
    refuse_missing(name, slices)
    for rule in RULES:
        values = moments(rule, slices)
        if values is None:
            continue
        order = np.argsort(values, axis=1, kind="stable")
        ordered = np.take_along_axis(values, order, axis=1)
        if not is_consistent(rule, ordered):
            continue
        table = [[of_slice[order[z, frame]] for z, of_slice in enumerate(slices)] for frame in range(values.shape[1])]
        times, how = _times(rule, ordered, slices[0][0].repetition_time)
        note = f"The DICOM {_what(slices[0][0])} were sorted into frames by {rule.tag}{how}."
        return Frames(table, times, (note, *_announced(slices[0])))
    raise InputError(
        name,
        "has files that neither AcquisitionTime, TriggerTime, TemporalPositionIdentifier nor InstanceNumber sorts "
        "into frames",
        "convert the series to NIfTI first, for example with dcm2niix",
    )


def _what(image: ImageHeader) -> str:
    return "images" if image.source.frames > 1 else "files"


def _announced(of_slice: list[ImageHeader]) -> tuple[str, ...]:
    """A note where the header says that there should be more frames: the last ones leave no gap."""
    announced = of_slice[0].announced_frames
    if announced is None or announced <= len(of_slice):
        return ()
    return (f"The DICOM header announces {announced} frames, and {len(of_slice)} are here.",)


def _times(rule: Rule, ordered: np.ndarray, interval: float | None) -> tuple[np.ndarray | None, str]:
    """(T,) seconds from the first frame, and how they were found."""
    if not rule.is_time:
        if interval is None:
            return None, ""
        return _counts(ordered) * interval, f", {interval:g} s apart (repetition time)"
    times = ordered.min(axis=0)
    times = np.round(times - times[0], 6)
    even = even_times(times, interval) if rule.is_clock and (times == np.round(times)).all() else None
    if even is None or np.array_equal(even, times):
        return times, ""
    return even, f" in whole seconds, between which they are {interval:g} s apart (repetition time)"


def even_times(times: np.ndarray, interval: float | None) -> np.ndarray | None:
    """Times that a clock without fractions of a second would show as `times`; None where the interval cannot be.

    :param times: (T,) whole seconds from the first frame
    :param interval: seconds between two frames
    """
    if interval is None or not FRAME_INTERVALS[0] <= interval <= FRAME_INTERVALS[1]:
        return None
    # All frames are there, or some are missing; what the clock had left out of the first second is not known.
    counts = [np.arange(len(times)), *(np.round((times + shift) / interval) for shift in _SHIFTS)]
    fitting = []
    for count in counts:
        even = (count - count[0]) * interval
        if np.diff(count).min(initial=1) >= 1 and np.ptp(times - even) < 1:
            fitting.append(even)
    return min(fitting, key=lambda even: np.ptp(times - even), default=None)


def _counts(ordered: np.ndarray) -> np.ndarray:
    """(T,) numbers of the frames from 0, with a gap where all slices lack the same frame."""
    steps = np.diff(ordered, axis=1)
    steps = steps / np.median(steps) if steps.size else steps
    if (steps == steps[0]).all() and (steps == np.round(steps)).all():
        return np.concatenate([[0.0], np.cumsum(steps[0])])
    return np.arange(ordered.shape[1], dtype=float)
