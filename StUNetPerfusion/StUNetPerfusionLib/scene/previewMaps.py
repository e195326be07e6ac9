"""Volumes that show a preview, slice by slice as it arrives. They are not saved with the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from stunet_perfusion.series import Grid
from StUNetPerfusionLib.scene.hiddenNodes import addHiddenNode, removeWithLooks
from StUNetPerfusionLib.scene.results import UNCERTAINTY_IS
from StUNetPerfusionLib.scene.sequenceSeries import placeVolume
from StUNetPerfusionLib.translation import tr as _

PREDICTION = "prediction"
UNCERTAINTY = "uncertainty"
REFERENCE = "reference"
DIFFERENCE = "difference"

#: Marks a node as a preview, so that nobody takes it for a result.
PREVIEW_ATTRIBUTE = "StUNetPerfusion.Preview"


@dataclass(frozen=True, eq=False)
class PreviewPart:
    """One slice of a preview; arrays are (Y, X) float32.

    :param slice: its number
    :param stage: "first", from few strips, or "exact"
    :param cbv: predicted CBV, fraction, 0 outside the brain
    :param uncertainty: of it: the error that the network expects, or the spread over strips, as the checkpoint has it
    :param closedForm: CBV of the first pass, fraction
    :param uncertaintyIs: which of the two the uncertainty is, in words
    """

    slice: int
    stage: str
    cbv: np.ndarray
    uncertainty: np.ndarray
    closedForm: np.ndarray
    uncertaintyIs: str


class PreviewMaps:
    """Four volumes on the grid of a series, of which only the previewed slices hold anything.

    :param scene: vtkMRMLScene
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._nodeIds: dict[str, str] = {}
        self._painted: set[int] = set()

    def node(self, role: str):
        """The vtkMRMLScalarVolumeNode of one map, or None before the first slice."""
        return self._scene.GetNodeByID(self._nodeIds[role]) if role in self._nodeIds else None

    def paint(self, grid: Grid, part: PreviewPart) -> bool:
        """Put one slice into the maps.

        :param grid: of the series
        :param part: the slice
        :returns: whether the volumes are new, or their uncertainty is another than before
        """
        brain = part.cbv != 0
        reference = np.where(brain, part.closedForm, 0)
        images = {
            PREDICTION: part.cbv,
            UNCERTAINTY: part.uncertainty,
            REFERENCE: reference,
            DIFFERENCE: np.where(brain, part.cbv - reference, 0),
        }
        self._makeNodes(grid)
        for role, image in images.items():
            node = self.node(role)
            slicer.util.arrayFromVolume(node)[part.slice] = image
            slicer.util.arrayFromVolumeModified(node)
        self._painted.add(part.slice)
        uncertainty = self.node(UNCERTAINTY)
        told = uncertainty.GetAttribute(UNCERTAINTY_IS)
        uncertainty.SetAttribute(UNCERTAINTY_IS, part.uncertaintyIs)
        return told != part.uncertaintyIs

    def blank(self) -> None:
        """Empty all slices: they were made with other settings, and would be taken for the present ones."""
        for node in (self.node(role) for role in self._nodeIds):
            if node is not None and self._painted:
                slicer.util.arrayFromVolume(node)[list(self._painted)] = 0
                slicer.util.arrayFromVolumeModified(node)
        self._painted = set()

    def remove(self) -> None:
        """Take the volumes out of the scene."""
        for nodeId in self._nodeIds.values():
            removeWithLooks(self._scene, self._scene.GetNodeByID(nodeId))
        self._nodeIds = {}
        self._painted = set()

    def _makeNodes(self, grid: Grid) -> None:
        present = [self.node(role) for role in self._nodeIds]
        complete = bool(present) and all(node is not None for node in present)
        if complete and slicer.util.arrayFromVolume(present[0]).shape == grid.shape:
            return
        self.remove()
        names = {
            PREDICTION: _("Preview: CBV"),
            UNCERTAINTY: _("Preview: uncertainty"),
            REFERENCE: _("Preview: reference"),
            DIFFERENCE: _("Preview: difference"),
        }
        for role, name in names.items():
            node = addHiddenNode(self._scene, "vtkMRMLScalarVolumeNode", name)
            node.SetAttribute(PREVIEW_ATTRIBUTE, role)
            placeVolume(node, grid)
            slicer.util.updateVolumeFromArray(node, np.zeros(grid.shape, np.float32))
            self._nodeIds[role] = node.GetID()
