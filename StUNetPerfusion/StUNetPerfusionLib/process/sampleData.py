"""The sample: a drawn head with a tumor, scanned in software. It is made here and comes from nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.resources import RESOURCES
from StUNetPerfusionLib.process.runs import Request, Steps
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
from StUNetPerfusionLib.scene.masks import addSegmentation, segmentIdOf
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.scene.sequenceBrowser import showSequence
from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries
from StUNetPerfusionLib.translation import tr as _

#: What the sample is called in the Sample Data module.
SAMPLE_NAME = "StUNetPerfusionSample"

#: Names and colors of the sample's segments, by what the worker calls their masks.
_SEGMENTS = {
    "brain": ("brain", (0.90, 0.80, 0.65)),
    "tumor": ("tumor", (0.95, 0.35, 0.25)),
    "nawm": ("normal white matter", (0.55, 0.75, 0.95)),
    "vessels": ("vessels", (0.85, 0.15, 0.45)),
}


@dataclass(frozen=True, eq=False)
class SampleNodes:
    """The nodes of the sample. They are looked up each time: None for one that the user removed.

    :param handles: by "sequence", "segmentation", "browser"
    """

    handles: Mapping[str, NodeHandle]

    @property
    def sequence(self):
        """vtkMRMLSequenceNode of the series."""
        return self.handles["sequence"].node

    @property
    def segmentation(self):
        """vtkMRMLSegmentationNode with brain, tumor, normal white matter and vessels."""
        return self.handles["segmentation"].node

    @property
    def browser(self):
        """vtkMRMLSequenceBrowserNode that shows the series."""
        return self.handles["browser"].node


def registerSample(makeLogic: Callable[[], Any]) -> None:
    """Offer the sample in the Sample Data module, in a category of its own.

    :param makeLogic: makes a StUNetPerfusionLogic; called when the user asks for the sample
    """
    import SampleData

    icon = RESOURCES / "Icons" / "StUNetPerfusion.png"

    def load(source) -> list:
        logic = makeLogic()
        try:
            nodes = logic.addSample()
        finally:
            logic.stop()
        return [nodes.sequence, nodes.segmentation]

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Perfusion",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(icon),
        # Nothing is downloaded.
        uris=[],
        fileNames=[],
        nodeNames=[],
        customDownloader=load,
    )


def addSampleSteps(worker: WorkerProcess, scene) -> Steps:
    """Let the worker make the sample, and add it.

    :returns: SampleNodes
    """
    answer = yield Request("sample")
    signal = worker.take(answer["signal"])
    masks = {key: worker.take(answer[key]) for key in _SEGMENTS}
    worker.take(answer["cbv"])
    grid = Grid(signal.shape[1:], np.array(answer["ijk_to_ras"]))
    series = DscSeries(signal, np.array(answer["times"]), grid, answer["echo_time"], answer["name"])
    sequenceNode = sequenceFromSeries(series, scene, answer["name"])
    regions = {_(name): (masks[key], color) for key, (name, color) in _SEGMENTS.items() if masks[key].any()}
    segmentationNode = addSegmentation(scene, grid, regions, _("{name} regions").format(name=answer["name"]))
    displayNode = segmentationNode.GetDisplayNode()
    displayNode.SetVisibility2DFill(False)
    for name in regions:
        # All outlines at once would hide the maps that they lie over.
        displayNode.SetSegmentVisibility(segmentIdOf(segmentationNode, name), name == _(_SEGMENTS["tumor"][0]))
    browserNode = showSequence(sequenceNode)
    # The Segment Editor draws on it, and would take any other volume.
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(browserNode.GetProxyNode(sequenceNode))
    nodes = {"sequence": sequenceNode, "segmentation": segmentationNode, "browser": browserNode}
    return SampleNodes({role: NodeHandle(node) for role, node in nodes.items()})
