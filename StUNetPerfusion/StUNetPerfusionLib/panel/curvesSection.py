"""The time curves: the voxel under the crosshair, each region, and the artery, at full and at the chosen dose."""

from __future__ import annotations

from typing import Any

import numpy as np
import qt
import slicer
import vtk

from stunet_perfusion.errors import InputError
from StUNetPerfusionLib.choices import aifChoice, doseOptions, otherSegments, segmentChoice
from StUNetPerfusionLib.curves import Curve, updateChart
from StUNetPerfusionLib.masks import maskOfSegment, voxelOf
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds between two looks at the crosshair, which moves with the mouse.
_FOLLOW_MS = 30

#: The time axis goes on for the legend by this factor.
_LEGEND_ROOM = 1.45

_VOXEL_COLOR = (0.15, 0.15, 0.15)
_AIF_COLOR = (0.70, 0.15, 0.75)
#: Regions whose curves are shown; the vessel's is the artery's, and the brain's tells little.
_REGIONS = ("tumor", "whiteMatter")


class CurvesSection:
    """Keeps one chart up to date. All curves are signal in percent of the mean before the bolus.

    :param panel: what the sections share
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._chartId: str | None = None
        self._voxel: tuple[int, int, int] | None = None
        self._regions: dict[tuple, np.ndarray] = {}
        self._aif: Any = None
        self._follow = qt.QTimer()
        self._follow.setSingleShot(True)
        self._follow.setInterval(_FOLLOW_MS)
        self._follow.timeout.connect(self.updateVoxel)

    def start(self, opened) -> None:
        """Begin with another series: at the deepest bolus voxel near the middle, until the crosshair is placed."""
        self._regions, self._aif, self._voxel = {}, None, None
        if opened is None:
            return
        slices = np.flatnonzero(opened.brain.any(axis=(1, 2)))
        if slices.size:
            z = int(slices[slices.size // 2])
            rows, columns = np.nonzero(opened.brain[z])
            middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
            self._voxel = (z, int(rows[middle]), int(columns[middle]))
        self._observeCrosshair()
        self.askForAif()
        self.updateVoxel()

    def forget(self) -> None:
        """The scene is being closed."""
        self._chartId = self._voxel = self._aif = None
        self._regions = {}

    def askForAif(self) -> None:
        """Ask the worker for the arterial input that the reference will use."""
        panel = self._panel
        if panel.opened is None:
            return
        parameters = panel.parameters

        def begin():
            return panel.logic.arterialInput(
                parameters.inputNode,
                aif=aifChoice(parameters),
                baseline=parameters.baseline.value,
                waitForCompletion=False,
                **panel.inputOptions(),
            )

        run = panel.start(begin)
        if run is not None:
            run.onFinished = self._onAif

    def updateSoon(self) -> None:
        """Redraw within a moment, once for all that changes until then."""
        if not self._follow.isActive():
            self._follow.start()

    def updateVoxel(self) -> None:
        """Redraw all curves for the present voxel, dose and regions."""
        panel = self._panel
        opened = panel.opened
        if opened is None:
            return
        curves = [*self._voxelCurves(opened), *self._regionCurves(opened), *self._aifCurves(opened)]
        if not curves:
            return
        chart = slicer.mrmlScene.GetNodeByID(self._chartId) if self._chartId else None
        chart = updateChart(
            slicer.mrmlScene,
            curves,
            chartNode=chart,
            title=_("Time curves"),
            yTitle=_("Signal, % of the baseline"),
        )
        _leaveRoomForTheLegend(chart, curves)
        _leaveOutOfTheScene(chart)
        if chart.GetID() != self._chartId:
            self._chartId = chart.GetID()
        panel.views.showChart(chart)

    def _onAif(self, run) -> None:
        if run.result is None:
            self._panel.say(run.sentence, error=run.state == "failed")
            return
        self._aif = run.result
        self.updateVoxel()

    def _observeCrosshair(self) -> None:
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        observer = self._panel.observer
        if crosshair is not None and not observer.hasObserver(
            crosshair, vtk.vtkCommand.ModifiedEvent, self._onCrosshair
        ):
            observer.addObserver(crosshair, vtk.vtkCommand.ModifiedEvent, self._onCrosshair)

    def _onCrosshair(self, crosshair, event) -> None:
        opened = self._panel.opened
        if opened is None:
            return
        voxel = voxelOf(opened.series.grid, crosshair.GetCrosshairRAS())
        if voxel is not None and voxel != self._voxel:
            self._voxel = voxel
            self.updateSoon()

    def _voxelCurves(self, opened) -> list[Curve]:
        if self._voxel is None:
            return []
        z, y, x = self._voxel
        times = opened.series.times
        full = np.array(opened.series.signal[:, z, y, x], dtype=float)
        baseline = full[opened.droppedFrames : opened.arrival].mean()
        if not baseline > 0:
            return []
        curves = [Curve(_("Voxel {x}, {y}, {z}").format(x=x, y=y, z=z), times, 100 * full / baseline, _VOXEL_COLOR)]
        options = doseOptions(self._panel.parameters)
        if options["dose"] < 1 and self._panel.views.lowDose is not None:
            low = self._panel.views.lowDose.curve(self._voxel, **options)
            name = _("The voxel at {percent:.0f} %").format(percent=100 * options["dose"])
            curves.append(Curve(name, times, 100 * low / baseline, _VOXEL_COLOR, dashed=True))
        return curves

    def _regionCurves(self, opened) -> list[Curve]:
        parameters = self._panel.parameters
        chosen = [segmentChoice(parameters, region) for region in _REGIONS]
        curves = []
        for segmentation, segmentId in [*filter(None, chosen), *otherSegments(parameters).values()]:
            signal = self._signalOfRegion(opened, segmentation, segmentId)
            if signal is None:
                continue
            segment = segmentation.GetSegmentation().GetSegment(segmentId)
            name, color = segment.GetName(), segment.GetColor()
            first = slice(opened.droppedFrames, opened.arrival)
            baseline = signal[first].mean(axis=0)
            times = opened.series.times
            curves.append(Curve(name, times, 100 * signal.mean(axis=1) / baseline.mean(), color))
            options = doseOptions(parameters)
            if options["dose"] < 1:
                # The mean over a region at a dose without its noise, which averages out: relaxation scales with dose.
                ratio = np.maximum(signal, 1e-6) / np.maximum(baseline, 1e-6)
                low = (baseline * ratio ** options["dose"]).mean(axis=1)
                low[: opened.droppedFrames] = signal[: opened.droppedFrames].mean(axis=1)
                label = _("{name} at {percent:.0f} %").format(name=name, percent=100 * options["dose"])
                curves.append(Curve(label, times, 100 * low / baseline.mean(), color, dashed=True))
        return curves

    def _signalOfRegion(self, opened, segmentation, segmentId) -> np.ndarray | None:
        """(T, N) signal of at most some thousand voxels of a segment; None where it has none in the brain."""
        segment = segmentation.GetSegmentation().GetSegment(segmentId)
        drawn = segment.GetRepresentation(
            slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
        )
        # Another key once somebody has drawn in it.
        key = (segmentation.GetID(), segmentId, drawn.GetMTime() if drawn is not None else 0)
        if key not in self._regions:
            try:
                mask = maskOfSegment(segmentation, segmentId, opened.series.grid) & opened.brain
            except InputError:
                mask = np.zeros(opened.brain.shape, bool)  # a segment that nobody has drawn in yet
            self._regions[key] = _someVoxels(opened.series.signal, mask) if mask.any() else None
        return self._regions[key]

    def _aifCurves(self, opened) -> list[Curve]:
        aif = self._aif
        if aif is None:
            return []
        # The curve is TE x delta R2*, or delta R2* where TE is known: as a signal it can stand beside the others.
        scale = opened.facts.echoTime if aif.unit == "1/s" and opened.facts.echoTime else 1.0
        curves = [Curve(_("Artery"), aif.times, 100 * np.exp(-scale * np.asarray(aif.curve)), _AIF_COLOR)]
        dose = self._panel.parameters.dosePercent / 100
        if dose < 1:
            label = _("Artery at {percent:.0f} %").format(percent=100 * dose)
            low = 100 * np.exp(-dose * scale * np.asarray(aif.curve))
            curves.append(Curve(label, aif.times, low, _AIF_COLOR, dashed=True))
        return curves


def _leaveOutOfTheScene(chart) -> None:
    """A scene that was saved would bring the curves again, beside those that are drawn anew."""
    chart.SetSaveWithScene(False)
    for n in range(chart.GetNumberOfPlotSeriesNodes()):
        seriesNode = chart.GetNthPlotSeriesNode(n)
        seriesNode.SetSaveWithScene(False)
        seriesNode.GetTableNode().SetSaveWithScene(False)


def _leaveRoomForTheLegend(chart, curves: list[Curve]) -> None:
    """The legend stands at the upper right: time goes on there, and unsteady first frames do not stretch the signal."""
    latest = max(float(curve.times[-1]) for curve in curves)
    lowest = min(float(np.min(curve.values)) for curve in curves)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0, _LEGEND_ROOM * latest)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(10 * np.floor(lowest / 10), 120)


def _someVoxels(signal: np.ndarray, mask: np.ndarray, most: int = 4000) -> np.ndarray:
    """(T, N) signal of the voxels of a mask, evenly thinned out to at most `most`."""
    z, y, x = np.nonzero(mask)
    step = max(1, -(-z.size // most))
    return np.asarray(signal[:, z[::step], y[::step], x[::step]], dtype=np.float32)
