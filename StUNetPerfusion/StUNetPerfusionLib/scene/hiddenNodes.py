"""Nodes of ours that users do not look for among their data."""

from __future__ import annotations

import slicer


def addHiddenNode(scene, className: str, name: str):
    """Add a node that is neither listed nor saved with the scene.

    It is hidden before it is added: the subject hierarchy makes an item for every node that it sees coming.

    :param scene: vtkMRMLScene
    :param className: for example "vtkMRMLScalarVolumeNode"
    :returns: the node
    """
    node = getattr(slicer, className)()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return scene.AddNode(node)


def removeWithLooks(scene, node) -> None:
    """Remove a volume and what says how it looks, its legend included.

    :param node: in the scene, or None
    """
    if node is None:
        return
    looks = [node.GetNthDisplayNode(position) for position in range(node.GetNumberOfDisplayNodes())]
    scene.RemoveNode(node)
    # The application removes them with their volume, slicer-core does not.
    for displayNode in looks:
        if displayNode is not None and scene.IsNodePresent(displayNode):
            scene.RemoveNode(displayNode)
