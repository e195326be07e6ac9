"""Time curves in a plot chart, updated in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from StUNetPerfusionLib.scene.hiddenNodes import addHiddenNode
from StUNetPerfusionLib.translation import tr as _

#: Marks charts, tables and plot series of ours, so that they are found again.
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
        chartNode.SetAttribute(_CURVE_ATTRIBUTE, "1")
        # A scene that was saved would bring the curves again, beside those that are drawn anew.
        chartNode.SetSaveWithScene(False)
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


def chartOf(scene):
    """The vtkMRMLPlotChartNode that `updateChart` added, or None."""
    charts = slicer.util.getNodesByClass("vtkMRMLPlotChartNode", scene)
    return next((chart for chart in charts if chart.GetAttribute(_CURVE_ATTRIBUTE)), None)


def _seriesOf(chartNode) -> list:
    nodes = [chartNode.GetNthPlotSeriesNode(position) for position in range(chartNode.GetNumberOfPlotSeriesNodes())]
    return [node for node in nodes if node is not None and node.GetAttribute(_CURVE_ATTRIBUTE) and node.GetTableNode()]


def _addSeries(scene, chartNode):
    tableNode = addHiddenNode(scene, "vtkMRMLTableNode", _("Time curve"))
    seriesNode = addHiddenNode(scene, "vtkMRMLPlotSeriesNode", _("Time curve"))
    for node in (tableNode, seriesNode):
        node.SetAttribute(_CURVE_ATTRIBUTE, "1")
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
