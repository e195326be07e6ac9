"""One frame of the series at the simulated dose, repainted slice by slice while the dose is being chosen."""

from __future__ import annotations

import numpy as np
import slicer

from stunet_perfusion.dose.preview import DosePreview
from StUNetPerfusionLib.scene.hiddenNodes import addHiddenNode, removeWithLooks
from StUNetPerfusionLib.scene.inputSeries import OpenedInput
from StUNetPerfusionLib.scene.sequenceSeries import placeVolume
from StUNetPerfusionLib.translation import tr as _


class LowDoseVolume:
    """A volume that shows a frame of a series at a dose. Only slices that somebody looks at are computed.

    :param scene: vtkMRMLScene
    :param opened: the series
    """

    def __init__(self, scene, opened: OpenedInput) -> None:
        self.opened = opened
        self._scene = scene
        self._preview = DosePreview(opened.prepared)
        self._settings: tuple | None = None
        self._painted: set[int] = set()
        grid = opened.series.grid
        node = addHiddenNode(scene, "vtkMRMLScalarVolumeNode", _("DSC at the simulated dose"))
        placeVolume(node, grid)
        slicer.util.updateVolumeFromArray(node, np.zeros(grid.shape, np.float32))
        node.CreateDefaultDisplayNodes()
        displayNode = node.GetDisplayNode()
        displayNode.SetAutoWindowLevel(False)
        # Fluid is far brighter than tissue, and matters less.
        bright = float(np.percentile(opened.series.signal[opened.droppedFrames][opened.brain], 90))
        displayNode.SetWindowLevelMinMax(0, 1.2 * bright)
        self._nodeId = node.GetID()

    @property
    def node(self):
        """The vtkMRMLScalarVolumeNode, or None once it was removed."""
        return self._scene.GetNodeByID(self._nodeId)

    def show(self, frame: int, dose: float, method: str, slices: list[int]) -> None:
        """Paint the slices that are seen.

        :param frame: of the input, from 0
        :param dose: share of the dose
        :param method: see `stunet_perfusion.dose`
        :param slices: numbers of the slices that are seen
        """
        node = self.node
        if node is None:
            return
        settings = (frame, dose, method)
        if settings != self._settings:
            self._settings, self._painted = settings, set()
        todo = [z for z in slices if z not in self._painted]
        if not todo:
            return
        array = slicer.util.arrayFromVolume(node)
        for z in todo:
            array[z] = self._frameOfSlice(z, frame, dose, method)
            self._painted.add(z)
        slicer.util.arrayFromVolumeModified(node)

    def curve(self, voxel: tuple[int, int, int], dose: float, method: str) -> np.ndarray:
        """(T,) signal of one voxel (slice, row, column) at a dose; frames that are not in steady state as they are."""
        z, y, x = voxel
        signal = np.array(self.opened.series.signal[:, z, y, x], dtype=np.float32)
        signal[self.opened.droppedFrames :] = self._preview.voxel(z, y, x, dose, method)
        return signal

    def remove(self) -> None:
        """Take the volume out of the scene."""
        removeWithLooks(self._scene, self.node)

    def _frameOfSlice(self, z: int, frame: int, dose: float, method: str) -> np.ndarray:
        steady = frame - self.opened.droppedFrames
        if steady < 0:
            return self.opened.series.signal[frame, z]
        return self._preview.frame(z, steady, dose, method)
