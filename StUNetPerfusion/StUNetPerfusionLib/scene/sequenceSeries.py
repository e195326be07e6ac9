"""Between a sequence of volumes in a MRML scene and a `DscSeries`."""

from __future__ import annotations

import numpy as np
import slicer

from stunet_perfusion.reading.recording import empty_signal
from stunet_perfusion.series import DscSeries, check_series
from StUNetPerfusionLib.scene.inputSeries import inputFacts
from StUNetPerfusionLib.scene.nodeFrames import ECHO_TIME_ATTRIBUTE, framesOf, placeVolume


def seriesFromSequence(sequenceNode, echoTime: float | None = None, frameInterval: float | None = None) -> DscSeries:
    """The DSC series that a sequence or multi-volume node holds. Its voxels are copied.

    :param sequenceNode: vtkMRMLSequenceNode of scalar volumes, or vtkMRMLMultiVolumeNode
    :param echoTime: TE in seconds, or None to take what the node says
    :param frameInterval: seconds between frames, or None to take what the node says
    :raises InputError: as `inputFacts`, or anything that `check_series` refuses
    """
    facts = inputFacts(sequenceNode, echoTime, frameInterval)
    signal = empty_signal(facts.name, facts.frames, facts.grid)
    for piece in framesOf(sequenceNode).pieces():
        signal[piece.frame, piece.firstSlice : piece.firstSlice + len(piece.voxels)] = piece.voxels
    return check_series(DscSeries(signal, facts.times, facts.grid, facts.echoTime, facts.name, facts.notes))


def sequenceFromSeries(series: DscSeries, scene, name: str):
    """Add a sequence node that holds a series. Its index is the time in seconds.

    :param scene: vtkMRMLScene to add it to
    :param name: of the new node
    :returns: vtkMRMLSequenceNode
    """
    sequenceNode = emptySequence(scene, name, series.echo_time)
    for frame, time in enumerate(series.times):
        addFrame(sequenceNode, frame, time, series.signal[frame], series.grid)
    return sequenceNode


def emptySequence(scene, name: str, echoTime: float | None):
    """Add a vtkMRMLSequenceNode without frames, whose index is the time in seconds.

    :param echoTime: TE in seconds, or None
    """
    sequenceNode = scene.AddNewNodeByClass("vtkMRMLSequenceNode", scene.GenerateUniqueName(name))
    sequenceNode.SetIndexName("time")
    sequenceNode.SetIndexUnit("s")
    if echoTime is not None:
        sequenceNode.SetAttribute(ECHO_TIME_ATTRIBUTE, f"{1000 * echoTime:.10g}")
    return sequenceNode


def addFrame(sequenceNode, frame: int, time: float, voxels: np.ndarray, grid) -> None:
    """Add one frame to a sequence.

    :param time: seconds
    :param voxels: (Z, Y, X)
    :param grid: geometry of the frame
    """
    volumeNode = slicer.vtkMRMLScalarVolumeNode()
    volumeNode.SetName(f"{sequenceNode.GetName()} {frame}")
    placeVolume(volumeNode, grid)
    slicer.util.updateVolumeFromArray(volumeNode, np.ascontiguousarray(voxels))
    sequenceNode.SetDataNodeAtValue(volumeNode, f"{time:.10g}")
