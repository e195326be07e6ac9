"""What the sections of the panel share, and how they work together."""

from __future__ import annotations

import slicer

from StUNetPerfusionLib.panel.aifSection import AifSection
from StUNetPerfusionLib.panel.applyButton import ApplyButton
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.curvesSection import CurvesSection
from StUNetPerfusionLib.panel.delayedObserver import SEGMENTATION_EVENTS, DelayedObserver
from StUNetPerfusionLib.panel.doseSection import DoseSection
from StUNetPerfusionLib.panel.inputSection import InputSection
from StUNetPerfusionLib.panel.labelText import say
from StUNetPerfusionLib.panel.modelSection import ModelSection
from StUNetPerfusionLib.panel.numbersSection import NumbersSection
from StUNetPerfusionLib.panel.panelHeight import fitPanelHeight
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import modelOptions, slowChoices
from StUNetPerfusionLib.panel.referenceSection import ReferenceSection
from StUNetPerfusionLib.panel.resultExport import ResultExport
from StUNetPerfusionLib.panel.resultFlipping import ResultFlipping
from StUNetPerfusionLib.panel.resultLookup import mapsOfResult, otherResults, resultWith
from StUNetPerfusionLib.panel.runSection import RunSection
from StUNetPerfusionLib.panel.slicePreview import SlicePreview
from StUNetPerfusionLib.panel.viewsSection import ViewsSection
from StUNetPerfusionLib.parameterNode import PerfusionParameters
from StUNetPerfusionLib.scene.inputSeries import OpenedInput
from StUNetPerfusionLib.scene.layout import SideBySide
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds for which nobody draws before curves and numbers follow.
_DRAWN_MS = 300

#: What can be folded.
_SECTIONS = ("input", "dose", "model", "reference", "view", "numbers")


class Panel:
    """Makes the sections, and lets each follow what the others do.

    :param ui: the widgets of the .ui file
    :param logic: StUNetPerfusionLogic
    :param observer: VTKObservationMixin, which forgets its observers when the widget goes
    """

    def __init__(self, ui, logic, observer) -> None:
        self.ui = ui
        self.logic = logic
        self._case = case = ChosenCase()
        self._lookedAt: str | None = None
        self._segmentation: str | None = None
        self._previewKey: tuple | None = None
        self._slices: list[int] = []
        self._opening = None
        self._choices: tuple | None = None
        self._segmentEdits = DelayedObserver(observer, SEGMENTATION_EVENTS, _DRAWN_MS, self.regionsEdited)
        self.run = RunSection(
            ui,
            onApply=lambda: self.applying.begin(),
            hasNumbers=lambda: self.numbers.tableNode is not None,
        )
        self._runs = runs = PanelRuns(logic, self.run)
        self.views = ViewsSection(
            ui,
            case,
            runs,
            observer,
            SideBySide(slicer.app.layoutManager()),
            onPlaced=self.onDoseSettled,
            onSlice=self.onSliceMoved,
            onReplaced=lambda: self.flipping.forget(),
            onCleared=lambda: self.flipping.clear(),
        )
        self.curves = CurvesSection(case, observer, self.views, arterialCurve=lambda: self.aif.curve)
        self.input = InputSection(ui, case, runs, observer)
        self.dose = DoseSection(
            ui, case, onDose=self._onDose, onFrame=self.views.paintSeries, onSettled=self.onDoseSettled
        )
        self.model = ModelSection(ui, case, runs, onReady=self.refreshApply, onEnvironment=self._onEnvironment)
        self.reference = ReferenceSection(ui, case)
        self.aif = AifSection(ui, case, runs, observer, self.curves, onPointsMoved=self.regionsEdited)
        self.numbers = NumbersSection(ui, case, runs)
        self.flipping = ResultFlipping(ui, self.views, self.numbers)
        self.exporting = ResultExport(ui, case, runs, self.run, self.views, self.numbers, self.model)
        self.previewing = SlicePreview(case, runs, self.run, self.views, self.model)
        self.applying = ApplyButton(
            case,
            runs,
            self.run,
            self.previewing,
            onResult=self.showResult,
            onOther=self.onDoseSettled,
            onEnded=self.refreshApply,
        )
        for name in _SECTIONS:
            section = getattr(ui, f"{name}CollapsibleButton")
            section.connect("contentsCollapsed(bool)", lambda *_, section=section: fitPanelHeight(section))
        self.numbers.show(None)

    @property
    def parameters(self) -> PerfusionParameters | None:
        """What the widgets hold; None while a scene is being closed."""
        return self._case.parameters

    @property
    def opened(self) -> OpenedInput | None:
        """The series, once the worker has looked at it."""
        return self._case.opened

    # ---- parameters

    def setParameters(self, parameters) -> None:
        """Work with the parameters of this scene; None while it is being closed."""
        self._case.parameters = parameters
        if parameters is None:
            self._case.forget()
            self._segmentation = self._previewKey = self._choices = self._lookedAt = None
            self._segmentEdits.follow([])
            if not self.run.running:
                self._runs.say("")  # of a scene that is gone
            self.run.onCancel()
            self.aif.forget()
            self.previewing.forget()
            self.views.forget()
            self.curves.forget()
            self.numbers.show(None)
            self.input.showNothing()
            return
        self.parametersChanged()

    def parametersChanged(self) -> None:
        """Let every section follow the parameters."""
        if self.parameters is None:
            return
        # While a slider moves, only what follows it at once is touched.
        choices = slowChoices(self.parameters)
        self.dose.refresh()
        if choices == self._choices:
            return
        self._choices = choices
        segmentation = self.parameters.segmentation
        self._segmentEdits.follow([segmentation])
        segmentationId = segmentation.GetID() if segmentation is not None else None
        if segmentationId != self._segmentation:
            self._segmentation = segmentationId
            self.input.onSegmentationChanged()
        self._openWhereChanged()
        for section in (self.input, self.model, self.reference, self.aif, self.views):
            section.refresh()
        self.curves.updateSoon()
        self._previewWhereChanged()
        self.numbers.refresh()
        self.refreshApply()

    def enter(self) -> None:
        """The user comes to the panel: show what has changed while another module was used."""
        self._case.seen = True
        self._choices = None
        self.parametersChanged()
        self.views.enter()
        self.views.putBack()
        self.model.enter()

    def leave(self) -> None:
        """The user goes to another module, for example to draw."""
        self._case.seen = False

    def regionsEdited(self) -> None:
        """Somebody has drawn in segments, or moved points of the AIF: let all follow that depends on them."""
        if self.parameters is None:
            return
        self.input.onSegmentsEdited()
        self._openWhereChanged()
        self.aif.refresh()
        self.curves.updateSoon()
        self._previewWhereChanged()
        self.numbers.refresh()

    # ---- the series

    def _openWhereChanged(self) -> None:
        node = self.parameters.inputNode
        options = self._case.inputOptions()
        mask = options.pop("mask")
        key = (
            node.GetID() if node is not None else None,
            self._case.fingerprints.of(*mask) if mask else None,
            tuple(options.items()),
        )
        if key == self._case.seriesKey:
            return
        again = key[0] is not None and key[0] == self._lookedAt
        onlyBrain = again and self._case.seriesKey is not None and key[2] == self._case.seriesKey[2]
        if onlyBrain and not self._case.seen:
            return  # maps that vanish while their brain is being drawn would not help; `enter` looks again
        self._case.seriesKey = key
        self._case.opened = None
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self.numbers.show(None)
        self.previewing.forget()
        self.views.showSeries(None)
        self.curves.start(None, keepVoxel=again)
        self.aif.forget()
        if node is None:
            self.input.showNothing()
            return
        self.input.showReading()
        if self.run.running:
            say(self.ui.understoodLabel, _("The series is read once the run below has ended."))
        run = self._runs.start(
            lambda: self.logic.openInput(node, waitForCompletion=False, **self._case.inputOptions()),
            self.input.showError,
        )
        if run is not None:
            self._opening = run
            run.onFinished = lambda run: self._onOpened(run, again)

    def _onOpened(self, run, again: bool) -> None:
        # Where another series was chosen meanwhile, this one is no longer waited for.
        if self.parameters is None or run is not self._opening or run.state == "cancelled":
            return
        self._opening = None
        if run.result is None:
            self.input.showError(run.sentence)
            self.refreshApply()
            return
        opened = self._case.opened = run.result
        self._lookedAt = self._case.seriesKey[0]
        self.input.showUnderstood(opened)
        # A series that is understood in another way is looked at where it was looked at before.
        if not again:
            self.views.forgetWindow()
            self.dose.showFrames(self.parameters.inputNode.GetID(), opened.facts.frames, opened.peak)
        self.views.showSeries(opened, place=not again)
        self.curves.start(opened, keepVoxel=again)
        self.aif.start()
        self.views.observeRemovals(slicer.mrmlScene)
        self.onDoseSettled()

    def onSliceMoved(self, sliceNode, event) -> None:
        """The views show another slice."""
        if self.opened is None or self.parameters is None:
            return
        slices = self.views.shownSlices()
        if slices and slices != self._slices:
            self._slices = slices
            self.views.paintSeries()
            self.previewing.askSoon()

    # ---- what follows from a change

    def onDoseSettled(self) -> None:
        """The dose was chosen: show its map, if it is there, or preview it."""
        if self.opened is None:
            return
        self.views.labelSeries()
        result = resultWith(self._case)
        if result is not None:
            self.showResult(result)
        else:
            self.numbers.show(None)
            self.flipping.offer([mapsOfResult(other) for other in otherResults(self._case)])
            self.previewing.ask()
        self.refreshApply()

    def _onDose(self) -> None:
        """Another dose is chosen: show at once what costs little."""
        self.views.paintSeries()
        self.curves.updateSoon()

    def _onEnvironment(self) -> None:
        """It is known what this computer can do."""
        self.refreshApply()
        self.onDoseSettled()

    def _previewWhereChanged(self) -> None:
        parameters = self.parameters
        chosen = (parameters.preview, parameters.method, parameters.checkpoint, parameters.device)
        key = (*chosen, *self.aif.source())
        if key != self._previewKey:
            self._previewKey = key
            if self.opened is not None:
                self.onDoseSettled()

    def refreshApply(self) -> None:
        """Whether Apply can be pressed, and how long it will take."""
        if self.parameters is None:
            return
        if self.opened is None:
            self.run.allow(False, _("Choose a series first"))
        elif not self.model.ready:
            self.run.allow(False, _("The network cannot run yet: see Model"))
        else:
            self.run.allow(True, "")
        if self.opened is not None and self.model.ready:
            device = self.model.chosenDevice()
            options = modelOptions(self.parameters)
            seconds = self.logic.estimateSeconds(
                self.parameters.inputNode, device, options["checkpoint"], **self._case.inputOptions()
            )
            self.run.showEstimate(seconds, self.model.deviceLabel(device))

    # ---- results

    def showResult(self, result) -> None:
        """Show the maps and numbers of a result, and offer the other ones for flipping."""
        self.previewing.leave()
        self.views.showMaps(mapsOfResult(result))
        self.flipping.offer([mapsOfResult(other) for other in otherResults(self._case, result)])
        self.numbers.show(result.table)
        self.numbers.refresh()
        self.run.sayPreview("")

    def stop(self) -> None:
        """The application or the widget ends: no more looking, no more worker."""
        self.previewing.forget()
        self._runs.stop()
