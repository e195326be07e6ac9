"""DSC series in DICOM files as sequences: what the DICOM browser of 3D Slicer asks its plugins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer

from stunet_perfusion.reading.dicom import open_dicom_files
from stunet_perfusion.reading.dicom_files import read_file
from stunet_perfusion.reading.recording import Recording
from stunet_perfusion.reading.sidecar import Sidecar
from stunet_perfusion.reading.timing import decide_times
from stunet_perfusion.series import FEWEST_FRAMES
from stunet_perfusion.support.errors import StUNetPerfusionError
from stunet_perfusion.support.progress import no_progress
from StUNetPerfusionLib.scene.openSeries import addRecording
from StUNetPerfusionLib.translation import tr as _

#: The importer of multi-volumes says 0.9 to 1, that of rotating cine 1.05; the times of the first can be wrong.
CONFIDENCE = 1.1

#: Dynamic series of short echo time are T1-weighted; they are offered, and left to others.
SHORTEST_ECHO_TIME, LOW_CONFIDENCE = 0.012, 0.4


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """A DICOM series that can be a DSC series.

    :param name: what the sequence will be called
    :param files: all of its files
    :param frames: how many it has
    :param confidence: how sure it is that it is best opened here
    """

    name: str
    files: tuple[str, ...]
    frames: int
    confidence: float


def examine(files: Sequence[str]) -> DicomSeries | None:
    """Whether the files of a series are a DSC series; None where they are not.

    :param files: of one series, as the DICOM database lists them
    """
    recording = _recording(files)
    if recording is None or recording.frames < FEWEST_FRAMES:
        return None
    te = recording.echo_time
    confidence = CONFIDENCE if te is None or te >= SHORTEST_ECHO_TIME else LOW_CONFIDENCE
    first = read_file(Path(files[0]))
    name = str(first.series.description or _("DSC series")) if first is not None else _("DSC series")
    number = first.series.number if first is not None else ""
    return DicomSeries(f"{number}: {name}" if number else name, tuple(files), recording.frames, confidence)


def load(series: DicomSeries, scene=None):
    """Add the series as a sequence with its real times, TE and TR.

    :returns: vtkMRMLSequenceNode
    :raises InputError: the files changed since they were examined
    """
    scene = slicer.mrmlScene if scene is None else scene
    recording = open_dicom_files([Path(file) for file in series.files], no_progress)
    times = recording.times
    if times is not None:
        times, _notes = decide_times(series.name, recording.frames, times, Sidecar(), None)
    return addRecording(scene, series.name, recording, times, recording.echo_time)


def _recording(files: Sequence[str]) -> Recording | None:
    """What the reader finds in the files; None where they are no series of MR images."""
    if not files:
        return None
    try:
        first = read_file(Path(files[0]))
        # Reading the headers of a large CT series only to refuse it would take seconds.
        if first is None or first.problem is not None or (len(first.images) == 1 and len(files) < FEWEST_FRAMES):
            return None
        return open_dicom_files([Path(file) for file in files], no_progress)
    except StUNetPerfusionError:
        return None
