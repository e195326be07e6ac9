"""The maps that stand in the views together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer


@dataclass(frozen=True, eq=False)
class ShownMaps:
    """Four maps that belong together; None where there is none.

    :param prediction: vtkMRMLScalarVolumeNode, as are the others
    :param label: what the handle of the prediction's view says, for example "25 %"
    :param referenceLabel: the same for the reference
    :param quantity: title of the legend of prediction and reference
    :param description: tells these maps from others of the same series
    :param table: vtkMRMLTableNode of their numbers
    """

    prediction: Any
    reference: Any = None
    difference: Any = None
    uncertainty: Any = None
    label: str = ""
    referenceLabel: str = ""
    quantity: str = "CBV"
    description: str = ""
    table: Any = None

    @property
    def alive(self) -> bool:
        """Whether the prediction is still in the scene."""
        return inScene(self.prediction)

    @property
    def pair(self) -> list:
        """Those of prediction and reference that are in the scene: they share a window."""
        return [node for node in (self.prediction, self.reference) if inScene(node)]


def inScene(node) -> bool:
    """Whether there is a node that the user has not removed."""
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))
