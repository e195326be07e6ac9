"""What scripts and the panel can ask for: the body of StUNetPerfusionLogic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer

from stunet_perfusion.support.errors import InputError, StUNetPerfusionError
from stunet_perfusion.support.resources import shipped_checkpoint
from StUNetPerfusionLib.process.applySteps import ReferenceChoice, applySteps
from StUNetPerfusionLib.process.computations import (
    Computations,
    DoseChoice,
    aifChoice,
    lowDoseName,
)
from StUNetPerfusionLib.process.dicomExport import exportSteps
from StUNetPerfusionLib.process.openInputs import OpenInputs, wantedInput
from StUNetPerfusionLib.process.runs import Run, Steps
from StUNetPerfusionLib.process.runTimes import RunTimes
from StUNetPerfusionLib.process.sampleData import addSampleSteps
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
from StUNetPerfusionLib.process.workerRuns import WorkerRuns
from StUNetPerfusionLib.scene import resultImages
from StUNetPerfusionLib.scene.colors import windowAndLevel
from StUNetPerfusionLib.scene.comparison import (
    Comparison,
    Regions,
    comparisonOf,
    regionsOf,
)
from StUNetPerfusionLib.scene.inputSeries import InputOptions, OpenedInput
from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.scene.results import ResultNodes, addToResult, fileDigest
from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries, seriesFromSequence
from StUNetPerfusionLib.scene.statistics import updateTable
from StUNetPerfusionLib.translation import tr as _


class PerfusionLogic(WorkerRuns):
    """Dose simulation, prediction and reference for series in the scene.

    Computations run in a worker process that is started by the first of them. Each can be waited for, or be followed
    as a `Run` while `poll` is called from a timer. Whatever goes into the scene does so at the very end, all or none
    of it. Every computation takes, besides its own, the arguments of `InputOptions`: `mask`, `dropFrames`, `echoTime`,
    `frameInterval`.
    """

    def __init__(self, command: Sequence[str] | None = None, runTimes: RunTimes | None = None) -> None:
        """
        :param command: how the worker is started; by default as `workerCommand` says
        :param runTimes: how long former predictions took
        """
        super().__init__(WorkerProcess(command))
        self._inputs = OpenInputs(self._worker, lambda: len(self._runs) <= 1)
        self._runTimes = runTimes or RunTimes()
        self._computations = Computations(self._worker, self._inputs, self._runTimes)

    def simulateDose(
        self, inputSequence, dose, method="noise-matched", seed=0, dropFrames="auto", echoTime=None, frameInterval=None
    ):
        """Add a sequence that shows a DSC series at a lower contrast dose. Computed here, without the worker.

        :param inputSequence: vtkMRMLSequenceNode or vtkMRMLMultiVolumeNode of the full-dose series; it is not changed
        :param dose: share of the dose that is kept, above 0 and at most 1
        :param method: "equation1", as in the paper, or "noise-matched"
        :param seed: of the noise that "noise-matched" adds
        :param dropFrames: number of first frames that are not in steady state and pass unchanged, or "auto"
        :param echoTime: TE in seconds, or None to take what the node says
        :param frameInterval: seconds between frames, or None to take what the node says
        :returns: vtkMRMLSequenceNode with all frames and times of the input
        :raises InputError: a series or a dose that cannot be used, in one sentence for the user
        """
        # Not at file scope: it loads a good part of scipy, and Slicer imports this when it starts.
        from stunet_perfusion.dose.simulate import check_dose, simulate_dose
        from stunet_perfusion.preprocessing.preparation import prepare

        check_dose(dose, method)
        series = seriesFromSequence(inputSequence, echoTime, frameInterval)
        prepared = prepare(series, drop_frames=dropFrames)
        # The steady frames share the memory of the copied series: written over, they are the low-dose series.
        simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed, in_place=True)
        return sequenceFromSeries(series, inputSequence.GetScene(), lowDoseName(inputSequence, dose))

    def lowDose(self, inputNode, dose, method="noise-matched", seed=0, waitForCompletion=True, **inputOptions):
        """As `simulateDose`, computed in the worker.

        :returns: vtkMRMLSequenceNode, or the Run
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(**inputOptions))
            return self._computations.lowDose(wanted, DoseChoice(dose, method, seed))

        return self._begin(steps, waitForCompletion)

    def openInput(self, inputNode, waitForCompletion=True, **inputOptions):
        """Look at a series: find its steady frames, brain and bolus. Computations do so themselves where need be.

        :param inputNode: vtkMRMLSequenceNode or vtkMRMLMultiVolumeNode
        :returns: OpenedInput, or the Run
        """
        return self._begin(
            lambda: self._computations.opened(wantedInput(inputNode, InputOptions(**inputOptions))), waitForCompletion
        )

    def openedInput(self, inputNode, **inputOptions) -> OpenedInput | None:
        """What `openInput` found, without doing anything; None where that has not been done, or the series changed."""
        return self._inputs.find(wantedInput(inputNode, InputOptions(**inputOptions)))

    def arterialInput(self, inputNode, aif="auto", baseline="auto", waitForCompletion=True, **inputOptions):
        """The arterial input at full dose.

        :param aif: see `predict`
        :param baseline: frames of S0: "first", "auto" (all before the bolus), or a number
        :returns: ArterialCurve, or the Run
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(**inputOptions))
            return self._computations.arterialInput(wanted, aifChoice(aif, wanted.facts.grid), baseline)

        return self._begin(steps, waitForCompletion)

    def preview(
        self,
        inputNode,
        slices,
        dose=1.0,
        method="noise-matched",
        checkpoint=None,
        device="auto",
        seed=0,
        threads=None,
        aif="auto",
        onPart=None,
        **inputOptions,
    ) -> Run:
        """Predict some slices, soon. Nothing goes into the scene, and a newer preview cancels an older one.

        :param slices: their numbers, from 0
        :param onPart: called with a PreviewPart for each slice, first from few strips and then exact
        :returns: the Run
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(**inputOptions))
            model = {"checkpoint": str(_checkpoint(checkpoint)), "device": device, "threads": threads}
            choice = aifChoice(aif, wanted.facts.grid)
            whole = [int(number) for number in slices]
            return self._computations.preview(wanted, DoseChoice(dose, method, seed), whole, choice, **model)

        run = self._begin(steps, waitForCompletion=False)
        run.readPart, run.onPart = self._computations.part, onPart
        return run

    def predict(
        self,
        inputNode,
        dose=1.0,
        method="noise-matched",
        checkpoint=None,
        device="auto",
        mask=None,
        seed=0,
        stride=1,
        batch=8,
        threads=None,
        aif="auto",
        waitForCompletion=True,
        **inputOptions,
    ):
        """Predict the CBV map of a series by a trained network.

        :param inputNode: vtkMRMLSequenceNode or vtkMRMLMultiVolumeNode of the full-dose series; it is not changed
        :param dose: share of the dose to simulate, above 0 and at most 1
        :param method: "equation1", as in the paper, or "noise-matched"
        :param checkpoint: path of a .safetensors file, or None for the one that ships
        :param device: "auto", "cpu", "cuda:0", "mps" ...
        :param mask: the brain; None to find it. See `masks.maskOf`
        :param seed: of the noise that "noise-matched" adds
        :param stride: rows from one strip to the next; 1 is the paper's
        :param batch: strips at a time
        :param threads: that compute, or None for one less than there are cores
        :param aif: "auto"; vessels as `masks.maskOf` takes them; or a vtkMRMLMarkupsFiducialNode, points in arteries
        :param waitForCompletion: whether to return when all is done, or at once
        :returns: ResultNodes with `cbv`, `uncertainty` and `standardized`, or the Run
        :raises InputError: what cannot be used, in one sentence for the user
        :raises WorkerError: the worker could not be started, or ended
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(mask=mask, **inputOptions))
            model = {"device": device, "stride": stride, "batch": batch, "threads": threads}
            choice = aifChoice(aif, wanted.facts.grid)
            path = _checkpoint(checkpoint)
            computed = self._computations.prediction(wanted, DoseChoice(dose, method, seed), path, choice, **model)
            return self._computations.placed(wanted, computed)

        return self._begin(steps, waitForCompletion)

    def computeReference(
        self,
        inputNode,
        dose=1.0,
        method="noise-matched",
        seed=0,
        aif="auto",
        baseline="auto",
        leakageCorrection=False,
        absolute=False,
        beside: ResultNodes | None = None,
        threads=None,
        waitForCompletion=True,
        **inputOptions,
    ):
        """Compute the reference maps in closed form, as FSL's Verbena does; outside the brain they are 0.

        Arguments as of `predict`.

        :param baseline: frames of S0: "first", as Verbena takes it, "auto" (all before the bolus), or a number
        :param leakageCorrection: of CBV, after Boxerman; adds K2
        :param absolute: CBV in ml/100 g and CBF in ml/100 g/min
        :param beside: another result, in whose folder the maps are to lie
        :returns: ResultNodes with `cbv`, `cbf`, `mtt` and `aif`, or the Run
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(**inputOptions))
            how = {
                "baseline": baseline,
                "leakage_correction": leakageCorrection,
                "absolute": absolute,
                "threads": threads,
            }
            choice = aifChoice(aif, wanted.facts.grid)
            computed = self._computations.reference(wanted, DoseChoice(dose, method, seed), choice, **how)
            return self._computations.placed(wanted, computed, beside)

        return self._begin(steps, waitForCompletion)

    def apply(
        self,
        inputNode,
        dose=1.0,
        method="noise-matched",
        checkpoint=None,
        device="auto",
        mask=None,
        tumor=None,
        nawm=None,
        regions: Mapping[str, Any] | None = None,
        reference: ReferenceChoice | None = None,
        seed=0,
        stride=1,
        batch=8,
        threads=None,
        aif="auto",
        waitForCompletion=True,
        **inputOptions,
    ):
        """Predict, compute the reference, their difference and the table of numbers: all of it, or nothing.

        Arguments as of `predict` and `compare`.

        :param reference: what to compare with; by default the reference maps at full dose
        :returns: AppliedResult, or the Run
        """

        def steps() -> Steps:
            wanted = wantedInput(inputNode, InputOptions(mask=mask, **inputOptions))
            grid = wanted.facts.grid
            return applySteps(
                self._computations,
                wanted,
                DoseChoice(dose, method, seed),
                _checkpoint(checkpoint),
                aifChoice(aif, grid),
                reference or ReferenceChoice(),
                regionsOf(grid, mask, tumor, nawm, regions),
                {"device": device, "stride": stride, "batch": batch, "threads": threads},
            )

        return self._begin(steps, waitForCompletion)

    def difference(self, mapNode, referenceNode):
        """Add a volume that shows a map minus its reference, beside the map; 0 where either is.

        :returns: vtkMRMLScalarVolumeNode, the same one for the same map each time
        :raises InputError: volumes on different grids
        """
        compared = comparisonOf(mapNode, referenceNode, Regions())
        displayNode = mapNode.GetDisplayNode()
        window = windowAndLevel(compared.values)[0] if displayNode is None else displayNode.GetWindow()
        return addToResult(mapNode, resultImages.ofDifference(*compared.names, compared.difference(), window))

    def compare(
        self,
        mapNode,
        referenceNode,
        mask=None,
        tumor=None,
        nawm=None,
        regions: Mapping[str, Any] | None = None,
        tableNode=None,
        waitForCompletion=True,
    ):
        """Compare a map with its reference, in a table.

        :param mapNode: vtkMRMLScalarVolumeNode
        :param referenceNode: vtkMRMLScalarVolumeNode on the same grid, in the same unit
        :param mask: the brain as `masks.maskOf` takes it; by default the voxels in which the map is not 0
        :param tumor: the tumor, likewise, or None
        :param nawm: normal-appearing white matter, likewise, or None
        :param regions: further regions by name
        :param tableNode: vtkMRMLTableNode to fill anew, or None to add one
        :returns: vtkMRMLTableNode, or the Run
        """

        def steps() -> Steps:
            chosen = regionsOf(gridOfVolume(mapNode), mask, tumor, nawm, regions)
            compared = comparisonOf(mapNode, referenceNode, chosen)
            table = None if tableNode is None else NodeHandle(tableNode)
            return self._tableSteps(compared, NodeHandle(mapNode), table)

        return self._begin(steps, waitForCompletion)

    def exportDicom(self, volumeNodes: Mapping[str, Any], output, source=None, waitForCompletion=True):
        """Write results as DICOM: Parametric Map objects, and MR series for viewers that cannot read those.

        :param volumeNodes: a volume of a result by the name of the folder within `output` for all maps that belong
            with it, for example `{"prediction": found.cbv, "reference": found.reference}`
        :param output: a new or an empty folder
        :param source: folder with the DICOM files of the series, whose patient and study the maps get; None for a
            study of nobody
        :returns: sentences for the user, or the Run
        """
        return self._begin(
            lambda: exportSteps(self._worker, volumeNodes, None if source is None else Path(source), Path(output)),
            waitForCompletion,
        )

    def environment(self, waitForCompletion=True):
        """What the worker can compute with.

        :returns: dict, see `stunet_perfusion.worker.protocol.Environment`, or the Run
        """
        return self._begin(lambda: self._computations.ask("environment"), waitForCompletion)

    def addSample(self, scene=None, waitForCompletion=True):
        """Add the sample: a series with regions, the same each time.

        :param scene: vtkMRMLScene, the application's by default
        :returns: SampleNodes, or the Run
        """
        return self._begin(lambda: addSampleSteps(self._worker, scene or slicer.mrmlScene), waitForCompletion)

    def estimateSeconds(self, inputNode, device, checkpoint=None, stride=1, **inputOptions) -> float | None:
        """How long `predict` will take, from how long it took before; None where nothing is known.

        :param device: as the worker names it, not "auto"
        """
        try:
            opened = self.openedInput(inputNode, **inputOptions)
            digest = fileDigest(_checkpoint(checkpoint))
        except (StUNetPerfusionError, OSError):
            return None
        if opened is None:
            return None
        slices = int(opened.brain.any(axis=(1, 2)).sum())
        return self._runTimes.estimate(device, digest, slices, stride)

    def stop(self) -> None:
        """End the worker and remove its files. What is under way is cancelled; a later request starts anew."""
        super().stop()
        self._inputs.forget()

    def _tableSteps(self, compared: Comparison, mapNode: NodeHandle, tableNode: NodeHandle | None) -> Steps:
        lines = compared.lines((yield from self._computations.scores(compared)))
        title = _("{name} statistics").format(name=mapNode.name)
        return updateTable(mapNode.require().GetScene(), lines, tableNode and tableNode.node, title)


def _checkpoint(path: str | Path | None) -> Path:
    """The path of a checkpoint; that of the shipped one for None.

    :raises InputError: no such file
    """
    if path is None:
        return shipped_checkpoint()
    if not Path(path).is_file():
        raise InputError(path, _("does not exist"), _("choose a .safetensors checkpoint"))
    return Path(path)
