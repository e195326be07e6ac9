"""Predicting the slices that are seen, whenever something was chosen, without ever keeping the user waiting."""

from __future__ import annotations

import time

import qt
import slicer

from StUNetPerfusionLib.panel.choices import aifChoice, doseOptions, modelOptions
from StUNetPerfusionLib.panel.shownMaps import ShownMaps
from StUNetPerfusionLib.scene.previewMaps import (
    DIFFERENCE,
    PREDICTION,
    REFERENCE,
    UNCERTAINTY,
    PreviewMaps,
)
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds without scrolling before a new slice is predicted.
_SCROLL_SETTLE_MS = 150

#: Where the views cut across the slices of the series, all of them are seen: too many for a preview.
_MOST_SLICES = 3


class Previewing:
    """Asks for previews and shows them as they arrive.

    :param panel: what the sections share
    """

    def __init__(self, panel) -> None:
        self._panel = panel
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
        panel = self._panel
        parameters = panel.parameters
        if panel.opened is None:
            return
        if not parameters.preview:
            self.cancel()
            return
        if panel.run.running:
            panel.run.sayPreview(_("waits for the run below"))
            return
        if not panel.model.ready:
            panel.run.sayPreview(_("waits for the network: see Model"))
            return
        slices = panel.views.shownSlices()
        if not slices:
            return
        if len(slices) > _MOST_SLICES:
            panel.run.sayPreview(_("only where the views show the slices as they were acquired"))
            return
        settings = {**doseOptions(parameters), **modelOptions(parameters)}
        if settings != self._settings:
            self._maps.blank()
        self._settings = settings
        asked = time.monotonic()
        self.secondsToFirst = self.secondsToExact = None

        def begin():
            return panel.logic.preview(
                parameters.inputNode,
                slices,
                onPart=lambda part: self._onPart(part, settings, asked),
                aif=aifChoice(parameters),
                **settings,
                **panel.inputOptions(),
            )

        self._run = panel.start(begin, lambda error: panel.run.sayPreview(inPanelWords(error), error=True))
        if self._run is not None:
            self._run.onFinished = self._onFinished
            panel.run.sayPreview(_("computing…"))

    def cancel(self) -> None:
        """Give up what was asked for."""
        self._soon.stop()
        if self._run is not None:
            self._run.cancel()
            self._run = None
            self._panel.run.sayPreview("")

    def forget(self) -> None:
        """Another series, or no scene: nothing of the old previews is left."""
        self.cancel()
        self._maps.remove()
        self._settings = None
        self._panel.run.sayPreview("")

    def leave(self) -> None:
        """The maps of a result are shown: scrolling asks for nothing."""
        self.cancel()
        self._settings = None

    def _onSoon(self) -> None:
        if self._settings is not None:
            self.ask()

    def _onPart(self, part, settings: dict, asked: float) -> None:
        panel = self._panel
        if panel.opened is None or settings != self._settings:
            return
        changed = self._maps.paint(panel.opened.series.grid, part)
        shown = panel.views.shownMaps
        percent = f"{100 * settings['dose']:.0f} %"
        label = _("CBV {percent}").format(percent=percent)
        if changed or shown is None or shown.prediction is not self._maps.node(PREDICTION) or shown.label != label:
            panel.views.showMaps(
                ShownMaps(
                    prediction=self._maps.node(PREDICTION),
                    reference=self._maps.node(REFERENCE),
                    difference=self._maps.node(DIFFERENCE),
                    uncertainty=self._maps.node(UNCERTAINTY),
                    label=label,
                    referenceLabel=_("Ref {percent}").format(percent=percent),
                    quantity=_("CBV, preview"),
                )
            )
        seconds = time.monotonic() - asked
        if part.stage == "first":
            self.secondsToFirst = self.secondsToFirst or seconds
            panel.run.sayPreview(_("slice {z}, first look after {s:.2f} s…").format(z=part.slice + 1, s=seconds))
        else:
            self.secondsToExact = seconds
            panel.run.sayPreview(_("slice {z}, exact after {s:.2f} s").format(z=part.slice + 1, s=seconds))

    def _onFinished(self, run) -> None:
        if run is not self._run:
            return
        self._run = None
        if run.state == "failed":
            self._panel.run.sayPreview(run.sentence, error=True)
