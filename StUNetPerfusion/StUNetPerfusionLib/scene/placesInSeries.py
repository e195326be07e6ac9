"""Where a view is in a series, and where it is to begin."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import slicer

from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.scene.inputSeries import OpenedInput
from StUNetPerfusionLib.scene.masks import maskOfSegment


def mostInterestingPlace(opened: OpenedInput, tumor: tuple | None) -> np.ndarray:
    """The middle of the tumor's largest slice, or of the brain's.

    :param tumor: (segmentation node, segment ID), or None
    :returns: (3,) mm, right-anterior-superior
    """
    mask = opened.brain
    if tumor is not None:
        with suppress(InputError):  # a tumor that nobody has drawn yet
            mask = maskOfSegment(*tumor, opened.series.grid)
    z = int(mask.sum(axis=(1, 2)).argmax())
    row, column = (positions.mean() for positions in np.nonzero(mask[z]))
    return (opened.series.grid.ijk_to_ras @ [column, row, z, 1])[:3]


def slicesInView(grid: Grid, sliceNode) -> list[int]:
    """The slices of a series that a view shows: one where it is seen as it was acquired, else all.

    :param grid: of the series
    :param sliceNode: vtkMRMLSliceNode
    """
    toRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    toVoxel = np.linalg.inv(grid.ijk_to_ras) @ toRas
    along = np.abs(toVoxel[2, :3])
    if along[:2].max() > 1e-3 * max(along[2], 1e-9):
        return list(range(grid.shape[0]))
    shown = round(float(toVoxel[2, 3]))
    return [shown] if 0 <= shown < grid.shape[0] else []
