"""A node that may go away at any time: the user deletes it, or closes the scene, while a computation runs."""

from __future__ import annotations

import vtk

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.translation import tr as _


class NodeHandle:
    """Finds a node again as long as it is in its scene, and never keeps it alive.

    Its ID would not do: once a scene was closed, another node gets the same one.

    :param node: vtkMRMLNode in a scene
    """

    def __init__(self, node) -> None:
        self._weak = vtk.vtkWeakReference()
        self._weak.Set(node)
        self._scene = vtk.vtkWeakReference()
        self._scene.Set(node.GetScene())
        self._id = node.GetID()
        self.name: str = node.GetName() or node.GetID() or "node"

    @property
    def node(self):
        """The vtkMRMLNode, or None where it has gone."""
        node, scene = self._weak.Get(), self._scene.Get()
        if node is None or scene is None or node.GetScene() is not scene or not scene.IsNodePresent(node):
            return None
        return node

    def require(self):
        """The vtkMRMLNode.

        :raises InputError: it has gone
        """
        node = self.node
        if node is None:
            raise InputError(
                self.name,
                _("was removed from the scene, so nothing was added to it"),
                _("choose a series, and run again"),
            )
        return node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeHandle) and self._weak.Get() is other._weak.Get() and self._id == other._id

    def __hash__(self) -> int:
        return hash(self._id)
