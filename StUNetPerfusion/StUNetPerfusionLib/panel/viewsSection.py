"""Section "Views": which volumes stand where, and in which window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import qt
import slicer
import vtk

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import doseOptions, segmentChoice
from StUNetPerfusionLib.panel.shownMaps import ShownMaps, inScene
from StUNetPerfusionLib.parameterNode import ThirdMap
from StUNetPerfusionLib.scene import colors, layout
from StUNetPerfusionLib.scene.lowDoseVolume import LowDoseVolume
from StUNetPerfusionLib.scene.placesInSeries import mostInterestingPlace, slicesInView
from StUNetPerfusionLib.scene.results import UNCERTAINTY_IS
from StUNetPerfusionLib.translation import tr as _

#: The range slider ends at so many times the brightest voxel that the first window shows.
_ROOM_ABOVE = 2.0

#: A window that begins within this share of its width from 0 begins at 0.
_ROUNDED_ZERO = 1e-4


class ViewsSection:
    """Puts volumes into our layout and keeps their windows equal.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: says what went wrong
    :param observer: VTKObservationMixin
    :param views: the layout
    :param onPlaced: the views were put on screen after the series was opened
    :param onSlice: the views show another slice, as far as VTK can tell
    :param onReplaced: other maps are shown from now on
    :param onCleared: there are no maps any more
    """

    def __init__(
        self,
        ui,
        case: ChosenCase,
        runs: PanelRuns,
        observer,
        views: layout.SideBySide,
        onPlaced: Callable[[], None],
        onSlice: Callable[[Any, int], None],
        onReplaced: Callable[[], None],
        onCleared: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._case = case
        self._runs = runs
        self._observer = observer
        self._onPlaced, self._onSlice = onPlaced, onSlice
        self._onReplaced, self._onCleared = onReplaced, onCleared
        self._views = views
        self._shown: ShownMaps | None = None
        self._lowDose: LowDoseVolume | None = None
        self._observed: list[tuple[Any, int]] = []
        self._window: tuple[float, float] | None = None
        self._seen: list[str | None] = []
        # Whether the user wants our layout, and whether the views wait to be shown for the first time.
        self._wanted = True
        self._unplaced = False
        ui.layoutButton.connect("toggled(bool)", self._onLayoutToggled)
        ui.windowRangeWidget.connect("valuesChanged(double,double)", self._onWindowMoved)
        ui.alignButton.clicked.connect(lambda *_: self.align())
        views.onChange(self._onLayoutChanged)
        ui.windowRangeWidget.enabled = False

    # ---- the series

    def showSeries(self, opened, place: bool = True) -> None:
        """Show another series; None takes the old one away.

        :param place: turn the views to it; otherwise they stay where they are
        """
        if self._lowDose is not None:
            self._lowDose.remove()
            self._lowDose = None
        self._clearMaps()
        if opened is None:
            self._views.setVolume(layout.SERIES_VIEW, None)
            self._views.showChart(None)
            return
        self._lowDose = LowDoseVolume(slicer.mrmlScene, opened)
        self._unplaced = True
        # A series may finish opening when the user has gone to another module, whose layout is not ours to change.
        if self._wanted and self._case.seen:
            self.showLayout()
        self._place(turn=place)

    def enter(self) -> None:
        """The user comes to the panel: show what was opened meanwhile."""
        if self._unplaced and self._wanted and self._lowDose is not None:
            self.showLayout()
            self._place()
            self._onPlaced()

    def align(self) -> None:
        """Turn all views back to the slices as they were acquired, at the place that they show."""
        sliceNode = self._views.sliceNode(layout.SERIES_VIEW)
        if sliceNode is None or self._lowDose is None or self._lowDose.node is None:
            return
        shown = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, 3]
        self._views.fit(self._lowDose.node)
        self._views.jumpTo(shown)

    def _place(self, turn: bool = True) -> None:
        """Put the series into its view, where that is there already, and turn the views to it."""
        if self._views.sliceNode(layout.SERIES_VIEW) is None:
            return
        self._views.setVolume(layout.SERIES_VIEW, self._lowDose.node)
        self._observeViews()
        if turn:
            self._placeViews()
        self.paintSeries()
        if self._views.shown:
            self._unplaced = False
            # Views that are new in the layout turn to their own planes once they get their size; that comes next.
            if turn:
                qt.QTimer.singleShot(0, self._placeViews)

    def _placeViews(self) -> None:
        """Turn the views to the slices as they were acquired, and to the one that matters most."""
        opened = self._case.opened
        if opened is None or self._lowDose is None or self._lowDose.node is None:
            return
        self._views.fit(self._lowDose.node)
        self._views.jumpTo(mostInterestingPlace(opened, segmentChoice(self._case.parameters, "tumor")))

    @property
    def lowDose(self) -> LowDoseVolume | None:
        """The series at the chosen dose."""
        return self._lowDose

    def paintSeries(self) -> None:
        """Repaint the frame that is shown, at the dose that is chosen: all that is seen now, in cross-cuts too."""
        if self._lowDose is None or self._case.parameters is None:
            return
        parameters = self._case.parameters
        with self._runs.sayingWhatWentWrong():
            self._lowDose.show(parameters.frame, slices=self.shownSlices(), **doseOptions(parameters))

    def labelSeries(self) -> None:
        """Say the dose on the handle of the view. A label costs more than a picture, so it waits for the slider."""
        if self._lowDose is not None and self._case.parameters is not None:
            percent = self._case.parameters.dosePercent
            self._views.setVolume(
                layout.SERIES_VIEW, self._lowDose.node, _("DSC {percent:.0f} %").format(percent=percent)
            )

    def shownSlices(self) -> list[int]:
        """The slices of the series that the view shows: one where it is seen as it was acquired, else all."""
        opened = self._case.opened
        sliceNode = self._views.sliceNode(layout.SERIES_VIEW)
        if opened is None or sliceNode is None:
            return []
        return slicesInView(opened.series.grid, sliceNode)

    # ---- the maps

    def showMaps(self, maps: ShownMaps) -> None:
        """Show maps: there is nothing to flip back to."""
        self._onReplaced()
        self.putMaps(maps)

    def putMaps(self, maps: ShownMaps) -> None:
        """Put maps into the views below, with one window for prediction and reference."""
        self._shown = maps
        self._stopObserving()
        pair = maps.pair
        if not pair:
            return
        self._ui.windowRangeWidget.enabled = True
        if self._window is None:
            self._window = self._firstWindow(pair)
        for node in pair:
            colors.showMap(node, *_windowAndLevel(self._window), colors.colorNode(slicer.mrmlScene))
        self._views.setVolume(layout.PREDICTION_VIEW, maps.prediction, maps.label)
        self._views.setVolume(layout.REFERENCE_VIEW, maps.reference, maps.referenceLabel)
        for node in pair:
            colors.addLegend(node, maps.quantity)
            _saveLooksWith(node)
        self._showThird()
        self._observed = [
            (
                node.GetDisplayNode(),
                node.GetDisplayNode().AddObserver(vtk.vtkCommand.ModifiedEvent, self._onDisplayChanged),
            )
            for node in pair
        ]

    def _clearMaps(self) -> None:
        """Take the maps of the series before out of the views."""
        self._stopObserving()
        self._shown = None
        self._onCleared()
        self._ui.windowRangeWidget.enabled = False
        for name in layout.MAP_VIEWS:
            self._views.setVolume(name, None)

    @property
    def shownMaps(self) -> ShownMaps | None:
        """What the views show."""
        return self._shown

    def forgetWindow(self) -> None:
        """The next maps set the window: they are of another series."""
        self._window = None

    def forget(self) -> None:
        """The scene is being closed: let go of its nodes."""
        self._stopObserving()
        if self._lowDose is not None:
            self._lowDose.remove()
        self._shown = self._lowDose = self._window = None
        self._onCleared()

    def refresh(self) -> None:
        """Show what the parameters hold."""
        self._showThird()
        self._showInButton()

    def _showThird(self) -> None:
        maps, parameters = self._shown, self._case.parameters
        if maps is None or parameters is None or not maps.alive:
            return
        if parameters.thirdMap == ThirdMap.DIFFERENCE:
            node, label, title = maps.difference, _("Difference"), _("Difference")
        else:
            node, label, title = maps.uncertainty, _("Uncertainty"), _("Uncertainty")
        if not inScene(node):
            node = None
        if node is not None and parameters.thirdMap == ThirdMap.DIFFERENCE:
            colors.showDifference(node, (self._window[1] - self._window[0]) / 2)
        elif node is not None:
            # An uncertainty of a fifth of the window is a large one.
            colors.showMap(node, *_windowAndLevel((0, self._window[1] / 5)), colors.colorNode(slicer.mrmlScene))
        self._views.setVolume(layout.THIRD_VIEW, node, label)
        told = node.GetAttribute(UNCERTAINTY_IS) if node is not None else None
        self._ui.thirdMapComboBox.toolTip = told or _("The map to the right of prediction and reference")
        if node is not None:
            colors.addLegend(node, title)
            _saveLooksWith(node)

    # ---- the window

    def _firstWindow(self, nodes: list) -> tuple[float, float]:
        values = slicer.util.arrayFromVolume(nodes[-1])
        window, level = colors.windowAndLevel(values)
        widget = self._ui.windowRangeWidget
        wasBlocked = widget.blockSignals(True)
        widget.minimum = 0
        widget.maximum = _ROOM_ABOVE * window
        widget.singleStep = window / 100
        widget.decimals = int(np.clip(2 - np.floor(np.log10(window)), 0, 6))
        widget.setValues(0, window)
        widget.blockSignals(wasBlocked)
        return level - window / 2, level + window / 2

    def _onWindowMoved(self, lowest: float, highest: float) -> None:
        self._setWindow((lowest, highest))

    def _onDisplayChanged(self, displayNode, event) -> None:
        window, level = displayNode.GetWindow(), displayNode.GetLevel()
        lowest, highest = level - window / 2, level + window / 2
        # A scene's file holds six digits of each, whose difference is no zero: black is 0, not 2e-06.
        self._setWindow((0.0 if abs(lowest) < _ROUNDED_ZERO * window else lowest, highest))

    def _setWindow(self, window: tuple[float, float]) -> None:
        if (
            self._window is None
            or self._shown is None
            or not self._shown.alive
            or np.allclose(window, self._window, rtol=1e-6, atol=0)
        ):
            return
        self._window = window
        for node in self._shown.pair:
            node.GetDisplayNode().SetWindowLevel(*_windowAndLevel(window))
        self._showThird()
        widget = self._ui.windowRangeWidget
        wasBlocked = widget.blockSignals(True)
        widget.setValues(*window)
        widget.blockSignals(wasBlocked)

    def _stopObserving(self) -> None:
        for displayNode, tag in self._observed:
            displayNode.RemoveObserver(tag)
        self._observed = []

    # ---- the layout

    def showLayout(self) -> None:
        """Show our layout."""
        self._views.show()
        self._showInButton()

    def observeRemovals(self, scene) -> None:
        """A volume that is about to go leaves its view empty first.

        Left alone, the view takes any other volume, and being linked hands it to all views, under their labels.
        """
        observer = self._observer
        if not observer.hasObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved):
            observer.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved, priority=10.0)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAboutToBeRemoved(self, scene, event, node) -> None:
        for name in layout.SLICE_VIEWS:
            if self._views.volumeId(name) == node.GetID():
                self._views.setVolume(name, None)

    def _observeViews(self) -> None:
        """Let the panel know whenever another slice is shown, or another volume."""
        observer, event = self._observer, vtk.vtkCommand.ModifiedEvent
        followed = [(self._views.sliceNode(layout.SERIES_VIEW), self._onSlice)]
        followed += [(node, self._onVolumePut) for node in self._views.compositeNodes()]
        for node, callback in followed:
            if not observer.hasObserver(node, event, callback):
                observer.addObserver(node, event, callback)

    def _onVolumePut(self, compositeNode, event) -> None:
        """The Segment Editor, for one, puts the volume that is drawn on into all views: it is no map of ours."""
        self._views.labelStrangers()
        seen = [self._views.volumeId(name) for name in layout.SLICE_VIEWS]
        if seen != self._seen:
            self._seen = seen
            colors.refreshLegends(slicer.mrmlScene)

    def showChart(self, chartNode) -> None:
        """Put time curves into the layout."""
        self._views.showChart(chartNode)

    def putBack(self) -> None:
        """Put our volumes into our views again: the Segment Editor, for one, has put its own there."""
        self.labelSeries()
        if self._shown is not None:
            self.putMaps(self._shown)

    def _onLayoutToggled(self, checked: bool) -> None:
        self._wanted = checked
        if not checked:
            self._views.restore()
            return
        self._views.show()
        if self._unplaced and self._lowDose is not None:
            self._place()
            self._onPlaced()

    def _onLayoutChanged(self, layoutId: int) -> None:
        """Another layout is shown, which the user may have chosen in the toolbar."""
        if self._case.seen and self._case.parameters is not None:  # a scene that is closed resets the layout
            self._wanted = layoutId == layout.LAYOUT_ID
        self._showInButton()

    def _showInButton(self) -> None:
        button = self._ui.layoutButton
        wasBlocked = button.blockSignals(True)
        button.checked = self._views.shown
        button.blockSignals(wasBlocked)


def _windowAndLevel(limits: tuple[float, float]) -> tuple[float, float]:
    lowest, highest = limits
    return highest - lowest, (highest + lowest) / 2


def _saveLooksWith(node) -> None:
    """The looks of a volume that is not saved would be left over in the scene."""
    for n in range(node.GetNumberOfDisplayNodes()):
        node.GetNthDisplayNode(n).SetSaveWithScene(node.GetSaveWithScene())
