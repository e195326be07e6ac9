"""A DSC series from whatever holds it, with its times and echo time decided."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.errors import InputError
from stunet_perfusion.progress import Progress, no_progress, part_of
from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.reading.sidecar import read_sidecar
from stunet_perfusion.reading.timing import decide_echo_time, decide_times
from stunet_perfusion.series import DscSeries, check_series


def read_series(
    path: str | Path,
    *,
    echo_time: float | None = None,
    frame_interval: float | None = None,
    progress: Progress = no_progress,
) -> DscSeries:
    """Read a DSC series.

    What the user says overrules the JSON sidecar, and that the file. Peak memory is the series as float32 and about
    one frame or slice of it.

    :param path: a 4-D NIfTI file, a `.nrrd` or `.seq.nrrd` sequence, or a folder of single-frame DICOM files
    :param echo_time: seconds
    :param frame_interval: seconds; the frames are then evenly spaced from 0
    :raises InputError: anything that makes the series unusable, see also `check_series`
    """
    path = Path(path)
    if path.name in ("", ".."):
        path = path.resolve()
    recording = open_recording(path, part_of(progress, 0.0, 0.3 if path.is_dir() else 0.0))
    if recording.frames == 1:
        raise InputError(path.name, "is a single volume, without frames", "give the 4-D dynamic series")
    sidecar = read_sidecar(path)
    times, time_notes = decide_times(path.name, recording.frames, recording.times, sidecar, frame_interval)
    te, te_notes = decide_echo_time(recording.echo_time, sidecar, echo_time)
    signal = recording.load(part_of(progress, 0.3 if path.is_dir() else 0.0, 1.0))
    notes = (*recording.notes, *time_notes, *te_notes)
    return check_series(DscSeries(signal, times, recording.grid, te, path.name, notes))
