"""What the logic's computations do, step by step: see `runs`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.dose.simulate import check_dose
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError, Setting
from StUNetPerfusionLib.process.openInputs import OpenInputs, WantedInput
from StUNetPerfusionLib.process.runs import Request, Steps
from StUNetPerfusionLib.process.runTimes import RunTimes
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
from StUNetPerfusionLib.scene import resultImages
from StUNetPerfusionLib.scene.comparison import Comparison
from StUNetPerfusionLib.scene.inputSeries import OpenedInput
from StUNetPerfusionLib.scene.masks import maskOf, segmentIdOf, voxelsOfPoints
from StUNetPerfusionLib.scene.previewMaps import PreviewPart
from StUNetPerfusionLib.scene.results import (
    Found,
    ResultNodes,
    fileDigest,
    placeResults,
)
from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries
from StUNetPerfusionLib.translation import tr as _

#: Share of a run that copying and looking at the series is counted as.
_OPENING = 0.05


@dataclass(frozen=True)
class DoseChoice:
    """The dose that is simulated.

    :param dose: share of the dose that is kept, above 0 and at most 1
    :param method: "equation1" or "noise-matched"
    :param seed: of the noise
    """

    dose: float = 1.0
    method: str = "noise-matched"
    seed: int = 0

    def arguments(self) -> dict[str, Any]:
        """As the worker takes them."""
        return {"dose": self.dose, "method": self.method, "seed": self.seed}

    def facts(self) -> dict[str, Any]:
        """As attributes of a result."""
        simulated = {"Method": self.method, "Seed": self.seed} if self.dose < 1 else {}
        return {"Dose": f"{self.dose:g}", **simulated}


@dataclass(frozen=True, eq=False)
class ArterialCurve:
    """An arterial input function.

    :param curve: (T,) one value a steady frame
    :param times: (T,) seconds
    :param source: where it comes from, for people
    :param unit: of the values
    :param voxels: (Z, Y, X) bool, the voxels that it is the mean of, or None
    """

    curve: np.ndarray
    times: np.ndarray
    source: str
    unit: str
    voxels: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class AifChoice:
    """Where the arterial input comes from.

    :param told: "auto", or where the user said
    :param vessels: (Z, Y, X) bool, or None
    :param voxels: (slice, row, column) of each, or None
    """

    told: str = "auto"
    vessels: np.ndarray | None = None
    voxels: list[tuple[int, int, int]] | None = None

    def facts(self) -> dict[str, Any]:
        """As attributes of a result: two vessel regions are told apart by what is in them."""
        if self.vessels is not None:
            return {"Aif": self.told, "AifSha256": maskDigest(self.vessels)}
        if self.voxels is not None:
            return {"Aif": self.told, "AifVoxels": "; ".join(f"{x}, {y}, {z}" for z, y, x in self.voxels)}
        return {"Aif": self.told}

    def argument(self, folder: Path) -> Any:
        """As the worker takes it.

        :param folder: for files
        """
        if self.vessels is not None:
            path = folder / "vessels.npy"
            np.save(path, self.vessels)
            return {"vessels": str(path)}
        return "auto" if self.voxels is None else {"voxels": [list(voxel) for voxel in self.voxels]}


def aifChoice(source: Any, grid: Grid) -> AifChoice:
    """Where the user wants the arterial input from.

    :param source: "auto"; a vtkMRMLMarkupsFiducialNode whose points are in arteries; or vessels as `maskOf` takes them
    :param grid: of the series
    :raises InputError: as `maskOf` and `voxelsOfPoints`
    """
    if isinstance(source, str):
        if source != "auto":
            fact = _("cannot come from '{source}'").format(source=source)
            raise InputError(Setting.AIF, fact, _("give 'auto', vessels, or points"))
        return AifChoice()
    if hasattr(source, "IsA") and source.IsA("vtkMRMLMarkupsNode"):
        return AifChoice(f"points {source.GetName() or ''}".strip(), voxels=voxelsOfPoints(source, grid))
    return AifChoice(_nameOfVessels(source), vessels=maskOf(source, grid, _("vessel mask")))


def _nameOfVessels(source: Any) -> str:
    """What a result says of the vessels: the name of their segment or of their volume, as far as they have one."""
    if isinstance(source, tuple):
        segmentationNode, idOrName = source
        segment = segmentationNode.GetSegmentation().GetSegment(segmentIdOf(segmentationNode, idOrName))
        return f"segment {segment.GetName()}"
    return f"volume {source.GetName()}" if hasattr(source, "GetName") else "vessels"


class Computations:
    """The steps of each computation.

    :param worker: that computes
    :param inputs: that it has open
    :param runTimes: what is learned from each prediction
    """

    def __init__(self, worker: WorkerProcess, inputs: OpenInputs, runTimes: RunTimes) -> None:
        self._worker = worker
        self._inputs = inputs
        self._runTimes = runTimes

    def ask(self, do: str, **arguments: Any) -> Steps:
        """One request whose result is the answer."""
        return (yield Request(do, arguments))

    def opened(self, wanted: WantedInput) -> Steps:
        """:returns: OpenedInput"""
        return (yield from self._inputs.open(wanted, 0.0, 1.0))

    def arterialInput(self, wanted: WantedInput, aif: AifChoice, baseline: Any) -> Steps:
        """:returns: ArterialCurve"""
        opened = yield from self._inputs.open(wanted, 0.0, 0.5)
        answer = yield self._request(opened, "aif", 0.5, aif=aif.argument(self._worker.folder), baseline=baseline)
        return self._curve(answer, self._worker.take(answer["voxels"]))

    def preview(self, wanted: WantedInput, dose: DoseChoice, slices: list[int], aif: AifChoice, **model: Any) -> Steps:
        """:returns: the worker's answer; the slices come as parts"""
        check_dose(dose.dose, dose.method)
        opened = yield from self._inputs.open(wanted, 0.0, _OPENING)
        argument = aif.argument(self._worker.folder)
        return (
            yield self._request(opened, "preview", _OPENING, slices=slices, aif=argument, **dose.arguments(), **model)
        )

    def part(self, reply: Mapping[str, Any]) -> PreviewPart | None:
        """One slice of a preview from the worker's reply, or None where it has been superseded."""
        try:
            images = [self._worker.takePart(reply[name]) for name in ("cbv", "uncertainty", "closed_form")]
        except FileNotFoundError:
            return None
        return PreviewPart(reply["slice"], reply["stage"], *images, reply["uncertainty_is"])

    def prediction(
        self, wanted: WantedInput, dose: DoseChoice, checkpoint: Path, aif: AifChoice, **model: Any
    ) -> Steps:
        """:returns: Found"""
        check_dose(dose.dose, dose.method)
        opened = yield from self._inputs.open(wanted, 0.0, _OPENING)
        argument = aif.argument(self._worker.folder)
        answer = yield self._request(
            opened, "predict", _OPENING, checkpoint=str(checkpoint), aif=argument, **dose.arguments(), **model
        )
        maps = {name: self._worker.take(answer[name]) for name in ("cbv", "uncertainty", "standardized", "closed_form")}
        self._worker.removeRest(answer["cbv"])
        report, digest = answer["report"], fileDigest(checkpoint)
        slices = int(opened.brain.any(axis=(1, 2)).sum())
        self._runTimes.record(answer["device"], digest, slices, model["stride"], answer["seconds"])
        network = report["checkpoint"]["network"]
        facts = {
            **dose.facts(),
            **factsOf(opened, wanted, aif),
            "Computation": "prediction",
            "Network": network,
            "Checkpoint": checkpoint.name,
            "CheckpointSha256": digest,
            "Stride": model["stride"],
        }
        title, images = resultImages.ofPrediction(
            wanted.facts.name, dose.dose, checkpoint.stem, maps, opened.brain, report["uncertainty_is"]
        )
        return Found(title, images, wanted.facts.grid, facts, report)

    def reference(self, wanted: WantedInput, dose: DoseChoice, aif: AifChoice, **how: Any) -> Steps:
        """:returns: Found, with the ArterialCurve"""
        check_dose(dose.dose, dose.method)
        opened = yield from self._inputs.open(wanted, 0.0, _OPENING)
        argument = aif.argument(self._worker.folder)
        answer = yield self._request(opened, "reference", _OPENING, aif=argument, **dose.arguments(), **how)
        # CBV is defined in air too, where it is noise that nobody wants to see.
        maps = {
            name: (np.where(opened.brain, self._worker.take(told["file"]), np.float32(0)), told["unit"])
            for name, told in answer["maps"].items()
        }
        facts = {
            **dose.facts(),
            **factsOf(opened, wanted, aif),
            "Computation": "reference",
            "Baseline": how["baseline"],
            "LeakageCorrection": how["leakage_correction"],
            "Absolute": how["absolute"],
        }
        title, images = resultImages.ofReference(wanted.facts.name, dose.dose, maps, opened.brain)
        curve = self._curve(answer["aif"], self._worker.take(answer["aif"]["voxels"]))
        self._worker.removeRest(answer["aif"]["voxels"])
        return Found(title, images, wanted.facts.grid, facts, answer["report"], curve)

    def placed(self, wanted: WantedInput, computed: Steps, beside: ResultNodes | None = None) -> Steps:
        """Put what was found into the scene.

        :param computed: steps whose result is Found
        :returns: ResultNodes
        """
        found = yield from computed
        return placeResults(wanted.node.require(), found, beside)

    def lowDose(self, wanted: WantedInput, dose: DoseChoice) -> Steps:
        """:returns: vtkMRMLSequenceNode"""
        check_dose(dose.dose, dose.method)
        opened = yield from self._inputs.open(wanted, 0.0, 0.3)
        answer = yield self._request(opened, "low_dose", 0.3, **dose.arguments())
        inputNode, facts = wanted.node.require(), wanted.facts
        signal = self._worker.take(answer["signal"])
        series = DscSeries(signal, facts.times, facts.grid, facts.echoTime, facts.name)
        return sequenceFromSeries(series, inputNode.GetScene(), lowDoseName(inputNode, dose.dose))

    def verbenaInput(self, wanted: WantedInput, dose: DoseChoice, aif: AifChoice, baseline: Any) -> Steps:
        """What FSL's program wants to read, written by the worker.

        :param baseline: frames of S0, by which the arterial input is found
        :returns: the folder with `data.nii`, `mask.nii` and `aif.nii`; whoever asked removes it
        """
        check_dose(dose.dose, dose.method)
        opened = yield from self._inputs.open(wanted, 0.0, 0.1)
        asked = self._request(opened, "aif", 0.1, aif=aif.argument(self._worker.folder), baseline=baseline)
        found = yield replace(asked, stop=0.3)
        self._worker.take(found["voxels"])
        asked = self._request(opened, "verbena_input", 0.3, curve=found["curve"], **dose.arguments())
        # What the program itself takes is the rest.
        answer = yield replace(asked, stop=0.6)
        return self._worker.folder / answer["folder"]

    def scores(self, compared: Comparison) -> Steps:
        """:returns: the numbers of `metrics.compare_maps`"""
        files = {}
        for name, array in compared.arrays().items():
            files[name] = str(self._worker.folder / f"compared-{name}.npy")
            np.save(files[name], array)
        return (yield Request("compare", {**files, "names": list(compared.names)}))

    def _request(self, opened: OpenedInput, do: str, start: float, **arguments: Any) -> Request:
        return Request(do, {"series": opened.handle, **arguments}, start, 1.0, opened.generation)

    def _curve(self, told: Mapping[str, Any], voxels: np.ndarray) -> ArterialCurve:
        return ArterialCurve(np.array(told["curve"]), np.array(told["times"]), told["source"], told["unit"], voxels)


def brainFacts(opened: OpenedInput, given: bool) -> dict[str, str]:
    """Which brain mask a result was made with, as attributes.

    :param given: whether the user gave it
    """
    if not given:
        return {"BrainMask": "automatic"}
    return {"BrainMask": "given", "BrainMaskSha256": maskDigest(opened.brain)}


def maskDigest(mask: np.ndarray) -> str:
    """SHA-256 of a mask (Z, Y, X) of bool, in hexadecimal digits."""
    return hashlib.sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()


def lowDoseName(inputNode, dose: float) -> str:
    """What a series at a lower dose is called."""
    return _("{name} at {percent:g} % dose").format(name=inputNode.GetName(), percent=100 * dose)


def factsOf(opened: OpenedInput, wanted: WantedInput, aif: AifChoice) -> dict[str, Any]:
    """What a result depends on besides its dose."""
    return {
        "DroppedFrames": opened.droppedFrames,
        "FrameInterval": f"{wanted.facts.frameInterval:g}",
        "EchoTime": None if wanted.facts.echoTime is None else f"{wanted.facts.echoTime:g}",
        **brainFacts(opened, given=wanted.mask is not None),
        **aif.facts(),
    }
