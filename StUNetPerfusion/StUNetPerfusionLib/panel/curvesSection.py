"""The time curves: the voxel under the crosshair, each region, and the artery, at full and at the chosen dose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt
import slicer
import vtk

from stunet_perfusion.dose.simulate import simulate_slice
from stunet_perfusion.kinetics.concentration import concentration_curves
from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.parameterOptions import doseOptions, otherSegments, segmentChoice
from StUNetPerfusionLib.panel.viewsSection import ViewsSection
from StUNetPerfusionLib.parameterNode import Baseline
from StUNetPerfusionLib.process.computations import ArterialCurve
from StUNetPerfusionLib.scene.curves import Curve, chartOf, updateChart
from StUNetPerfusionLib.scene.masks import maskOfSegment, voxelOf
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds between two looks at the crosshair, which moves with the mouse.
_FOLLOW_MS = 30

#: Shares of the chart's width that the legend takes: its frame and lines, and each letter of its longest line.
_LEGEND_FRAME, _LEGEND_LETTER, _LEGEND_MOST = 0.18, 0.0077, 0.45

_VOXEL_COLOR = (0.15, 0.15, 0.15)
#: Of the artery's curve, and of the points that it is taken at.
ARTERY_COLOR = (0.70, 0.15, 0.75)
#: Regions whose curves are shown; the vessel's is the artery's, and the brain's tells little.
_REGIONS = ("tumor", "whiteMatter")


class CurvesSection:
    """Keeps one chart up to date. All curves are signal in percent of the mean before the bolus.

    :param case: what is chosen
    :param observer: VTKObservationMixin
    :param views: where the chart is shown
    :param arterialCurve: returns the arterial input that is chosen now; None until the worker has found it
    """

    def __init__(
        self, case: ChosenCase, observer, views: ViewsSection, arterialCurve: Callable[[], ArterialCurve | None]
    ) -> None:
        self._case = case
        self._observer = observer
        self._views = views
        self._arterialCurve = arterialCurve
        self._voxel: tuple[int, int, int] | None = None
        self._regions: dict[tuple, np.ndarray | None] = {}
        self._follow = qt.QTimer()
        self._follow.setSingleShot(True)
        self._follow.setInterval(_FOLLOW_MS)
        self._follow.timeout.connect(self.updateVoxel)

    def start(self, opened, keepVoxel: bool = False) -> None:
        """Begin with another series, in the middle of the brain until the crosshair is placed.

        :param keepVoxel: it is the same series, understood in another way
        """
        self._regions = {}
        if not keepVoxel:
            self._voxel = None
        if opened is None:
            return
        slices = np.flatnonzero(opened.brain.any(axis=(1, 2)))
        if slices.size and self._voxel is None:
            z = int(slices[slices.size // 2])
            rows, columns = np.nonzero(opened.brain[z])
            middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
            self._voxel = (z, int(rows[middle]), int(columns[middle]))
        self._observeCrosshair()
        self.updateVoxel()

    def forget(self) -> None:
        """The scene is being closed."""
        self._voxel = None
        self._regions = {}

    def updateSoon(self) -> None:
        """Redraw within a moment, once for all that changes until then."""
        if not self._follow.isActive():
            self._follow.start()

    def updateVoxel(self) -> None:
        """Redraw all curves for the present voxel, dose and regions."""
        opened = self._case.opened
        if opened is None:
            return
        curves = [*self._voxelCurves(opened), *self._regionCurves(opened), *self._aifCurves(opened)]
        if not curves:
            return
        chart = updateChart(
            slicer.mrmlScene,
            curves,
            chartNode=chartOf(slicer.mrmlScene),
            title=_("Time curves"),
            yTitle=_("Signal, % of the baseline"),
        )
        _leaveRoomForTheLegend(chart, curves)
        self._views.showChart(chart)

    def _observeCrosshair(self) -> None:
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        observer = self._observer
        if crosshair is not None and not observer.hasObserver(
            crosshair, vtk.vtkCommand.ModifiedEvent, self._onCrosshair
        ):
            observer.addObserver(crosshair, vtk.vtkCommand.ModifiedEvent, self._onCrosshair)

    def _onCrosshair(self, crosshair, event) -> None:
        opened = self._case.opened
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
        # Column, row and slice from 1, as people count.
        name = _("Voxel {column}, {row}, {slice}").format(column=x + 1, row=y + 1, slice=z + 1)
        curves = [Curve(name, times, 100 * full / baseline, _VOXEL_COLOR)]
        options = doseOptions(self._case.parameters)
        if options["dose"] < 1 and self._views.lowDose is not None:
            low = self._views.lowDose.curve(self._voxel, **options)
            name = _("The voxel, {percent:.0f} %").format(percent=100 * options["dose"])
            curves.append(Curve(name, times, 100 * low / baseline, _VOXEL_COLOR, dashed=True))
        return curves

    def _regionCurves(self, opened) -> list[Curve]:
        parameters = self._case.parameters
        chosen = [segmentChoice(parameters, region) for region in _REGIONS]
        curves, before, self._regions = [], self._regions, {}
        for segmentation, segmentId in [*filter(None, chosen), *otherSegments(parameters).values()]:
            key = (segmentation.GetID(), segmentId, self._case.fingerprints.of(segmentation, segmentId))
            signal = before[key] if key in before else _signalOfRegion(opened, segmentation, segmentId)
            self._regions[key] = signal
            if signal is None:
                continue
            segment = segmentation.GetSegmentation().GetSegment(segmentId)
            name, color, times = segment.GetName(), segment.GetColor(), opened.series.times
            baseline = signal[opened.droppedFrames : opened.arrival].mean()
            curves.append(Curve(name, times, 100 * signal.mean(axis=1) / baseline, color))
            options = doseOptions(parameters)
            if options["dose"] < 1:
                low = _atDose(opened, signal, **options)
                label = _("{name}, {percent:.0f} %").format(name=name, percent=100 * options["dose"])
                curves.append(Curve(label, times, 100 * low.mean(axis=1) / baseline, color, dashed=True))
        return curves

    def _aifCurves(self, opened) -> list[Curve]:
        aif = self._arterialCurve()
        if aif is None:
            return []
        # The curve is TE x delta R2*, or delta R2* where TE is known: as a signal it can stand beside the others.
        scale = opened.facts.echoTime if aif.unit == "1/s" and opened.facts.echoTime else 1.0
        curves = [Curve(_("Artery"), aif.times, 100 * np.exp(-scale * np.asarray(aif.curve)), ARTERY_COLOR)]
        options = doseOptions(self._case.parameters)
        if options["dose"] < 1 and aif.voxels is not None:
            low = _atDose(opened, _signalOf(opened, aif.voxels), **options)[opened.droppedFrames :]
            isFirst = self._case.parameters.baseline == Baseline.FIRST_FRAME
            frames = 1 if isFirst else opened.arrival - opened.droppedFrames
            mean = concentration_curves(low, frames, None).mean(axis=1, dtype=np.float64)
            label = _("Artery, {percent:.0f} %").format(percent=100 * options["dose"])
            curves.append(Curve(label, aif.times, 100 * np.exp(-mean), ARTERY_COLOR, dashed=True))
        return curves


def _signalOfRegion(opened, segmentation, segmentId: str) -> np.ndarray | None:
    """(T, N) signal of at most some thousand voxels of a segment; None where it has none in the brain."""
    try:
        mask = maskOfSegment(segmentation, segmentId, opened.series.grid) & opened.brain
    except InputError:  # a segment that nobody has drawn in yet
        return None
    return _signalOf(opened, mask) if mask.any() else None


def _signalOf(opened, mask: np.ndarray, most: int = 4000) -> np.ndarray:
    """(T, N) signal of the voxels of a mask, evenly thinned out to at most `most`."""
    z, y, x = np.nonzero(mask)
    step = max(1, -(-z.size // most))
    return np.asarray(opened.series.signal[:, z[::step], y[::step], x[::step]], dtype=np.float32)


def _atDose(opened, signal: np.ndarray, dose: float, method: str) -> np.ndarray:
    """Some voxels at a lower dose, by the method that was chosen for the series.

    Noise is drawn for these voxels alone: as much as in the series at that dose, but not the same.

    :param signal: (T, N), frames that are not in steady state included; those pass as they are
    """
    steady = signal[opened.droppedFrames :]
    baselineFrames = opened.arrival - opened.droppedFrames
    low = simulate_slice(steady, baselineFrames, dose, method, np.random.default_rng(0))
    return np.concatenate([signal[: opened.droppedFrames], low])


def _leaveRoomForTheLegend(chart, curves: list[Curve]) -> None:
    """The legend stands at the upper right: time goes on there, and unsteady first frames do not stretch the signal."""
    legend = min(_LEGEND_FRAME + _LEGEND_LETTER * max(len(curve.name) for curve in curves), _LEGEND_MOST)
    latest = max(float(curve.times[-1]) for curve in curves)
    lowest = min(float(np.min(curve.values)) for curve in curves)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0, latest / (1 - legend))
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(10 * np.floor(lowest / 10), 120)
