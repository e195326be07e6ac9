"""Series in a scene, small enough to be predicted in a second, and what is looked at in all results."""

from __future__ import annotations

import numpy as np

from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.series import DscSeries, Grid

SHAPE = (4, 40, 36)

#: A network is run on every eighth row of strips: enough to see whether what comes back is right.
FAST = {"stride": 8, "device": "cpu"}


def noisy_series(grid: Grid | None = None, shape: tuple[int, int, int] = SHAPE, **changes) -> DscSeries:
    """A head with some noise on a tilted grid."""
    return make_series(shape=shape, noise=5, grid=grid or oblique_grid(shape), **changes)


def add_series(scene, series: DscSeries | None = None, name: str = "patient"):
    """Add a series to the scene.

    :returns: vtkMRMLSequenceNode
    """
    from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries

    return sequenceFromSeries(series or noisy_series(), scene, name)


def regions() -> dict[str, np.ndarray]:
    """(Z, Y, X) bool: the head, and two boxes in it."""
    boxes = {"brain": head_of(SHAPE), "tumor": np.zeros(SHAPE, bool), "white matter": np.zeros(SHAPE, bool)}
    boxes["tumor"][1:3, 14:20, 10:15] = True
    boxes["white matter"][1:3, 14:26, 20:26] = True
    return boxes


def add_regions(scene, masks: dict[str, np.ndarray] | None = None, grid: Grid | None = None):
    """Add a segmentation of `regions`.

    :returns: vtkMRMLSegmentationNode
    """
    from StUNetPerfusionLib.scene.masks import addSegmentation

    colors = [(0.9, 0.8, 0.7), (0.9, 0.2, 0.2), (0.3, 0.5, 0.9)]
    named = {name: (mask, colors[number % 3]) for number, (name, mask) in enumerate((masks or regions()).items())}
    return addSegmentation(scene, grid or oblique_grid(SHAPE), named, "regions")


def corners(ijk_to_ras: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(8, 3) mm, right-anterior-superior: the centers of the voxels at the corners."""
    last = np.array(shape[::-1]) - 1
    indices = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], float)
    return (ijk_to_ras @ indices.T)[:3].T


def corners_of_volume(volume) -> np.ndarray:
    """The same of a volume node, by MRML's own matrix."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return corners(slicer.util.arrayFromVTKMatrix(matrix), volume.GetImageData().GetDimensions()[::-1])


def node_ids(scene) -> set[str]:
    """All nodes of a scene."""
    return {scene.GetNthNode(position).GetID() for position in range(scene.GetNumberOfNodes())}
