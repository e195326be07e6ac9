"""A DSC series from whatever holds it, with its times and echo time decided."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.reading.door import readers_door
from stunet_perfusion.reading.folder_series import find_series
from stunet_perfusion.reading.formats import open_recording
from stunet_perfusion.reading.recording import Recording
from stunet_perfusion.reading.sidecar import Sidecar, read_sidecar, read_sidecar_of_volumes
from stunet_perfusion.reading.simulated_dose import simulated_dose_of_sidecar
from stunet_perfusion.reading.timing import decide_echo_time, decide_times
from stunet_perfusion.reading.volume_files import open_volumes
from stunet_perfusion.series import DscSeries, check_series
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress, part_of

#: Share of the work that the headers of a folder are.
_HEADERS = 0.3


def read_series(
    path: str | Path,
    *,
    which: str | None = None,
    echo_time: float | None = None,
    frame_interval: float | None = None,
    progress: Progress = no_progress,
) -> DscSeries:
    """Read a DSC series.

    What the user says overrules the JSON sidecars, and they the file. Peak memory is the series as float32 and about
    one frame or slice of it.

    :param path: a 4-D NIfTI file; a `.nrrd` or `.seq.nrrd` sequence; a folder of DICOM files, mosaics or enhanced
        objects, or one such object; a folder with volumes, one a frame; or a folder of a BIDS data set
    :param which: which series of a folder, where it holds several: number, description or UID in DICOM, otherwise a
        part of the file's name
    :param echo_time: seconds
    :param frame_interval: seconds; the frames are then evenly spaced from 0
    :raises InputError: anything that makes the series unusable, see also `check_series`
    """
    path = Path(path)
    with readers_door(path):
        return _read(path, which, echo_time, frame_interval, progress)


def _read(
    path: Path, which: str | None, echo_time: float | None, frame_interval: float | None, progress: Progress
) -> DscSeries:
    if path.name in ("", ".."):
        path = path.resolve()
    if path.name.upper() == "DICOMDIR" and path.is_file():
        path = path.absolute().parent
    headers = _HEADERS if path.is_dir() else 0.0
    path, recording, sidecar = open_whole(path, which, part_of(progress, 0.0, headers))
    if recording.frames == 1:
        raise InputError(path.name, "is a single volume, without frames", "give the 4-D dynamic series")
    times, time_notes = decide_times(path.name, recording.frames, recording.times, sidecar, frame_interval)
    te, te_notes = decide_echo_time(recording.echo_time, sidecar, echo_time)
    signal = recording.load(part_of(progress, headers, 1.0))
    simulated = recording.simulated or simulated_dose_of_sidecar(sidecar.name, sidecar.values)
    told = () if simulated is None else (simulated.sentence,)
    notes = (*recording.notes, *time_notes, *te_notes, *told)
    return check_series(DscSeries(signal, times, recording.grid, te, path.name, notes, simulated))


def open_whole(path: Path, which: str | None, progress: Progress) -> tuple[Path, Recording, Sidecar]:
    """What holds the series (a folder may hold it in one of its files), its header and its sidecar.

    :raises InputError: no series, or several
    """
    found = find_series(path, which) if path.is_dir() else None
    if found is None:
        return path, open_recording(path, progress, which), read_sidecar(path)
    if len(found.files) == 1:
        return found.files[0], found.headers[0], read_sidecar(found.files[0])
    recording = open_volumes(path.name, found.files, found.headers)
    return path, recording, read_sidecar_of_volumes(path, found.files)
