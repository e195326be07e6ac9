"""The panel with a series chosen, and a logic that a test plays."""

from __future__ import annotations

import importlib

import numpy as np

from stunet_perfusion.preprocessing.preparation import prepare

READY = {
    "missing": [],
    "torch": "2.13.0",
    "torch_error": None,
    "python": "3.12",
    "auto": "cpu",
    "devices": [{"name": "cpu", "label": "CPU (2 cores)", "memory_bytes": None}],
}


class Run:
    """What the logic returns; a test ends it."""

    def __init__(self, kind: str, arguments: dict) -> None:
        self.kind, self.arguments = kind, arguments
        self.state, self.result, self.error, self.sentence = "running", None, None, ""
        self.onProgress = self.onFinished = self.onPart = None
        self.seconds, self.remainingSeconds = 2.0, None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def end(self, result=None, sentence: str = "") -> None:
        self.state, self.result, self.sentence = ("failed" if sentence else "done"), result, sentence
        self.onFinished(self)


class Logic:
    """Writes down what the panel asks for."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.onLog = None
        self.stopped = False

    def _begin(self, kind: str, **arguments) -> Run:
        run = Run(kind, arguments)
        run.onPart = arguments.pop("onPart", None)
        self.runs.append(run)
        return run

    def openInput(self, inputNode, **arguments) -> Run:
        return self._begin("open", inputNode=inputNode, **arguments)

    def preview(self, inputNode, slices, **arguments) -> Run:
        return self._begin("preview", inputNode=inputNode, slices=slices, **arguments)

    def arterialInput(self, inputNode, **arguments) -> Run:
        return self._begin("aif", inputNode=inputNode, **arguments)

    def compare(self, mapNode, referenceNode, **arguments) -> Run:
        return self._begin("compare", mapNode=mapNode, referenceNode=referenceNode, **arguments)

    def apply(self, inputNode, **arguments) -> Run:
        return self._begin("apply", inputNode=inputNode, **arguments)

    def environment(self, **arguments) -> Run:
        return self._begin("environment")

    def addSample(self, **arguments) -> Run:
        return self._begin("sample")

    def estimateSeconds(self, *arguments, **named) -> float | None:
        return 75.0

    def poll(self) -> bool:
        return True

    def stop(self) -> None:
        self.stopped = True

    def last(self, kind: str) -> Run:
        return [run for run in self.runs if run.kind == kind][-1]

    def count(self, kind: str) -> int:
        return sum(run.kind == kind for run in self.runs)


def choose(panel, scene, series) -> None:
    """Choose a series, and let the worker have looked at it."""
    sequenceSeries = importlib.import_module("StUNetPerfusionLib.scene.sequenceSeries")
    panel.parameters.inputNode = sequenceSeries.sequenceFromSeries(series, scene, "DSC")
    panel.logic.last("open").end(opened(series))


def opened(series):
    inputSeries = importlib.import_module("StUNetPerfusionLib.scene.inputSeries")
    prepared = prepare(series)
    dropped = prepared.dropped_frames
    facts = inputSeries.InputFacts("DSC", series.times, series.grid, series.echo_time, ())
    return inputSeries.OpenedInput(
        handle="input-1",
        generation=1,
        facts=facts,
        series=series,
        brain=prepared.brain,
        droppedFrames=dropped,
        arrival=dropped + prepared.bolus.arrival,
        peak=dropped + prepared.bolus.peak,
        notes=(),
    )


def part(panel, slice: int, stage: str, value: float, uncertaintyIs: str = "spread"):
    computations = importlib.import_module("StUNetPerfusionLib.process.computations")
    brain = panel.opened.brain[slice].astype(np.float32)
    return computations.PreviewPart(
        slice, stage, value * brain, 0.1 * value * brain, 0.5 * value * brain, uncertaintyIs
    )


def look_at(panel, slice: int) -> None:
    """Scroll the series view to a slice."""
    import slicer

    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    sliceNode = slicer.app.layoutManager().sliceWidget(layout.SERIES_VIEW).mrmlSliceNode()
    sliceNode.RotateToVolumePlane(panel.views.lowDose.node)
    center = panel.opened.series.grid.ijk_to_ras @ [0, 0, slice, 1]
    sliceNode.JumpSlice(*center[:3])


def applied(scene, inputNode, dose: float, **facts):
    """A result in the scene, as far as the panel looks at it.

    :param facts: attributes of the prediction
    """
    import slicer

    applying = importlib.import_module("StUNetPerfusionLib.scene.appliedResult")
    results = importlib.import_module("StUNetPerfusionLib.scene.results")
    nodes = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"map {n}") for n in range(2)]
    for node in nodes:
        slicer.util.updateVolumeFromArray(node, np.ones((2, 3, 4), np.float32))
        node.SetAttribute("StUNetPerfusion.Dose", f"{dose:g}")
    nodes[0].SetNodeReferenceID(results.INPUT, inputNode.GetID())
    nodes[0].SetNodeReferenceID(applying.REFERENCE, nodes[1].GetID())
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", f"numbers at {dose:g}")
    nodes[0].SetNodeReferenceID(applying.TABLE, table.GetID())
    for name, value in facts.items():
        nodes[0].SetAttribute(f"StUNetPerfusion.{name}", value)
    return applying.AppliedResult(importlib.import_module("StUNetPerfusionLib.scene.nodeHandle").NodeHandle(nodes[0]))
