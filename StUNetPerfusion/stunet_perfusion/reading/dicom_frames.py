"""Which image of a DICOM slice belongs to which frame, and when it was taken.

Scanners tell frames apart by different tags. The rules are tried in a fixed order, and the first by which every slice
has the same frames is taken and reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.errors import InputError
from stunet_perfusion.reading.dicom_headers import ImageHeader
from stunet_perfusion.reading.timing import FRAME_INTERVALS

_HALF_DAY = 12 * 3600.0


@dataclass(frozen=True)
class _Rule:
    """A tag by which frames may be told apart.

    :param is_time: whether its values are seconds; they are counts otherwise
    :param shared: whether all slices of a frame have the same value; slices have their own otherwise
    """

    tag: str
    value: Callable[[ImageHeader], float | None]
    is_time: bool
    shared: bool


_RULES = (
    _Rule("AcquisitionTime", lambda header: header.acquisition_time, is_time=True, shared=False),
    _Rule("TriggerTime", lambda header: header.trigger_time, is_time=True, shared=False),
    _Rule("TemporalPositionIdentifier", lambda header: header.temporal_position, is_time=False, shared=True),
    _Rule("InstanceNumber", lambda header: header.instance_number, is_time=False, shared=False),
)


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
    _refuse_doubled(name, slices)
    _refuse_missing(name, slices)
    for rule in _RULES:
        values = _values(rule, slices)
        if values is None:
            continue
        order = np.argsort(values, axis=1, kind="stable")
        ordered = np.take_along_axis(values, order, axis=1)
        if not _is_consistent(rule, ordered):
            continue
        table = [[of_slice[order[z, frame]] for z, of_slice in enumerate(slices)] for frame in range(values.shape[1])]
        times, how = _times(rule, ordered, slices[0][0].repetition_time)
        return Frames(table, times, (f"The DICOM files were sorted into frames by {rule.tag}{how}.",))
    raise InputError(
        name,
        "has files that neither AcquisitionTime, TriggerTime, TemporalPositionIdentifier nor InstanceNumber sorts "
        "into frames",
        "convert the series to NIfTI first, for example with dcm2niix",
    )


def _values(rule: _Rule, slices: list[list[ImageHeader]]) -> np.ndarray | None:
    """(Z, T) values of the rule's tag, or None where an image has none."""
    values = [[rule.value(header) for header in of_slice] for of_slice in slices]
    if any(value is None for row in values for value in row):
        return None
    array = np.array(values, dtype=float)
    if rule.tag == "AcquisitionTime" and np.ptp(array) > _HALF_DAY:
        # The series went on past midnight.
        array = np.where(array < _HALF_DAY, array + 2 * _HALF_DAY, array)
    return array


def _is_consistent(rule: _Rule, ordered: np.ndarray) -> bool:
    """Whether the ordered (Z, T) values make the same frames in every slice."""
    steps = np.diff(ordered, axis=1)
    if steps.size and steps.min() <= 0:
        return False
    if rule.shared:
        return bool((ordered == ordered[0]).all())
    if not rule.is_time:
        return True
    # Slices of a frame are taken one after the other, so their times differ, but by less than a frame interval,
    # and in every frame in the same way.
    interval = float(np.median(steps)) if steps.size else FRAME_INTERVALS[0]
    delay = ordered - ordered[:1]
    unsteadiness = np.abs(delay - np.median(delay, axis=1, keepdims=True)).max()
    plausible = FRAME_INTERVALS[0] <= interval <= FRAME_INTERVALS[1]
    return bool(plausible and np.ptp(ordered, axis=0).max() < interval and unsteadiness < 0.5 * interval)


def _times(rule: _Rule, ordered: np.ndarray, interval: float | None) -> tuple[np.ndarray | None, str]:
    """(T,) seconds from the first frame, and how they were found."""
    if rule.is_time:
        times = ordered.min(axis=0)
        return np.round(times - times[0], 6), ""
    if interval is None:
        return None, ""
    return _counts(ordered) * interval, f", {interval:g} s apart (repetition time)"


def _counts(ordered: np.ndarray) -> np.ndarray:
    """(T,) numbers of the frames from 0, with a gap where all slices lack the same frame."""
    steps = np.diff(ordered, axis=1)
    steps = steps / np.median(steps) if steps.size else steps
    if (steps == steps[0]).all() and (steps == np.round(steps)).all():
        return np.concatenate([[0.0], np.cumsum(steps[0])])
    return np.arange(ordered.shape[1], dtype=float)


def _refuse_doubled(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse two files of the same image: of the same UID, of the same temporal position, or with all tags alike."""
    keys: tuple[Callable[[ImageHeader], object], ...] = (
        lambda header: header.uid,
        lambda header: header.temporal_position,
        lambda header: tuple(rule.value(header) for rule in _RULES),
    )
    for z, of_slice in enumerate(slices):
        for key in keys:
            seen: dict[object, list[ImageHeader]] = {}
            for header in of_slice:
                seen.setdefault(key(header), []).append(header)
            # A tag that is the same in all files tells nothing.
            doubled = [alike for value, alike in seen.items() if len(alike) > 1 and value is not None]
            if len(seen) > 1 and doubled:
                first, second = doubled[0][:2]
                raise InputError(
                    name,
                    f"holds a frame of slice {z + 1} twice ({first.path.name} and {second.path.name})",
                    "remove the duplicated files",
                )


def _refuse_missing(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse slices that have fewer or more frames than most, and say which slice and, where a tag tells, frame."""
    counts = [len(of_slice) for of_slice in slices]
    if len(set(counts)) == 1:
        return
    usual = Counter(counts).most_common(1)[0][0]
    z = next(z for z, count in enumerate(counts) if count != usual)
    which, way_out = "", "remove the files that do not belong to the DSC series"
    if counts[z] < usual:
        which, way_out = _missing_frame(slices[z]), "copy the complete series from the archive"
    raise InputError(name, f"holds {counts[z]} images of slice {z + 1} and {usual} of the others{which}", way_out)


def _missing_frame(of_slice: list[ImageHeader]) -> str:
    """The first frame that a slice lacks, by the first tag that is longer than usual from one image to the next."""
    for rule in _RULES:
        values = _values(rule, [of_slice])
        if values is None or values.shape[1] < 3:
            continue
        steps = np.diff(np.sort(values[0]))
        if steps.min() > 0 and steps.max() > 1.5 * np.median(steps):
            return f" (frame {int(np.argmax(steps)) + 2} is missing)"
    return " (the first or the last frame is missing)"
