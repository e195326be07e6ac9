"""The arterial input (AIF) of section "Reference": its curve, its points, and what is wrong with it."""

from __future__ import annotations

import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.panel.choices import aifChoice, segmentChoice
from StUNetPerfusionLib.panel.following import POINT_EVENTS, Following
from StUNetPerfusionLib.panel.labels import ERROR_COLOR, asLabel, say
from StUNetPerfusionLib.parameterNode import AifSource
from StUNetPerfusionLib.process.computations import ArterialCurve
from StUNetPerfusionLib.scene.masks import voxelsOfPoints
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds for which a point stays where it is before its curve is asked for.
_SETTLE_MS = 200

#: Of the artery's curve, and of the points that it is taken at.
AIF_COLOR = (0.70, 0.15, 0.75)


class AifSection:
    """Asks the worker for the arterial input whenever another one was chosen, drawn or placed.

    :param ui: the widgets of the panel
    :param panel: what the sections share
    """

    def __init__(self, ui, panel) -> None:
        self._ui = ui
        self._panel = panel
        self._curve: ArterialCurve | None = None
        self._key: tuple | None = None
        self._run = None
        self._edits = Following(panel.observer, POINT_EVENTS, _SETTLE_MS, self._onPointsMoved)
        ui.placePointButton.clicked.connect(lambda *_: self.onPlace())

    @property
    def curve(self) -> ArterialCurve | None:
        """The arterial input that is chosen now; None until the worker has found it."""
        return self._curve

    def start(self) -> None:
        """Begin with another series."""
        self.forget()
        self.refresh()

    def forget(self) -> None:
        """There is no series, or the scene is being closed."""
        self._giveUp()
        self._edits.follow([])
        self._say("")

    def refresh(self) -> None:
        """Follow what is chosen."""
        panel = self._panel
        parameters = panel.parameters
        byPoint = parameters.aifSource == AifSource.POINT
        self._edits.follow([parameters.aifPoint] if byPoint else [])
        for widget in (self._ui.aifPointLabel, self._ui.aifPointSelector, self._ui.placePointButton):
            widget.visible = byPoint
        if panel.opened is None:
            return
        key = (*self.source(), parameters.baseline)
        if key != self._key:
            self._giveUp()
            self._key = key
            self._ask()

    def source(self) -> tuple:
        """Where the arterial input is taken from: another value once a point was moved or the vessel drawn in."""
        panel = self._panel
        parameters = panel.parameters
        source = parameters.aifSource
        if source == AifSource.SEGMENT:
            vessel = segmentChoice(parameters, "vessel")
            return (source, None if vessel is None else panel.fingerprints.of(*vessel))
        if source == AifSource.POINT and parameters.aifPoint is not None and panel.opened is not None:
            try:
                return (source, tuple(voxelsOfPoints(parameters.aifPoint, panel.opened.series.grid)))
            except InputError as error:
                return (source, str(error))
        return (source, None)

    def onPlace(self) -> None:
        """Let the next click into a view place a point."""
        with self._panel.sayingWhatWentWrong():
            parameters = self._panel.parameters
            if parameters.aifPoint is None:
                points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("AIF"))
                points.CreateDefaultDisplayNodes()
                for paint in (points.GetDisplayNode().SetColor, points.GetDisplayNode().SetSelectedColor):
                    paint(*AIF_COLOR)
                parameters.aifPoint = points
            markups = slicer.modules.markups.logic()
            markups.SetActiveListID(parameters.aifPoint)
            markups.StartPlaceMode(False)

    def _onPointsMoved(self) -> None:
        if self._panel.parameters is not None:
            self._panel.regionsEdited()

    def _giveUp(self) -> None:
        """The curve before is not that of what is chosen now."""
        self._curve = self._key = None
        run, self._run = self._run, None
        if run is not None:
            run.cancel()

    def _ask(self) -> None:
        panel = self._panel
        parameters = panel.parameters
        panel.curves.updateSoon()

        def begin():
            return panel.logic.arterialInput(
                parameters.inputNode,
                aif=aifChoice(parameters),
                baseline=parameters.baseline.value,
                waitForCompletion=False,
                **panel.inputOptions(),
            )

        self._say(_("Looking at the arterial input…"))
        run = panel.start(begin, lambda error: self._sayError(inPanelWords(error)))
        if run is not None:
            self._run = run
            run.onFinished = self._onFound

    def _onFound(self, run) -> None:
        # Where another one was chosen meanwhile, this one is no longer waited for.
        if run is not self._run:
            return
        self._run = None
        if run.result is None:
            self._sayError(run.sentence)
            return
        self._curve = run.result
        self._say(run.result.source)
        self._panel.curves.updateVoxel()

    def _sayError(self, sentence: str) -> None:
        say(self._ui.aifNoteLabel, asLabel(sentence, ERROR_COLOR))
        self._ui.aifNoteLabel.visible = True

    def _say(self, text: str) -> None:
        say(self._ui.aifNoteLabel, asLabel(text))
        self._ui.aifNoteLabel.visible = bool(text)
