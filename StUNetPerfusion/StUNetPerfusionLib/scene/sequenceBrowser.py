"""Looking through the frames of a sequence."""

from __future__ import annotations

from StUNetPerfusionLib.translation import tr as _


def showSequence(sequenceNode):
    """A browser for a sequence, the one that it has or a new one, with a volume that shows one frame at a time.

    :returns: vtkMRMLSequenceBrowserNode
    """
    browserNode = browserOf(sequenceNode)
    if browserNode is None:
        browserNode = sequenceNode.GetScene().AddNewNodeByClass(
            "vtkMRMLSequenceBrowserNode", _("{name} browser").format(name=sequenceNode.GetName())
        )
        browserNode.SetAndObserveMasterSequenceNodeID(sequenceNode.GetID())
    _addProxy(browserNode, sequenceNode)
    return browserNode


def browserOf(sequenceNode):
    """The browser whose leading sequence this is, or None."""
    scene = sequenceNode.GetScene()
    for position in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browserNode = scene.GetNthNodeByClass(position, "vtkMRMLSequenceBrowserNode")
        if browserNode.GetMasterSequenceNode() is sequenceNode:
            return browserNode
    return None


def _addProxy(browserNode, sequenceNode) -> None:
    if browserNode.GetProxyNode(sequenceNode) is not None:
        return
    proxyNode = browserNode.AddProxyNode(sequenceNode.GetNthDataNode(0), sequenceNode, True)
    proxyNode.SetName(sequenceNode.GetName())
    # The proxy shows the sequence. Changing it must not change the series.
    browserNode.SetSaveChanges(sequenceNode, False)
    if proxyNode.GetDisplayNode() is None:
        proxyNode.CreateDefaultDisplayNodes()
