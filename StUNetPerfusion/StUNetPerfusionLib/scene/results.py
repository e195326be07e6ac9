"""What a computation leaves in the scene: volumes in one folder of the subject hierarchy, with their provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from stunet_perfusion import __version__
from stunet_perfusion.series import Grid
from StUNetPerfusionLib.scene.nodeFrames import placeVolume
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle

#: What all attributes of ours begin with.
PREFIX = "StUNetPerfusion."

#: By which a volume knows the series that it was computed from; it is saved with the scene.
INPUT = PREFIX + "Input"

#: Which of the volumes of one computation a volume is.
ROLE = PREFIX + "Role"

#: What an uncertainty is, in words: the error that the network expects, or the spread over strips; that depends on the
#: checkpoint.
UNCERTAINTY_IS = PREFIX + "UncertaintyIs"

#: Tells apart results that have the same title; the first has none.
NUMBER = PREFIX + "Number"

#: The ID by which volumes of one computation know each other and the folder, in scenes that were saved too.
RESULT = PREFIX + "Result"


@dataclass(frozen=True, eq=False)
class ResultImage:
    """One volume to be added.

    :param role: what it is called in code: cbv, uncertainty, standardized, cbf, mtt, difference
    :param title: what it is called in the scene
    :param values: (Z, Y, X) float32
    :param unit: for people, may be empty
    :param show: gives the volume node its looks
    :param facts: further attributes, by their whole names
    """

    role: str
    title: str
    values: np.ndarray
    unit: str
    show: Callable[[Any], None]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ResultNodes:
    """The volumes of one computation. They are looked up each time: None for one that the user removed.

    :param handles: of the volume nodes, by role
    :param folderItem: of the subject hierarchy
    :param report: what was done, as the worker says it
    :param aif: the arterial input of a reference (ArterialCurve), or None
    """

    handles: Mapping[str, NodeHandle]
    folderItem: int
    report: dict[str, Any] = field(default_factory=dict)
    aif: Any = None

    def node(self, role: str):
        """The vtkMRMLScalarVolumeNode of a role, or None."""
        handle = self.handles.get(role)
        return None if handle is None else handle.node

    @property
    def cbv(self):
        """Cerebral blood volume."""
        return self.node("cbv")

    @property
    def uncertainty(self):
        """Of the predicted CBV: see `UNCERTAINTY_IS`."""
        return self.node("uncertainty")

    @property
    def standardized(self):
        """The predicted z-scores."""
        return self.node("standardized")

    @property
    def cbf(self):
        """Cerebral blood flow."""
        return self.node("cbf")

    @property
    def mtt(self):
        """Mean transit time."""
        return self.node("mtt")


@dataclass(frozen=True, eq=False)
class Found:
    """What a computation found, before any of it is in the scene.

    :param title: of the folder
    :param images: the volumes
    :param grid: of the images
    :param facts: provenance: attribute names without the prefix, and their values; the same facts are the same
        computation
    :param report: what was done, as the worker says it
    :param aif: the arterial input of a reference (ArterialCurve), or None
    """

    title: str
    images: Sequence[ResultImage]
    grid: Grid
    facts: Mapping[str, Any]
    report: dict[str, Any] = field(default_factory=dict)
    aif: Any = None

    def values(self, role: str) -> np.ndarray:
        """(Z, Y, X) of one volume."""
        return next(image.values for image in self.images if image.role == role)


def placeResults(inputNode, found: Found, beside: ResultNodes | None = None) -> ResultNodes:
    """Add the volumes of one computation, all or none.

    They lie in a folder beside the input in the subject hierarchy. Where the same computation of the same input was
    done before, its volumes get the new voxels instead.

    :param inputNode: what was computed from; in a scene
    :param found: what to add
    :param beside: another result, in whose folder these volumes are to lie
    :raises ValueError: an image of another shape than the grid
    """
    scene = inputNode.GetScene()
    attributes = {PREFIX + key: str(value) for key, value in found.facts.items() if value is not None}
    attributes[PREFIX + "InputName"] = inputNode.GetName() or ""
    attributes[PREFIX + "Version"] = __version__
    # Beside another result they are its own, so that each folder is complete.
    company = "" if beside is None else _identityOf(beside)
    identity = _identity(inputNode, {**attributes, "Beside": company})
    for image in found.images:
        if image.values.shape != tuple(found.grid.shape):
            raise ValueError(f"{image.role} has the shape {image.values.shape}, not {found.grid.shape}")
    made: list = []
    try:
        folder = _folder(scene, inputNode, found.title, identity) if beside is None else beside.folderItem
        number = hierarchyOf(scene).GetItemAttribute(folder, NUMBER)
        handles = {}
        for image in found.images:
            node = _earlierVolume(scene, identity, image.role)
            if node is None:
                node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", numbered(image.title, number))
                made.append(node)
            placeVolume(node, found.grid)
            slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(image.values, dtype=np.float32))
            _putUnder(node, inputNode)
            image.show(node)
            own = {PREFIX + "Unit": image.unit, ROLE: image.role, RESULT: identity}
            if number:
                own[NUMBER] = number
            for key, value in {**attributes, **image.facts, **own}.items():
                node.SetAttribute(key, value)
            node.SetNodeReferenceID(INPUT, inputNode.GetID())
            _moveTo(scene, node, folder)
            handles[image.role] = NodeHandle(node)
    except BaseException:
        _remove(scene, made, identity)
        raise
    return ResultNodes(handles, folder, found.report, found.aif)


def addToResult(memberNode, image: ResultImage):
    """Add one more volume to the folder of a result, or give the one of this role new voxels.

    :param memberNode: a volume of the result, whose grid and provenance the new one gets
    :returns: vtkMRMLScalarVolumeNode
    """
    scene = memberNode.GetScene()
    identity = memberNode.GetAttribute(RESULT) or ""
    node = _earlierVolume(scene, identity, image.role) if identity else None
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", image.title)
    node.SetName(image.title)  # it may be the difference from another reference now
    node.CopyOrientation(memberNode)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(image.values, dtype=np.float32))
    _putUnder(node, memberNode)
    image.show(node)
    for key, value in {**provenance(memberNode), "Unit": image.unit, "Role": image.role}.items():
        node.SetAttribute(PREFIX + key, value)
    hierarchy = hierarchyOf(scene)
    _moveTo(scene, node, hierarchy.GetItemParent(hierarchy.GetItemByDataNode(memberNode)))
    return node


def numbered(title: str, number: str | None) -> str:
    """A title that has a number where there are several of it: the same series and dose, but another mask or AIF."""
    return f"{title} #{number}" if number else title


def provenance(volumeNode) -> dict[str, str]:
    """What a volume of ours says about how it was made; empty for any other.

    :returns: by name without the prefix: Dose, Method, Checkpoint, CheckpointSha256, InputName, Version, Role, Unit ...
    """
    names = [name for name in volumeNode.GetAttributeNames() if name.startswith(PREFIX)]
    return {name[len(PREFIX) :]: volumeNode.GetAttribute(name) for name in names}


def fileDigest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def removeVolume(node) -> None:
    """Take one volume of a result away, with its looks, and its folder where nothing else is in it."""
    _remove(node.GetScene(), [node], node.GetAttribute(RESULT) or "")


def hierarchyOf(scene):
    """The vtkMRMLSubjectHierarchyNode of a scene."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _digest(file) -> str:
    """`hashlib.file_digest`, which Python 3.10 does not have."""
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()


def _identity(inputNode, attributes: Mapping[str, str]) -> str:
    told = repr((inputNode.GetID(), sorted(attributes.items())))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _identityOf(result: ResultNodes) -> str:
    node = next((handle.node for handle in result.handles.values() if handle.node is not None), None)
    return "" if node is None else node.GetAttribute(RESULT) or ""


def _earlierVolume(scene, identity: str, role: str):
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.GetAttribute(RESULT) == identity and node.GetAttribute(ROLE) == role:
            return node
    return None


def _folder(scene, inputNode, title: str, identity: str) -> int:
    hierarchy = hierarchyOf(scene)
    inputItem = hierarchy.GetItemByDataNode(inputNode) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), inputNode)
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.GetAttribute(RESULT) == identity:
            parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
            if hierarchy.GetItemAttribute(parent, RESULT) == identity:
                return parent
    parent = hierarchy.GetItemParent(inputItem)
    number = _freeNumber(hierarchy, parent, title)
    folder = hierarchy.CreateFolderItem(parent, numbered(title, number))
    hierarchy.SetItemAttribute(folder, RESULT, identity)
    if number:
        hierarchy.SetItemAttribute(folder, NUMBER, number)
    return folder


def _freeNumber(hierarchy, parent: int, title: str) -> str:
    """Nothing where no item beside has the title, else the first number from 2 with which none has it."""
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(parent, items, False)
    taken = {hierarchy.GetItemName(items.GetId(position)) for position in range(items.GetNumberOfIds())}
    numbers = ("", *(str(number) for number in range(2, len(taken) + 3)))
    return next(number for number in numbers if numbered(title, number) not in taken)


def _moveTo(scene, node, folder: int) -> None:
    """The application makes items for new nodes on its own, slicer-core does not."""
    hierarchy = hierarchyOf(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
    else:
        hierarchy.CreateItem(folder, node)


def _putUnder(node, inputNode) -> None:
    """What moves a multi-volume in space moves its maps. A sequence is under no transform."""
    if inputNode.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())


def _remove(scene, nodes: Sequence, identity: str) -> None:
    hierarchy, items = hierarchyOf(scene), vtk.vtkIdList()
    for node in nodes:
        for position in reversed(range(node.GetNumberOfDisplayNodes())):
            scene.RemoveNode(node.GetNthDisplayNode(position))
        # The application would remove the item with its node, slicer-core does not.
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False)
        scene.RemoveNode(node)
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    for item in [items.GetId(position) for position in range(items.GetNumberOfIds())]:
        if hierarchy.GetItemAttribute(item, RESULT) == identity and not hierarchy.GetNumberOfItemChildren(item):
            hierarchy.RemoveItem(item)
