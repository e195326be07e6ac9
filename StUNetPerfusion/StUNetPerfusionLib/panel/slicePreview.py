"""Predicting the slices that are seen, whenever something was chosen, without ever keeping the user waiting."""

from __future__ import annotations

import time

import qt
import slicer

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.modelSection import ModelSection
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import aifChoice, doseOptions, modelOptions
from StUNetPerfusionLib.panel.runSection import RunSection
from StUNetPerfusionLib.panel.shownMaps import ShownMaps
from StUNetPerfusionLib.panel.viewsSection import ViewsSection
from StUNetPerfusionLib.scene.previewMaps import (
    DIFFERENCE,
    PREDICTION,
    REFERENCE,
    UNCERTAINTY,
    PreviewMaps,
)
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds without scrolling before a new slice is predicted.
_SCROLL_SETTLE_MS = 150

#: Where the views cut across the slices of the series, all of them are seen: too many for a preview.
_MOST_SLICES = 3


class SlicePreview:
    """Asks for previews and shows them as they arrive.

    :param case: what is chosen
    :param runs: does what takes time
    :param status: where it is told how far the preview is
    :param views: where the maps are seen
    :param model: knows whether a network can run
    """

    def __init__(
        self, case: ChosenCase, runs: PanelRuns, status: RunSection, views: ViewsSection, model: ModelSection
    ) -> None:
        self._case = case
        self._runs = runs
        self._status = status
        self._views = views
        self._model = model
        self._maps = PreviewMaps(slicer.mrmlScene)
        self._run = None
        self._settings: dict | None = None
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SCROLL_SETTLE_MS)
        self._soon.timeout.connect(self._onSoon)
        #: seconds from asking to the first and to the exact map of the last preview
        self.secondsToFirst: float | None = None
        self.secondsToExact: float | None = None

    def askSoon(self) -> None:
        """Preview once the user has stopped scrolling, unless the maps of a result are shown."""
        if self._settings is not None:
            self._soon.start()

    def ask(self) -> None:
        """Preview what is chosen now; what was asked for before is given up."""
        parameters = self._case.parameters
        if self._case.opened is None:
            return
        if not parameters.preview:
            self.cancel()
            return
        if self._status.running:
            self._status.sayPreview(_("waits until Apply has ended"))
            return
        if not self._model.ready:
            self._status.sayPreview(_("waits for the network: see Model"))
            return
        slices = self._views.shownSlices()
        if not slices:
            return
        if len(slices) > _MOST_SLICES:
            self._status.sayPreview(_("press 'Acquired plane': the views cut across the slices"))
            return
        settings = {**doseOptions(parameters), **modelOptions(parameters)}
        if settings != self._settings:
            self._maps.blank()
        self._settings = settings
        asked = time.monotonic()
        self.secondsToFirst = self.secondsToExact = None

        def begin():
            return self._runs.logic.preview(
                parameters.inputNode,
                slices,
                onPart=lambda part: self._onPart(part, settings, asked),
                aif=aifChoice(parameters),
                **settings,
                **self._case.inputOptions(),
            )

        self._run = self._runs.start(begin, lambda sentence: self._status.sayPreview(sentence, error=True))
        if self._run is not None:
            self._run.onFinished = self._onFinished
            self._status.sayPreview(_("computing…"))

    def cancel(self) -> None:
        """Give up what was asked for."""
        self._soon.stop()
        if self._run is not None:
            self._run.cancel()
            self._run = None
            self._status.sayPreview("")

    def forget(self) -> None:
        """Another series, or no scene: nothing of the old previews is left."""
        self.cancel()
        self._maps.remove()
        self._settings = None
        self._status.sayPreview("")

    def leave(self) -> None:
        """The maps of a result are shown: scrolling asks for nothing."""
        self.cancel()
        self._settings = None

    def _onSoon(self) -> None:
        if self._settings is not None:
            self.ask()

    def _onPart(self, part, settings: dict, asked: float) -> None:
        if self._case.opened is None or settings != self._settings:
            return
        changed = self._maps.paint(self._case.opened.series.grid, part)
        shown = self._views.shownMaps
        percent = f"{100 * settings['dose']:.0f} %"
        label = _("CBV {percent}").format(percent=percent)
        if changed or shown is None or shown.prediction is not self._maps.node(PREDICTION) or shown.label != label:
            self._views.showMaps(
                ShownMaps(
                    prediction=self._maps.node(PREDICTION),
                    reference=self._maps.node(REFERENCE),
                    difference=self._maps.node(DIFFERENCE),
                    uncertainty=self._maps.node(UNCERTAINTY),
                    label=label,
                    referenceLabel=_("Ref {percent}").format(percent=percent),
                    quantity=_("CBV (preview)"),
                )
            )
        seconds = time.monotonic() - asked
        if part.stage == "first":
            self.secondsToFirst = self.secondsToFirst or seconds
            self._status.sayPreview(
                _("slice {z}: first map after {s:.2f} s, refining…").format(z=part.slice + 1, s=seconds)
            )
        else:
            self.secondsToExact = seconds
            self._status.sayPreview(_("slice {z}: final map after {s:.2f} s").format(z=part.slice + 1, s=seconds))

    def _onFinished(self, run) -> None:
        if run is not self._run:
            return
        self._run = None
        if run.state == "failed":
            self._status.sayPreview(run.sentence, error=True)
