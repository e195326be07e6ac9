"""The arterial input (AIF) of section "Reference": its curve, its points, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.curvesSection import ARTERY_COLOR, CurvesSection
from StUNetPerfusionLib.panel.delayedObserver import POINT_EVENTS, DelayedObserver
from StUNetPerfusionLib.panel.labelText import ERROR_COLOR, asLabel, say
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import aifChoice, segmentChoice
from StUNetPerfusionLib.parameterNode import AifSource
from StUNetPerfusionLib.process.computations import ArterialCurve
from StUNetPerfusionLib.scene.masks import voxelsOfPoints
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds for which a point stays where it is before its curve is asked for.
_SETTLE_MS = 200


class AifSection:
    """Asks the worker for the arterial input whenever another one was chosen, drawn or placed.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: does what takes time
    :param observer: VTKObservationMixin
    :param curves: where the artery's curve is seen
    :param onPointsMoved: the arterial input is taken elsewhere
    """

    def __init__(
        self,
        ui,
        case: ChosenCase,
        runs: PanelRuns,
        observer,
        curves: CurvesSection,
        onPointsMoved: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._case = case
        self._runs = runs
        self._curves = curves
        self._onPointsMoved = onPointsMoved
        self._curve: ArterialCurve | None = None
        self._key: tuple | None = None
        self._run = None
        self._edits = DelayedObserver(observer, POINT_EVENTS, _SETTLE_MS, self._onEdited)
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
        parameters = self._case.parameters
        byPoint = parameters.aifSource == AifSource.POINT
        self._edits.follow([parameters.aifPoint] if byPoint else [])
        for widget in (self._ui.aifPointLabel, self._ui.aifPointSelector, self._ui.placePointButton):
            widget.visible = byPoint
        if self._case.opened is None:
            return
        key = (*self.source(), parameters.baseline)
        if key != self._key:
            self._giveUp()
            self._key = key
            self._ask()

    def source(self) -> tuple:
        """Where the arterial input is taken from: another value once a point was moved or the vessel drawn in."""
        case, parameters = self._case, self._case.parameters
        source = parameters.aifSource
        if source == AifSource.SEGMENT:
            vessel = segmentChoice(parameters, "vessel")
            return (source, None if vessel is None else case.fingerprints.of(*vessel))
        if source == AifSource.POINT and parameters.aifPoint is not None and case.opened is not None:
            try:
                return (source, tuple(voxelsOfPoints(parameters.aifPoint, case.opened.series.grid)))
            except InputError as error:
                return (source, str(error))
        return (source, None)

    def onPlace(self) -> None:
        """Let the next click into a view place a point."""
        with self._runs.sayingWhatWentWrong():
            parameters = self._case.parameters
            if parameters.aifPoint is None:
                points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("AIF"))
                points.CreateDefaultDisplayNodes()
                for paint in (points.GetDisplayNode().SetColor, points.GetDisplayNode().SetSelectedColor):
                    paint(*ARTERY_COLOR)
                parameters.aifPoint = points
            markups = slicer.modules.markups.logic()
            markups.SetActiveListID(parameters.aifPoint)
            markups.StartPlaceMode(False)

    def _onEdited(self) -> None:
        if self._case.parameters is not None:
            self._onPointsMoved()

    def _giveUp(self) -> None:
        """The curve before is not that of what is chosen now."""
        self._curve = self._key = None
        run, self._run = self._run, None
        if run is not None:
            run.cancel()

    def _ask(self) -> None:
        parameters = self._case.parameters
        self._curves.updateSoon()

        def begin():
            return self._runs.logic.arterialInput(
                parameters.inputNode,
                aif=aifChoice(parameters),
                baseline=parameters.baseline.value,
                waitForCompletion=False,
                **self._case.inputOptions(),
            )

        self._say(_("Looking at the arterial input…"))
        run = self._runs.start(begin, self._sayError)
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
        self._curves.updateVoxel()

    def _sayError(self, sentence: str) -> None:
        say(self._ui.aifNoteLabel, asLabel(sentence, ERROR_COLOR))
        self._ui.aifNoteLabel.visible = True

    def _say(self, text: str) -> None:
        say(self._ui.aifNoteLabel, asLabel(text))
        self._ui.aifNoteLabel.visible = bool(text)
