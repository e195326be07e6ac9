"""Time curves in a plot chart, updated in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from StUNetPerfusionLib.translation import tr as _

#: Marks tables and plot series of ours, so that those of a chart are found again in a saved scene.
_CURVE_ATTRIBUTE = "StUNetPerfusion.Curve"


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of the chart.

    :param name: in the legend
    :param times: (T,) seconds
    :param values: (T,)
    :param color: red, green, blue from 0 to 1
    :param dashed: to tell the low dose from the full one
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    color: tuple[float, float, float]
    dashed: bool = False


def meanCurve(signal: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mean over a region, slice by slice, so that of a series on disk only the slices that count are read.

    :param signal: (T, Z, Y, X)
    :param mask: (Z, Y, X) bool, not empty
    :returns: (T,) float64
    """
    total = np.zeros(len(signal))
    for z in np.flatnonzero(mask.any(axis=(1, 2))):
        total += signal[:, z][:, mask[z]].sum(axis=1, dtype=np.float64)
    return total / np.count_nonzero(mask)


def updateChart(scene, curves: Sequence[Curve], chartNode=None, title: str = "", yTitle: str = ""):
    """Show curves in a chart.

    Nodes that the chart has are used again, and what it has too many is removed, so that the scene does not grow
    while the user moves about.

    :param scene: vtkMRMLScene
    :param chartNode: vtkMRMLPlotChartNode to update, or None to add one
    :param title: above the chart
    :param yTitle: beside the vertical axis: quantity and unit
    :returns: vtkMRMLPlotChartNode
    """
    if chartNode is None:
        chartNode = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", _("Time curves"))
        chartNode.SetXAxisTitle(_("time (s)"))
    chartNode.SetTitle(title)
    chartNode.SetTitleVisibility(bool(title))
    chartNode.SetYAxisTitle(yTitle)
    present = _seriesOf(chartNode)
    for surplus in present[len(curves) :]:
        chartNode.RemovePlotSeriesNodeID(surplus.GetID())
        scene.RemoveNode(surplus.GetTableNode())
        scene.RemoveNode(surplus)
    for position, curve in enumerate(curves):
        seriesNode = present[position] if position < len(present) else _addSeries(scene, chartNode)
        _show(seriesNode, curve)
    return chartNode


def removeChart(chartNode) -> None:
    """Take a chart with its series and tables out of the scene."""
    scene = chartNode.GetScene()
    updateChart(scene, [], chartNode)
    scene.RemoveNode(chartNode)


def _seriesOf(chartNode) -> list:
    nodes = [chartNode.GetNthPlotSeriesNode(position) for position in range(chartNode.GetNumberOfPlotSeriesNodes())]
    return [node for node in nodes if node is not None and node.GetAttribute(_CURVE_ATTRIBUTE) and node.GetTableNode()]


def _addSeries(scene, chartNode):
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", _("Time curve"))
    seriesNode = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", _("Time curve"))
    for node in (tableNode, seriesNode):
        node.SetAttribute(_CURVE_ATTRIBUTE, "1")
        node.SetHideFromEditors(True)
    for name in ("time", "value"):
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        tableNode.AddColumn(column)
    seriesNode.SetAndObserveTableNodeID(tableNode.GetID())
    seriesNode.SetXColumnName("time")
    seriesNode.SetYColumnName("value")
    seriesNode.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    seriesNode.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    chartNode.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
    return seriesNode


def _show(seriesNode, curve: Curve) -> None:
    tableNode = seriesNode.GetTableNode()
    table = tableNode.GetTable()
    for name, numbers in (("time", curve.times), ("value", curve.values)):
        column = numpy_to_vtk(np.ascontiguousarray(numbers, dtype=np.float64), deep=True)
        column.SetName(name)  # which the copy takes over
        table.GetColumnByName(name).DeepCopy(column)
    table.Modified()
    seriesNode.SetName(curve.name)
    seriesNode.SetColor(*curve.color)
    solid, dashed = slicer.vtkMRMLPlotSeriesNode.LineStyleSolid, slicer.vtkMRMLPlotSeriesNode.LineStyleDash
    seriesNode.SetLineStyle(dashed if curve.dashed else solid)
    seriesNode.SetLineWidth(2)
