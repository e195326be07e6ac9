"""4-D files as sequences, with the right times: what Slicer 5.10 and 5.12 cannot do with NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer

from stunet_perfusion.reading.formats import is_dicom, open_recording
from stunet_perfusion.reading.recording import Recording
from stunet_perfusion.reading.sidecar import Sidecar
from stunet_perfusion.reading.timing import decide_echo_time, decide_times
from stunet_perfusion.reading.whole_series import open_whole
from stunet_perfusion.series import FEWEST_FRAMES
from stunet_perfusion.support.errors import InputError, StUNetPerfusionError
from stunet_perfusion.support.progress import no_progress
from StUNetPerfusionLib.scene.sequenceBrowser import showSequence
from StUNetPerfusionLib.scene.sequenceSeries import addFrame, emptySequence
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Endings of files that can hold a series.
EXTENSIONS = (".nii", ".nii.gz", ".nrrd", ".nhdr")

#: Slicer's readers say 0.5 and a little more. Its own for .seq.nrrd is as good as ours.
_SURE, _POSSIBLE = 0.8, 0.4


def confidence(path: str | Path) -> float:
    """How sure it is that a file is a series that is best opened here, from its header.

    :returns: 0 where it is none, above 0.5 where Slicer should open it here unless the user says otherwise
    """
    path = Path(path)
    if not path.name.lower().endswith(EXTENSIONS):
        return 0.0
    try:
        frames = open_recording(path, no_progress).frames
    except StUNetPerfusionError:
        return 0.0
    if frames < 2:
        return 0.0
    is_own_format = path.name.lower().endswith((".seq.nrrd", ".seq.nhdr"))
    return _SURE if frames >= FEWEST_FRAMES and not is_own_format else _POSSIBLE


def openSeries(path: str | Path, scene, echoTime: float | None = None, frameInterval: float | None = None):
    """Add the series in a file as a sequence, with a browser that shows it.

    Times come from the arguments, else from the JSON file beside it, else from the file. Where none of them says,
    the frames are numbered; the panel then asks for the frame interval.

    :param path: a 4-D NIfTI or NRRD file; a folder of DICOM files, or one of them; a folder of volumes
    :param scene: vtkMRMLScene to add it to
    :param echoTime: TE in seconds
    :param frameInterval: seconds between frames
    :returns: vtkMRMLSequenceNode
    :raises InputError: no such file, one that cannot be read, or one that holds a single volume
    """
    path = Path(path)
    if isOneOfMany(path):
        path = path.absolute().parent
    holder, recording, sidecar = open_whole(path, None, no_progress)
    if recording.frames < 2:
        raise InputError(path.name, _("is a single volume, without frames"), _("choose the file of the dynamic series"))
    times = _times(path.name, recording, sidecar, frameInterval)
    decidedEchoTime, _notes = decide_echo_time(recording.echo_time, sidecar, echoTime)
    return addRecording(scene, _nameOf(holder), recording, times, decidedEchoTime)


def isOneOfMany(path: str | Path) -> bool:
    """Whether a file is one image of a DICOM series, whose other images lie in the same folder."""
    path = Path(path)
    if not path.is_file() or path.name.upper() == "DICOMDIR" or path.name.lower().endswith(EXTENSIONS):
        return False
    from stunet_perfusion.reading.dicom_files import read_file

    try:
        file = read_file(path) if is_dicom(path) else None
    except StUNetPerfusionError:
        return False
    return file is not None and file.problem is None and len(file.images) == 1


def addRecording(scene, name: str, recording: Recording, times: np.ndarray | None, echoTime: float | None):
    """Add what a reader has found as a sequence, with a browser that shows it.

    :param times: (T,) seconds, or None where nobody says
    :param echoTime: seconds, or None
    :returns: vtkMRMLSequenceNode
    """
    signal = recording.load(no_progress)
    sequenceNode = emptySequence(scene, name, echoTime)
    if times is None:
        sequenceNode.SetIndexName("frame")
        sequenceNode.SetIndexUnit("")
        times = np.arange(recording.frames)
    for frame, time in enumerate(times):
        addFrame(sequenceNode, frame, float(time), signal[frame], recording.grid)
    showSequence(sequenceNode)
    return sequenceNode


class PerfusionFileReader:
    """What Slicer asks a scripted file reader, for 4-D NIfTI and NRRD files.

    :param parent: qSlicerScriptedFileReader
    """

    def __init__(self, parent) -> None:
        self.parent = parent

    def description(self) -> str:
        return _("4-D perfusion series")

    def fileType(self) -> str:
        return "PerfusionSeries"

    def extensions(self) -> list[str]:
        return [f"{self.description()} (*{ending})" for ending in EXTENSIONS]

    def canLoadFileConfidence(self, filePath: str) -> float:
        return confidence(filePath)

    def load(self, properties: dict[str, Any]) -> bool:
        """Open the file. What is wrong with it is told in the dialog of Slicer's readers."""
        import vtk

        try:
            sequenceNode = openSeries(properties["fileName"], slicer.mrmlScene)
        except StUNetPerfusionError as error:
            self.parent.userMessages().AddMessage(vtk.vtkCommand.ErrorEvent, inPanelWords(error))
            return False
        if properties.get("name"):
            sequenceNode.SetName(properties["name"])
        self.parent.loadedNodes = [sequenceNode.GetID()]
        return True


def _times(name: str, recording: Recording, sidecar: Sidecar, frameInterval: float | None) -> np.ndarray | None:
    """(T,) seconds, or None where nobody says. Nonsense in the sidecar is an error, silence is none."""
    known = recording.times is not None or frameInterval is not None
    if not known and sidecar.volume_timing(recording.frames) is None and sidecar.repetition_time is None:
        return None
    return decide_times(name, recording.frames, recording.times, sidecar, frameInterval)[0]


def _nameOf(path: Path) -> str:
    name = path.name
    for ending in (".seq.nrrd", ".seq.nhdr", *sorted(EXTENSIONS, key=len, reverse=True)):
        if name.lower().endswith(ending):
            return name[: -len(ending)] or name
    return name
