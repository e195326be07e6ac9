"""Between a sequence of volumes in a MRML scene and a `DscSeries`."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from stunet_perfusion.errors import InputError
from stunet_perfusion.reading.nrrd_times import sequence_times
from stunet_perfusion.reading.recording import empty_signal
from stunet_perfusion.reading.sidecar import Sidecar
from stunet_perfusion.reading.timing import decide_echo_time, decide_times
from stunet_perfusion.series import DscSeries, Grid, check_series

#: Where Slicer keeps the echo time of a DICOM series, in milliseconds.
ECHO_TIME_ATTRIBUTE = "MultiVolume.DICOM.EchoTime"

#: What Slicer's MultiVolumeImporter says about time. It sets index values 0, 1, 2 ... and puts the times here.
TIME_ATTRIBUTES = (
    ECHO_TIME_ATTRIBUTE,
    "MultiVolume.DICOM.RepetitionTime",
    "MultiVolume.FrameLabels",
    "MultiVolume.FrameIdentifyingDICOMTagName",
    "MultiVolume.FrameIdentifyingDICOMTagUnits",
)


def seriesFromSequence(sequenceNode, echoTime: float | None = None, frameInterval: float | None = None) -> DscSeries:
    """The DSC series that a sequence node holds. Its voxels are copied.

    :param sequenceNode: vtkMRMLSequenceNode of scalar volumes
    :param echoTime: TE in seconds, or None to take what the node says
    :param frameInterval: seconds between frames, or None to take what the node says
    :raises InputError: other data than scalar volumes, frames that differ in size or place, no frame times, or
        anything that `check_series` refuses
    """
    name = sequenceNode.GetName() or "sequence"
    frames = sequenceNode.GetNumberOfDataNodes()
    if frames == 0:
        raise InputError(name, "holds no volumes", "choose the sequence of the dynamic series")
    recordedTimes, recordedEchoTime, recordedNotes = sequence_times(_nrrdHeader(sequenceNode), frames, 0)
    times, timeNotes = decide_times(name, frames, recordedTimes, Sidecar(), frameInterval)
    decidedEchoTime, echoTimeNotes = decide_echo_time(recordedEchoTime, Sidecar(), echoTime)
    grid = _gridOfFrame(name, sequenceNode, 0)
    signal = empty_signal(name, frames, grid)
    for frame in range(frames):
        if not _gridOfFrame(name, sequenceNode, frame).matches(grid):
            raise InputError(
                name, f"frame {frame} is of another size or at another place than frame 0", "align the frames first"
            )
        signal[frame] = slicer.util.arrayFromVolume(sequenceNode.GetNthDataNode(frame))
    notes = (*(recordedNotes if frameInterval is None else ()), *timeNotes, *echoTimeNotes)
    return check_series(DscSeries(signal, times, grid, decidedEchoTime, name, notes))


def sequenceFromSeries(series: DscSeries, scene, name: str):
    """Add a sequence node that holds a series. Its index is the time in seconds.

    :param scene: vtkMRMLScene to add it to
    :param name: of the new node
    :returns: vtkMRMLSequenceNode
    """
    sequenceNode = scene.AddNewNodeByClass("vtkMRMLSequenceNode", scene.GenerateUniqueName(name))
    sequenceNode.SetIndexName("time")
    sequenceNode.SetIndexUnit("s")
    if series.echo_time is not None:
        sequenceNode.SetAttribute(ECHO_TIME_ATTRIBUTE, f"{1000 * series.echo_time:.10g}")
    for frame, time in enumerate(series.times):
        volumeNode = slicer.vtkMRMLScalarVolumeNode()
        volumeNode.SetName(f"{name} {frame}")
        placeVolume(volumeNode, series.grid)
        slicer.util.updateVolumeFromArray(volumeNode, np.ascontiguousarray(series.signal[frame]))
        sequenceNode.SetDataNodeAtValue(volumeNode, f"{time:.10g}")
    return sequenceNode


def gridOfVolume(volumeNode) -> Grid:
    """Where the voxels of a volume node are. Parent transforms are not looked at."""
    columns, rows, slices = volumeNode.GetImageData().GetDimensions()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return Grid((slices, rows, columns), slicer.util.arrayFromVTKMatrix(matrix))


def placeVolume(volumeNode, grid: Grid) -> None:
    """Give a volume node the geometry of a grid."""
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(grid.ijk_to_ras, dtype=float)))


def _gridOfFrame(name: str, sequenceNode, frame: int) -> Grid:
    volumeNode = sequenceNode.GetNthDataNode(frame)
    image = volumeNode.GetImageData() if volumeNode.IsA("vtkMRMLScalarVolumeNode") else None
    if image is None or image.GetNumberOfScalarComponents() != 1:
        raise InputError(name, f"item {frame} is no scalar volume", "choose the sequence of the dynamic series")
    return gridOfVolume(volumeNode)


def _nrrdHeader(sequenceNode) -> dict:
    """What the node says about time, as the header of its .seq.nrrd file would, so that both are read by one rule."""
    indexValues = [sequenceNode.GetNthIndexValue(frame) for frame in range(sequenceNode.GetNumberOfDataNodes())]
    header = {
        "dimension": 4,
        "units": [sequenceNode.GetIndexUnit() or "", "mm", "mm", "mm"],
        "axis 0 index values": " ".join(value.replace(" ", "%20") for value in indexValues),
    }
    return header | {key: value for key in TIME_ATTRIBUTES if (value := sequenceNode.GetAttribute(key))}
