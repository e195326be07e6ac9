"""What Apply has left in the scene: a predicted map, and what it was compared with."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.scene.results import INPUT, PREFIX

#: By which a predicted map knows what it was compared with.
REFERENCE, DIFFERENCE, TABLE, UNCERTAINTY = (
    PREFIX + name for name in ("Reference", "Difference", "Table", "Uncertainty")
)


@dataclass(frozen=True, eq=False)
class AppliedResult:
    """A predicted map and what it was compared with, looked up each time: None for what the user removed.

    :param prediction: handle of the predicted CBV
    """

    prediction: NodeHandle

    @property
    def cbv(self):
        """The predicted CBV."""
        return self.prediction.node

    @property
    def reference(self):
        """The reference CBV."""
        return self._referred(REFERENCE)

    @property
    def difference(self):
        """Prediction minus reference."""
        return self._referred(DIFFERENCE)

    @property
    def uncertainty(self):
        """Of the prediction: the network's expected error or the spread over strips, see `results.UNCERTAINTY_IS`."""
        return self._referred(UNCERTAINTY)

    @property
    def table(self):
        """vtkMRMLTableNode of the numbers."""
        return self._referred(TABLE)

    def _referred(self, role: str):
        node = self.prediction.node
        return None if node is None else node.GetNodeReference(role)


def appliedResults(scene, inputNode) -> list[AppliedResult]:
    """All results of Apply for an input, in the order in which they were added. Its name may have changed since."""
    found = []
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.GetNodeReference(INPUT) is inputNode and node.GetNodeReference(REFERENCE) is not None:
            found.append(AppliedResult(NodeHandle(node)))
    return found
