"""Regions that the user drew, as arrays on the grid of the series."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from stunet_perfusion.reading.volumes import resample_mask
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume, placeVolume
from StUNetPerfusionLib.translation import tr as _

#: Slicer's name for segments as label maps.
BINARY = "Binary labelmap"


def maskOf(source: Any, grid: Grid, what: str) -> np.ndarray | None:
    """The voxels of a region.

    :param source: None; a vtkMRMLSegmentationNode and the ID or name of a segment, as a tuple; a label map or another
        scalar volume node, whose voxels above 0.5 are meant; or a bool array on the grid
    :param grid: of the series
    :param what: what an error calls the region, for example "brain mask"
    :returns: (Z, Y, X) bool, or None for None
    :raises InputError: nothing is marked, nothing inside the series, or an array of another shape
    """
    if source is None:
        return None
    if isinstance(source, np.ndarray):
        if source.shape != grid.shape:
            raise InputError(
                what,
                _("has {voxels} voxels (slices, rows, columns), and the series has {expected}").format(
                    voxels=source.shape, expected=grid.shape
                ),
                _("give a mask on the grid of the series"),
            )
        mask = source.astype(bool)
    elif isinstance(source, tuple):
        segmentationNode, idOrName = source
        return maskOfSegment(segmentationNode, segmentIdOf(segmentationNode, idOrName), grid)
    else:
        mask = _onGrid(slicer.util.arrayFromVolume(source) > 0.5, gridOfVolume(source), grid, source.GetName() or what)
    if not mask.any():
        raise InputError(what, _("is empty"), _("mark some voxels, or choose another one"))
    return mask


def segmentIdOf(segmentationNode, idOrName: str) -> str:
    """The ID of a segment that is given by ID or by name.

    :raises InputError: there is none
    """
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSegment(idOrName) is not None:
        return idOrName
    found = segmentation.GetSegmentIdBySegmentName(idOrName)
    if not found:
        name = segmentationNode.GetName()
        fact = _("has no segment '{segment}'").format(segment=idOrName)
        raise InputError(name, fact, _("choose one of its segments"))
    return found


def maskOfSegment(segmentationNode, segmentId: str, grid: Grid) -> np.ndarray:
    """The voxels of a segment; every voxel of the series takes the nearest one of the segment's own label map.

    :param grid: of the series
    :returns: (Z, Y, X) bool
    :raises InputError: the segment is empty or lies outside of the series
    """
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    name = segment.GetName() or segmentId
    source = segmentationNode if segment.GetRepresentation(BINARY) else _withLabelmaps(segmentationNode, grid)
    drawn = drawnVoxels(source, segmentId)
    if drawn is None:
        raise InputError(name, _("is an empty segment"), _("mark some voxels, or choose another segment"))
    voxels, indicesToRas = drawn
    return _onGrid(voxels, Grid(voxels.shape, toWorld(segmentationNode) @ indicesToRas), grid, name)


def drawnVoxels(segmentationNode, segmentId: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The voxels of a segment on its own label map.

    :returns: (slices, rows, columns) bool, and the (4, 4) matrix from their indices to millimeters without the
        transforms that the segmentation is under; None for a segment in which nothing is marked
    """
    labelmap = slicer.vtkOrientedImageData()
    segmentationNode.GetBinaryLabelmapRepresentation(segmentId, labelmap)
    columns, rows, slices = labelmap.GetDimensions()
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or 0 in (columns, rows, slices):
        return None
    voxels = vtk_to_numpy(scalars).reshape(slices, rows, columns) > 0
    return (voxels, _labelmapToRas(labelmap)) if voxels.any() else None


def addSegmentation(scene, grid: Grid, masks: dict[str, tuple[np.ndarray, tuple[float, float, float]]], name: str):
    """Add a segmentation.

    :param grid: of the masks
    :param masks: for each segment's name its (Z, Y, X) bool mask and its color, red, green, blue from 0 to 1
    :returns: vtkMRMLSegmentationNode
    """
    segmentationNode = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    segmentationNode.CreateDefaultDisplayNodes()
    geometry = slicer.vtkMRMLScalarVolumeNode()
    placeVolume(geometry, grid)
    for segmentName, (mask, color) in masks.items():
        slicer.util.updateVolumeFromArray(geometry, np.ascontiguousarray(mask, dtype=np.uint8))
        labelmap = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(geometry)
        segmentationNode.AddSegmentFromBinaryLabelmapRepresentation(labelmap, segmentName, list(color), "")
    return segmentationNode


def voxelOf(grid: Grid, ras: np.ndarray) -> tuple[int, int, int] | None:
    """The voxel at a place in the patient.

    :param ras: (3,) mm, right-anterior-superior
    :returns: (slice, row, column), or None outside of the grid
    """
    ijk = np.linalg.solve(grid.ijk_to_ras, np.array([*ras, 1.0]))[:3]
    k, j, i = (int(index) for index in np.floor(ijk[::-1] + 0.5))
    inside = all(0 <= index < size for index, size in zip((k, j, i), grid.shape, strict=True))
    return (k, j, i) if inside else None


def voxelsOfPoints(markupsNode, grid: Grid) -> list[tuple[int, int, int]]:
    """The voxels under the points of a vtkMRMLMarkupsFiducialNode, as (slice, row, column).

    :raises InputError: no point, or one outside of the series
    """
    name = markupsNode.GetName() or _("points")
    voxels = []
    for position in range(markupsNode.GetNumberOfControlPoints()):
        ras = np.zeros(3)
        markupsNode.GetNthControlPointPositionWorld(position, ras)
        voxel = voxelOf(grid, ras)
        if voxel is None:
            fact = _("point {number} lies outside of the series").format(number=position + 1)
            raise InputError(name, fact, _("move it onto an artery"))
        voxels.append(voxel)
    if not voxels:
        raise InputError(name, _("holds no point"), _("place one on an artery"))
    return voxels


def _onGrid(mask: np.ndarray, own: Grid, grid: Grid, name: str) -> np.ndarray:
    if own.matches(grid):
        return mask.copy()
    mask = resample_mask(mask, own, grid)
    if not mask.any():
        wayOut = _("choose a region that was drawn on this patient's images")
        raise InputError(name, _("lies outside of the series"), wayOut)
    return mask


def _withLabelmaps(segmentationNode, grid: Grid):
    """A copy that holds label maps on `grid`, of a segmentation that is surfaces only."""
    copy = slicer.vtkMRMLSegmentationNode()
    copy.Copy(segmentationNode)
    geometry = slicer.vtkMRMLScalarVolumeNode()
    placeVolume(geometry, grid)
    slicer.util.updateVolumeFromArray(geometry, np.zeros(grid.shape, np.uint8))
    copy.SetReferenceImageGeometryParameterFromVolumeNode(geometry)
    copy.GetSegmentation().CreateRepresentation(BINARY)
    return copy


def _labelmapToRas(labelmap) -> np.ndarray:
    """(4, 4): from indices that count from 0 within the label map's extent to millimeters."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    start = np.eye(4)
    start[:3, 3] = labelmap.GetExtent()[::2]
    return slicer.util.arrayFromVTKMatrix(matrix) @ start


def toWorld(node) -> np.ndarray:
    """(4, 4) of the transforms that a node is under.

    :raises InputError: they are not linear
    """
    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node.GetParentTransformNode(), None, matrix):
        raise InputError(node.GetName(), _("is under a transform that bends it"), _("harden the transform first"))
    return slicer.util.arrayFromVTKMatrix(matrix)
