"""What the sections of the panel share, and how they work together."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import qt
import slicer

from stunet_perfusion.support.errors import StUNetPerfusionError
from StUNetPerfusionLib.panel.aifSection import AifSection
from StUNetPerfusionLib.panel.applyButton import Applying
from StUNetPerfusionLib.panel.choices import inputOptions, modelOptions, slowChoices
from StUNetPerfusionLib.panel.curvesSection import CurvesSection
from StUNetPerfusionLib.panel.doseSection import DoseSection
from StUNetPerfusionLib.panel.exporting import Exporting
from StUNetPerfusionLib.panel.flipping import Flipping
from StUNetPerfusionLib.panel.following import SEGMENTATION_EVENTS, Following
from StUNetPerfusionLib.panel.inputSection import InputSection
from StUNetPerfusionLib.panel.labels import say
from StUNetPerfusionLib.panel.modelSection import ModelSection
from StUNetPerfusionLib.panel.numbersSection import NumbersSection
from StUNetPerfusionLib.panel.previewing import Previewing
from StUNetPerfusionLib.panel.referenceSection import ReferenceSection
from StUNetPerfusionLib.panel.resultChoice import mapsOfResult, otherResults, resultWith
from StUNetPerfusionLib.panel.room import makeRoom
from StUNetPerfusionLib.panel.runSection import RunSection
from StUNetPerfusionLib.panel.viewsSection import ViewsSection
from StUNetPerfusionLib.scene.layout import SideBySide
from StUNetPerfusionLib.scene.segmentFingerprints import SegmentFingerprints
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds between two looks at what the worker says.
_POLL_MS = 30

#: Milliseconds for which nobody draws before curves and numbers follow.
_DRAWN_MS = 300

#: What can be folded.
_SECTIONS = ("input", "dose", "model", "reference", "view", "numbers")


class Panel:
    """Knows the parameters, the opened series and the sections.

    :param ui: the widgets of the .ui file
    :param logic: StUNetPerfusionLogic
    :param observer: VTKObservationMixin, which forgets its observers when the widget goes
    """

    def __init__(self, ui, logic, observer) -> None:
        self.ui = ui
        self.logic = logic
        self.observer = observer
        self.parameters = None
        self.opened = None
        self._openKey: tuple | None = None
        self._lookedAt: str | None = None
        self._segmentation: str | None = None
        self._previewKey: tuple | None = None
        self._slices: list[int] = []
        self._opening = None
        self._choices: tuple | None = None
        self._entered = True
        #: of segments, to know which one was drawn in
        self.fingerprints = SegmentFingerprints()
        self._segmentEdits = Following(observer, SEGMENTATION_EVENTS, _DRAWN_MS, self.regionsEdited)
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self.run = RunSection(ui, self)
        self.flipping = Flipping(ui, self)
        self.views = ViewsSection(ui, self, SideBySide(slicer.app.layoutManager()))
        self.curves = CurvesSection(self)
        self.input = InputSection(ui, self)
        self.dose = DoseSection(ui, self)
        self.model = ModelSection(ui, self)
        self.reference = ReferenceSection(ui, self)
        self.aif = AifSection(ui, self)
        self.numbers = NumbersSection(ui, self)
        self.exporting = Exporting(ui, self)
        self.previewing = Previewing(self)
        self.applying = Applying(self)
        logic.onLog = self.run.log
        for name in _SECTIONS:
            section = getattr(ui, f"{name}CollapsibleButton")
            section.connect("contentsCollapsed(bool)", lambda *_, section=section: makeRoom(section))
        self.numbers.show(None)

    # ---- parameters

    def setParameters(self, parameters) -> None:
        """Work with the parameters of this scene; None while it is being closed."""
        self.parameters = parameters
        if parameters is None:
            self.opened = self._openKey = self._segmentation = self._previewKey = self._choices = None
            self._lookedAt = None
            self._segmentEdits.follow([])
            self.fingerprints.forget()
            if not self.run.running:
                self.say("")  # of a scene that is gone
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

    @property
    def seen(self) -> bool:
        """Whether the panel is the module that the user works with."""
        return self._entered

    def enter(self) -> None:
        """The user comes to the panel: show what has changed while another module was used."""
        self._entered = True
        self._choices = None
        self.parametersChanged()
        self.views.enter()
        self.views.putBack()
        self.model.enter()

    def leave(self) -> None:
        """The user goes to another module, for example to draw."""
        self._entered = False

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

    @property
    def seriesKey(self) -> tuple | None:
        """Of the series and how it is to be understood: another value once either is chosen anew."""
        return self._openKey

    def inputOptions(self) -> dict[str, Any]:
        """How the series is to be understood, as the logic takes it."""
        return inputOptions(self.parameters)

    def timingOptions(self) -> dict[str, Any]:
        """The part of it that is about time."""
        options = self.inputOptions()
        return {name: options[name] for name in ("echoTime", "frameInterval")}

    # ---- the series

    def _openWhereChanged(self) -> None:
        node = self.parameters.inputNode
        options = self.inputOptions()
        mask = options.pop("mask")
        key = (
            node.GetID() if node is not None else None,
            self.fingerprints.of(*mask) if mask else None,
            tuple(options.items()),
        )
        if key == self._openKey:
            return
        again = key[0] is not None and key[0] == self._lookedAt
        onlyBrain = again and self._openKey is not None and key[2] == self._openKey[2]
        if onlyBrain and not self._entered:
            return  # maps that vanish while their brain is being drawn would not help; `enter` looks again
        self._openKey = key
        self.opened = None
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
        run = self.start(
            lambda: self.logic.openInput(node, waitForCompletion=False, **self.inputOptions()), self.input.showError
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
        opened = self.opened = run.result
        self._lookedAt = self._openKey[0]
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
        result = resultWith(self)
        if result is not None:
            self.showResult(result)
        else:
            self.numbers.show(None)
            self.flipping.offer([mapsOfResult(other) for other in otherResults(self)])
            self.previewing.ask()
        self.refreshApply()

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
                self.parameters.inputNode, device, options["checkpoint"], **self.inputOptions()
            )
            self.run.showEstimate(seconds, self.model.deviceLabel(device))

    # ---- results

    def showResult(self, result) -> None:
        """Show the maps and numbers of a result, and offer the other ones for flipping."""
        self.previewing.leave()
        self.views.showMaps(mapsOfResult(result))
        self.flipping.offer([mapsOfResult(other) for other in otherResults(self, result)])
        self.numbers.show(result.table)
        self.numbers.refresh()
        self.run.sayPreview("")

    # ---- running things

    def start(self, begin: Callable[[], Any], onError: Callable[[Exception], None] | None = None):
        """Begin a run and look after it until it has ended.

        :param begin: returns a Run
        :param onError: told why it could not begin; by default the status line says it
        :returns: the run, or None where it could not begin
        """
        with self.sayingWhatWentWrong(onError):
            run = begin()
            if not self._timer.isActive():
                self._timer.start()
            return run
        return None

    def say(self, sentence: str, error: bool = False) -> None:
        """One sentence for the user."""
        self.run.say(sentence, error)

    @contextmanager
    def sayingWhatWentWrong(self, onError: Callable[[Exception], None] | None = None) -> Iterator[None]:
        """What fails within is said in one sentence; a fault of ours leaves its traceback in the log too."""
        tell = onError or (lambda error: self.say(inPanelWords(error), error=True))
        try:
            yield
        except StUNetPerfusionError as error:
            tell(error)
        except Exception as error:
            logging.exception("StUNetPerfusion")
            self.run.log(traceback.format_exc())
            tell(RuntimeError(_("Something unexpected went wrong ({error}); the log says more.").format(error=error)))

    def _poll(self) -> None:
        with self.sayingWhatWentWrong():
            if not self.logic.poll():
                self._timer.stop()

    def stop(self) -> None:
        """The application or the widget ends: no more looking, no more worker."""
        self._timer.stop()
        self.previewing.forget()
        self.logic.onLog = None
        self.logic.stop()
