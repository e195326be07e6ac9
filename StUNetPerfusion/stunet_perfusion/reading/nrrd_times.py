"""What the header of an NRRD sequence says about time.

3D Slicer writes `axis <A> index values` with the unit of that axis in `units`. A series that its MultiVolumeImporter
loaded has index values 0, 1, 2 ... without a unit, and its times in the attribute `MultiVolume.FrameLabels`.
SimpleITK writes a fourth direction, whose length is the frame interval.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import numpy as np

from stunet_perfusion.reading.timing import seconds_in, unknown_unit

#: DICOM tags by which frames are told apart and that are times.
_TIME_TAGS = ("AcquisitionTime", "TriggerTime", "ContentTime", "SeriesTime", "FrameReferenceTime", "time")

_Times = tuple[np.ndarray | None, tuple[str, ...]]


def sequence_times(
    header: dict[str, Any], frames: int, list_axis: int | None
) -> tuple[np.ndarray | None, float | None, tuple[str, ...]]:
    """Times and echo time of a sequence.

    :param header: as `nrrd_header` reads it
    :param list_axis: 0 or 3, the axis of the frames; None for a volume
    :returns: (T,) seconds or None, TE in seconds or None, notes
    """
    if list_axis is None or frames < 2:
        return None, None, ()
    echo_time = _milliseconds(header.get("MultiVolume.DICOM.EchoTime"))
    for source in (_index_values, _frame_labels, _index_values_without_unit, _fourth_direction, _repetition_time):
        times, notes = source(header, frames, list_axis)
        if times is not None:
            return times, echo_time, notes
    return None, echo_time, ()


def _index_values(header: dict[str, Any], frames: int, axis: int) -> _Times:
    values, unit = _index(header, frames, axis), seconds_in(_of_axis(header, "units", axis))
    return (None, ()) if values is None or unit is None else (values * unit, ())


def _frame_labels(header: dict[str, Any], frames: int, axis: int) -> _Times:
    values = _numbers(header.get("MultiVolume.FrameLabels", "").split(","), frames)
    tag = header.get("MultiVolume.FrameIdentifyingDICOMTagName", "time")
    if values is None or tag not in _TIME_TAGS:
        return None, ()
    unit = seconds_in(header.get("MultiVolume.FrameIdentifyingDICOMTagUnits", ""))
    if unit is not None:
        return values * unit, (f"Frame times come from the file's MultiVolume attributes ({tag}).",)
    return _guessed(values)


def _index_values_without_unit(header: dict[str, Any], frames: int, axis: int) -> _Times:
    values = _index(header, frames, axis)
    if values is None or _of_axis(header, "units", axis) or np.array_equal(values, np.arange(frames)):
        # 0, 1, 2 ... are numbers of frames.
        return None, ()
    return _guessed(values)


def _fourth_direction(header: dict[str, Any], frames: int, axis: int) -> _Times:
    directions = header.get("space directions")
    if directions is not None and np.shape(directions) == (4, 4):
        interval = abs(float(directions[axis][3]))
    else:
        spacings = header.get("spacings")
        interval = float(spacings[axis]) if spacings is not None and len(spacings) == 4 else np.nan
    if not np.isfinite(interval) or interval in (0.0, 1.0):
        # 1 is what software writes that does not know.
        return None, ()
    return _guessed(np.arange(frames) * interval, _of_axis(header, "units", axis))


def _repetition_time(header: dict[str, Any], frames: int, axis: int) -> _Times:
    interval = _milliseconds(header.get("MultiVolume.DICOM.RepetitionTime"))
    if interval is None:
        return None, ()
    return np.arange(frames) * interval, (f"The frame interval is the file's repetition time, {interval:g} s.",)


def _guessed(values: np.ndarray, unit: str = "") -> _Times:
    known = seconds_in(unit)
    if known is not None:
        return values * known, ()
    seconds, note = unknown_unit(float(np.median(np.diff(values))))
    return values * seconds, (note,)


def _index(header: dict[str, Any], frames: int, axis: int) -> np.ndarray | None:
    text = header.get(f"axis {axis} index values")
    return None if text is None else _numbers([unquote(word) for word in text.split()], frames)


def _numbers(words: list[str], frames: int) -> np.ndarray | None:
    """(T,) numbers, or None where the words are others or not one a frame."""
    words = [word for word in words if word.strip()]
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return None
    return values if len(values) == frames and np.isfinite(values).all() else None


def _of_axis(header: dict[str, Any], field: str, axis: int) -> str:
    values = header.get(field, [])
    return str(values[axis]) if len(values) == int(header["dimension"]) else ""


def _milliseconds(text: str | None) -> float | None:
    """Seconds from a positive number of milliseconds, as DICOM has them, or None."""
    try:
        value = float(text) / 1000 if text else 0.0
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None
