"""Everything that Apply computes, as one run that leaves all or nothing: prediction, reference, difference, numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.process.computations import (
    AifChoice,
    Computations,
    DoseChoice,
    factsOf,
)
from StUNetPerfusionLib.process.fslVerbena import VerbenaProcess, findVerbena
from StUNetPerfusionLib.process.openInputs import WantedInput
from StUNetPerfusionLib.process.runs import Request, Steps, Turn
from StUNetPerfusionLib.scene import resultImages
from StUNetPerfusionLib.scene.appliedResult import DIFFERENCE, REFERENCE, TABLE, UNCERTAINTY, AppliedResult
from StUNetPerfusionLib.scene.colors import shareWindow
from StUNetPerfusionLib.scene.comparison import Comparison, Regions
from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.scene.results import (
    RESULT,
    Found,
    addToResult,
    hierarchyOf,
    placeResults,
    removeVolume,
)
from StUNetPerfusionLib.scene.statistics import RegionStatistics, updateTable
from StUNetPerfusionLib.translation import tr as _

#: Shares of the whole that are done after prediction and reference; the comparison is the rest.
_PREDICTED, _REFERRED = 0.85, 0.95


@dataclass(frozen=True, eq=False)
class ReferenceChoice:
    """What a prediction is compared with.

    :param source: "built-in", "fsl" for the program verbena, or a handle of a volume in the scene
    :param dose: of the series that it is computed from
    :param baseline: see `computeReference`
    :param leakageCorrection: see `computeReference`
    """

    source: str | NodeHandle = "built-in"
    dose: DoseChoice = field(default_factory=DoseChoice)
    baseline: Any = "auto"
    leakageCorrection: bool = False


def applySteps(
    computations: Computations,
    wanted: WantedInput,
    dose: DoseChoice,
    checkpoint: Path,
    aif: AifChoice,
    reference: ReferenceChoice,
    regions: Regions,
    model: Mapping[str, Any],
) -> Steps:
    """Predict, refer and compare; then put it all into the scene.

    :param regions: where they are compared
    :param model: `device`, `stride`, `batch`, `threads`
    :returns: AppliedResult
    """
    predicted = yield from _within(computations.prediction(wanted, dose, checkpoint, aif, **model), 0, _PREDICTED)
    referred = yield from _within(_referenceSteps(computations, wanted, aif, reference), _PREDICTED, _REFERRED)
    values, referenceValues = predicted.values("cbv"), _valuesOf(referred, wanted)
    opened = yield from computations.opened(wanted)
    if regions.brain is None:
        regions = replace(regions, brain=opened.brain)
    names = (predicted.title, referred.name if isinstance(referred, NodeHandle) else referred.title)
    compared = Comparison(values, referenceValues, regions, names)
    scores = yield from _within(computations.scores(compared), _REFERRED, 1)
    return _placed(wanted.node.require(), predicted, referred, compared, compared.lines(scores))


def _placed(
    inputNode, predicted: Found, referred: Found | NodeHandle, compared: Comparison, lines: list[RegionStatistics]
) -> AppliedResult:
    """Add everything; what is new is taken away again where something fails."""
    scene = inputNode.GetScene()
    before = set(_volumeIds(scene))
    try:
        nodes = placeResults(inputNode, predicted)
        cbvNode = nodes.cbv
        given = isinstance(referred, NodeHandle)
        referenceNode = referred.require() if given else placeResults(inputNode, referred, nodes).cbv
        if not given:
            shareWindow([referenceNode, cbvNode], compared.brain)
        names = (cbvNode.GetName(), referenceNode.GetName())
        window = cbvNode.GetDisplayNode().GetWindow()
        differenceNode = addToResult(cbvNode, resultImages.ofDifference(*names, compared.difference(), window))
        title = _("{name} statistics").format(name=cbvNode.GetName())
        tableNode = updateTable(scene, lines, cbvNode.GetNodeReference(TABLE), title)
    except BaseException:
        for nodeId in set(_volumeIds(scene)) - before:
            removeVolume(scene.GetNodeByID(nodeId))
        raise
    _refer(cbvNode, {REFERENCE: referenceNode, DIFFERENCE: differenceNode, TABLE: tableNode})
    _refer(cbvNode, {UNCERTAINTY: nodes.uncertainty})
    _putBeside(tableNode, cbvNode)
    return AppliedResult(NodeHandle(cbvNode))


def _referenceSteps(computations: Computations, wanted: WantedInput, aif: AifChoice, choice: ReferenceChoice) -> Steps:
    """:returns: Found, or the handle of a volume that was there before"""
    if isinstance(choice.source, NodeHandle):
        return choice.source
    if choice.source == "fsl":
        return (yield from _verbenaSteps(computations, wanted, aif, choice))
    how = {
        "baseline": choice.baseline,
        "leakage_correction": choice.leakageCorrection,
        "absolute": False,
        "threads": None,
    }
    return (yield from computations.reference(wanted, choice.dose, aif, **how))


def _verbenaSteps(computations: Computations, wanted: WantedInput, aif: AifChoice, choice: ReferenceChoice) -> Steps:
    """:returns: Found"""
    program = findVerbena()
    how = choice.dose
    folder = yield from computations.verbenaInput(wanted, how, aif, choice.baseline)
    try:
        process = VerbenaProcess(program, folder, wanted.facts.frameInterval, wanted.facts.echoTime)
        try:
            while not process.finished:
                yield Turn(_("FSL's verbena computes the reference"))
            values = process.cbv()
        finally:
            process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    opened = yield from computations.opened(wanted)
    if values.shape != wanted.facts.grid.shape:
        raise InputError("verbena", _("wrote a map of another size"), _("choose the reference that is computed here"))
    title, images = resultImages.ofVerbena(wanted.facts.name, how.dose, values, opened.brain)
    facts = {
        **how.facts(),
        **factsOf(opened, wanted, aif),
        "Computation": "verbena",
        "Baseline": "first",  # the program knows no other
    }
    return Found(title, images, wanted.facts.grid, facts)


def _valuesOf(referred: Found | NodeHandle, wanted: WantedInput) -> np.ndarray:
    """(Z, Y, X) float32 of the reference CBV.

    :raises InputError: a volume that has gone, or that is on another grid than the series
    """
    if not isinstance(referred, NodeHandle):
        return referred.values("cbv")
    node = referred.require()
    if node.GetImageData() is None or not gridOfVolume(node).matches(wanted.facts.grid):
        raise InputError(
            referred.name, _("is on another grid than the series"), _("resample it to the grid of the series first")
        )
    return slicer.util.arrayFromVolume(node).astype(np.float32)


def _within(steps: Steps, start: float, stop: float) -> Steps:
    """The same steps as a part of a longer run: their progress from 0 to 1 becomes `start` to `stop`."""

    def scaled(request: Request | Turn | None) -> Request | Turn | None:
        if not isinstance(request, Request):
            return request
        span = stop - start
        return replace(request, start=start + span * request.start, stop=start + span * request.stop)

    return _driven(steps, scaled)


def _driven(steps: Steps, scaled: Callable[[Request | Turn | None], Request | Turn | None]) -> Steps:
    try:
        request = next(steps)
        while True:
            try:
                answer = yield scaled(request)
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                request = steps.throw(error)
            else:
                request = steps.send(answer)
    except StopIteration as end:
        return end.value


def _volumeIds(scene) -> list[str]:
    """Of all volumes that a computation of ours made."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    return [node.GetID() for node in volumes if node.GetAttribute(RESULT)]


def _refer(node, references: Mapping[str, Any]) -> None:
    for role, other in references.items():
        node.SetNodeReferenceID(role, other.GetID() if other is not None else None)


def _putBeside(node, memberNode) -> None:
    """Into the folder of the subject hierarchy in which another node lies."""
    hierarchy = hierarchyOf(node.GetScene())
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(memberNode))
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
    else:
        hierarchy.CreateItem(folder, node)
