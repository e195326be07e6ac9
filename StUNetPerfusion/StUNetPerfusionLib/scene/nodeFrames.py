"""The frames of a dynamic series in a MRML scene, of whichever of the two kinds of node holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from stunet_perfusion.series import FEWEST_FRAMES, Grid
from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.translation import tr as _

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


@dataclass(frozen=True, eq=False)
class Piece:
    """Some of the voxels of a series.

    :param frame: the frame that they are of
    :param firstSlice: number of the first slice
    :param voxels: (slices, Y, X), of the type that the node stores
    """

    frame: int
    firstSlice: int
    voxels: np.ndarray


class NodeFrames(Protocol):
    """The frames of one node, which is not kept alive.

    :param name: what messages call it
    :param count: T
    :param grid: geometry of every frame
    """

    name: str
    count: int
    grid: Grid

    def header(self) -> dict[str, Any]:
        """What the node says about time, as the header of its .seq.nrrd file would, so that both are read by one
        rule."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """All voxels, piece by piece.

        :raises InputError: the node was removed from the scene meanwhile
        """
        ...

    def fingerprint(self) -> tuple:
        """Another one after any change of voxels, geometry or times."""
        ...


def isPerfusionInput(node) -> bool:
    """Whether a node may hold a perfusion series: a sequence of enough scalar volumes, or such a multi-volume."""
    if node is None:
        return False
    if node.IsA("vtkMRMLMultiVolumeNode"):
        image = node.GetImageData()
        return image is not None and image.GetNumberOfScalarComponents() >= FEWEST_FRAMES
    if not node.IsA("vtkMRMLSequenceNode") or node.GetNumberOfDataNodes() < FEWEST_FRAMES:
        return False
    first = node.GetNthDataNode(0)
    if not first.IsA("vtkMRMLScalarVolumeNode") or first.IsA("vtkMRMLLabelMapVolumeNode"):
        return False
    return first.GetImageData() is not None and first.GetImageData().GetNumberOfScalarComponents() == 1


def framesOf(node) -> NodeFrames:
    """The frames of a vtkMRMLSequenceNode of scalar volumes or of a vtkMRMLMultiVolumeNode.

    :raises InputError: another node, one without frames, other data than scalar volumes, or frames that differ in
        size or place
    """
    if node.IsA("vtkMRMLMultiVolumeNode"):
        return MultiVolumeFrames(node)
    if node.IsA("vtkMRMLSequenceNode"):
        return SequenceFrames(node)
    raise InputError(
        node.GetName() or node.GetClassName(),
        _("is neither a sequence nor a multi-volume"),
        _("choose the sequence of the dynamic series"),
    )


def gridOfVolume(volumeNode) -> Grid:
    """The geometry of a volume node, without the transforms that it may be under."""
    columns, rows, slices = volumeNode.GetImageData().GetDimensions()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return Grid((slices, rows, columns), slicer.util.arrayFromVTKMatrix(matrix))


def placeVolume(volumeNode, grid: Grid) -> None:
    """Give a volume node the geometry of a grid."""
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(grid.ijk_to_ras, dtype=float)))


class SequenceFrames:
    """The frames of a vtkMRMLSequenceNode; see `NodeFrames`."""

    def __init__(self, sequenceNode) -> None:
        self._handle = NodeHandle(sequenceNode)
        self.name: str = sequenceNode.GetName() or _("sequence")
        self.count: int = sequenceNode.GetNumberOfDataNodes()
        if self.count == 0:
            raise InputError(self.name, _("holds no volumes"), _("choose the sequence of the dynamic series"))
        self.grid = self._gridOfFrame(0)
        for frame in range(1, self.count):
            if not self._gridOfFrame(frame).matches(self.grid):
                raise InputError(
                    self.name,
                    _("frame {number} is of another size or at another place than the first").format(number=frame + 1),
                    _("align the frames first"),
                )

    def header(self) -> dict[str, Any]:
        sequenceNode = self._handle.require()
        indexValues = [sequenceNode.GetNthIndexValue(frame) for frame in range(self.count)]
        return {
            "dimension": 4,
            "units": [sequenceNode.GetIndexUnit() or "", "mm", "mm", "mm"],
            "axis 0 index values": " ".join(value.replace(" ", "%20") for value in indexValues),
            **_timeAttributes(sequenceNode),
        }

    def pieces(self) -> Iterator[Piece]:
        for frame in range(self.count):
            yield Piece(frame, 0, slicer.util.arrayFromVolume(self._handle.require().GetNthDataNode(frame)))

    def fingerprint(self) -> tuple:
        sequenceNode = self._handle.require()
        volumeNodes = [sequenceNode.GetNthDataNode(frame) for frame in range(self.count)]
        changes = [(volumeNode.GetMTime(), volumeNode.GetImageData().GetMTime()) for volumeNode in volumeNodes]
        return (repr(self.header()), tuple(changes))

    def _gridOfFrame(self, frame: int) -> Grid:
        volumeNode = self._handle.require().GetNthDataNode(frame)
        image = volumeNode.GetImageData() if volumeNode.IsA("vtkMRMLScalarVolumeNode") else None
        if image is None or image.GetNumberOfScalarComponents() != 1:
            fact = _("item {number} is no scalar volume").format(number=frame)
            raise InputError(self.name, fact, _("choose the sequence of the dynamic series"))
        return gridOfVolume(volumeNode)


class MultiVolumeFrames:
    """The frames of a vtkMRMLMultiVolumeNode, whose voxels have one component a frame; see `NodeFrames`."""

    def __init__(self, multiVolumeNode) -> None:
        self._handle = NodeHandle(multiVolumeNode)
        self.name: str = multiVolumeNode.GetName() or _("multi-volume")
        if multiVolumeNode.GetImageData() is None or multiVolumeNode.GetImageData().GetPointData().GetScalars() is None:
            raise InputError(self.name, _("holds no voxels"), _("choose the multi-volume of the dynamic series"))
        self.count: int = multiVolumeNode.GetImageData().GetNumberOfScalarComponents()
        self.grid = gridOfVolume(multiVolumeNode)

    def header(self) -> dict[str, Any]:
        return {"dimension": 4, **_timeAttributes(self._handle.require())}

    def pieces(self) -> Iterator[Piece]:
        # The frames of a voxel lie side by side here: taken frame by frame, all of it would be read for each.
        for z in range(self.grid.shape[0]):
            scalars = self._handle.require().GetImageData().GetPointData().GetScalars()
            voxels = vtk_to_numpy(scalars).reshape(*self.grid.shape, self.count)[z]
            for frame, image in enumerate(np.moveaxis(voxels, -1, 0)):
                yield Piece(frame, z, image[None])

    def fingerprint(self) -> tuple:
        multiVolumeNode = self._handle.require()
        return (repr(self.header()), multiVolumeNode.GetMTime(), multiVolumeNode.GetImageData().GetMTime())


def _timeAttributes(node) -> dict[str, str]:
    return {key: value for key in TIME_ATTRIBUTES if (value := node.GetAttribute(key))}
