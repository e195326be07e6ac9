"""Plots and tables: what stands in them, and that looking at more adds no nodes."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from mrml.cases import SHAPE, add_regions, node_ids, noisy_series, regions
from science.synthetic import head_of


@pytest.fixture
def curves(scene):
    from StUNetPerfusionLib.scene import curves

    return curves


def shown(chart) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times and values of each line of a chart, as the plot view takes them from the table."""
    import slicer

    lines = {}
    for position in range(chart.GetNumberOfPlotSeriesNodes()):
        node = chart.GetNthPlotSeriesNode(position)
        table = node.GetTableNode()
        x, y = (
            slicer.util.arrayFromTableColumn(table, name) for name in (node.GetXColumnName(), node.GetYColumnName())
        )
        lines[node.GetName()] = (np.array(x), np.array(y))
    return lines


def test_curves_are_in_the_chart(scene, curves):
    import slicer

    times = 1.5 * np.arange(40)
    chart = curves.updateChart(
        scene,
        [
            curves.Curve("full", times, np.sin(times), (1, 0, 0)),
            curves.Curve("low", times[2:], np.cos(times[2:]), (0, 0, 1), dashed=True),
        ],
        title="voxel",
        yTitle="signal",
    )
    found = shown(chart)
    np.testing.assert_allclose(found["full"], (times, np.sin(times)))
    np.testing.assert_allclose(found["low"], (times[2:], np.cos(times[2:])))
    assert chart.GetYAxisTitle() == "signal"
    styles = [chart.GetNthPlotSeriesNode(position).GetLineStyle() for position in (0, 1)]
    assert styles == [slicer.vtkMRMLPlotSeriesNode.LineStyleSolid, slicer.vtkMRMLPlotSeriesNode.LineStyleDash]
    assert chart.GetNthPlotSeriesNode(1).GetColor() == (0, 0, 1)


def test_moving_about_adds_no_nodes(scene, curves):
    times = np.arange(30.0)

    def lines(count):
        return [curves.Curve(f"{count}-{n}", times + n, n * times, (n / 9, 0, 0)) for n in range(count)]

    chart = curves.updateChart(scene, lines(3))
    before = node_ids(scene)
    for _ in range(5):
        assert curves.updateChart(scene, lines(3), chart) is chart
    assert node_ids(scene) == before
    curves.updateChart(scene, lines(1), chart)
    assert list(shown(chart)) == ["1-0"]
    assert len(before - node_ids(scene)) == 4
    curves.updateChart(scene, lines(4), chart)
    np.testing.assert_allclose(shown(chart)["4-3"], (times + 3, 3 * times))
    assert curves.chartOf(scene) is chart


def test_what_curves_consist_of_is_not_among_the_data(scene, curves):
    """The subject hierarchy makes its items as nodes come: they are hidden by then."""
    import vtk

    hidden = []
    scene.AddObserver(
        scene.NodeAddedEvent,
        vtk.calldata_type(vtk.VTK_OBJECT)(
            lambda scene, event, node: hidden.append((node.GetClassName(), bool(node.GetHideFromEditors())))
        ),
    )
    curves.updateChart(scene, [curves.Curve("full", np.arange(3.0), np.arange(3.0), (1, 0, 0))])
    assert ("vtkMRMLTableNode", True) in hidden
    assert ("vtkMRMLPlotSeriesNode", True) in hidden


@pytest.fixture
def pair(scene):
    """A map and its reference in the scene: 2 in the head and 6 in the tumor, and the reference with an offset."""
    import slicer

    from StUNetPerfusionLib.scene.nodeFrames import placeVolume

    head, tumor = head_of(SHAPE), regions()["tumor"]
    ramp = np.broadcast_to(np.linspace(-0.1, 0.1, SHAPE[2]), SHAPE)
    values = np.where(head, 2 + ramp, 0) + 4.0 * tumor
    nodes = []
    for name, array in (("map", values), ("reference", np.where(head, values + 0.5, 0))):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        placeVolume(node, noisy_series().grid)
        slicer.util.updateVolumeFromArray(node, array.astype(np.float32))
        nodes.append(node)
    return (*nodes, values.astype(np.float32))


def rows_of(table) -> list[dict[str, str]]:
    from StUNetPerfusionLib.scene.statistics import asCsv

    return list(csv.DictReader(io.StringIO(asCsv(table))))


def test_the_table_holds_the_numbers_of_numpy(scene, perfusion, pair):
    map_node, reference, values = pair
    segmentation = add_regions(scene)

    table = perfusion.compare(
        map_node,
        reference,
        mask=(segmentation, "brain"),
        tumor=(segmentation, "tumor"),
        nawm=(segmentation, "white matter"),
        regions={"left half": (np.arange(SHAPE[2]) < 18) & head_of(SHAPE)},
    )

    rows = {row["Region"]: row for row in rows_of(table)}
    assert list(rows) == ["Brain", "Tumor", "Normal white matter", "left half", "Tumor / white matter"]
    for name, region in (("Brain", "brain"), ("Tumor", "tumor"), ("Normal white matter", "white matter")):
        inside = values[regions()[region]].astype(float)
        assert int(rows[name]["Voxels"]) == inside.size
        assert float(rows[name]["Prediction mean"]) == pytest.approx(inside.mean(), rel=1e-3)
        assert float(rows[name]["Prediction SD"]) == pytest.approx(inside.std(), rel=1e-3)
        assert float(rows[name]["Reference mean"]) == pytest.approx(inside.mean() + 0.5, rel=1e-3)
    ratio = values[regions()["tumor"]].mean() / values[regions()["white matter"]].mean()
    assert float(rows["Tumor / white matter"]["Prediction mean"]) == pytest.approx(ratio, rel=1e-3)
    # An offset vanishes when both maps are standardized: they agree perfectly there.
    for name in ("Brain", "Tumor"):
        assert float(rows[name]["L1"]) == pytest.approx(0, abs=1e-5)
        assert float(rows[name]["L2"]) == pytest.approx(0, abs=1e-5)
        assert float(rows[name]["SSIM"]) == pytest.approx(1, abs=1e-5)
    assert rows["left half"]["L1"] == ""
    assert table.GetLocked()


def test_a_segment_with_the_name_of_a_role_is_told_apart(scene, perfusion, pair):
    map_node, reference, _values = pair
    boxes = regions()
    table = perfusion.compare(
        map_node, reference, tumor=boxes["white matter"], regions={"tumor": boxes["tumor"], "edema": boxes["tumor"]}
    )
    assert [row["Region"] for row in rows_of(table)] == ["Brain", "Tumor", "tumor (another segment)", "edema"]


def test_a_table_is_filled_anew(scene, perfusion, pair):
    map_node, reference, _values = pair
    table = perfusion.compare(map_node, reference)
    assert [row["Region"] for row in rows_of(table)] == ["Brain"]
    before = node_ids(scene)
    assert perfusion.compare(map_node, reference, tumor=regions()["tumor"], tableNode=table) is table
    assert [row["Region"] for row in rows_of(table)] == ["Brain", "Tumor"]
    assert node_ids(scene) == before


def test_csv_survives_commas_and_quotes(scene):
    from StUNetPerfusionLib.scene.statistics import RegionStatistics, asCsv, updateTable

    table = updateTable(scene, [RegionStatistics('tumor, "left"', 3, 1.23456789, 0.5)])
    (row,) = rows_of(table)
    assert row["Region"] == 'tumor, "left"'
    assert (row["Prediction mean"], row["Reference mean"]) == ("1.235", "")
    assert asCsv(table).splitlines()[0].startswith("Region,Voxels,Prediction mean")
    # The panel has little room: its heads are short, and their tooltips say it all.
    assert [table.GetColumnTitle(name) for name in ("Prediction mean", "Reference mean")] == ["CBV", "Ref"]
    assert table.GetColumnDescription("Reference mean") == "Mean of the reference CBV"


def test_a_ratio_to_nothing_is_left_out():
    from StUNetPerfusionLib.scene.statistics import RegionStatistics, ratioOf

    tumor, nothing = RegionStatistics("tumor", mean=2.0, referenceMean=3.0), RegionStatistics("nawm", mean=0.0)
    line = ratioOf("ratio", tumor, nothing)
    assert line.mean is None
    assert line.referenceMean is None


def test_the_difference_is_map_minus_reference(scene, perfusion, pair):
    import slicer

    from StUNetPerfusionLib.scene.colors import DIFFERENCE_COLORS

    map_node, reference, _values = pair
    map_node.CreateDefaultDisplayNodes()
    map_node.GetDisplayNode().SetAutoWindowLevel(False)
    map_node.GetDisplayNode().SetWindowLevel(8, 4)

    node = perfusion.difference(map_node, reference)

    found = slicer.util.arrayFromVolume(node)
    np.testing.assert_allclose(found[head_of(SHAPE)], -0.5, atol=1e-6)
    assert not found[~head_of(SHAPE)].any()
    assert node.GetDisplayNode().GetColorNode().GetName() == DIFFERENCE_COLORS
    assert (node.GetDisplayNode().GetWindowLevelMin(), node.GetDisplayNode().GetWindowLevelMax()) == (-4, 4)


def test_maps_on_different_grids_are_not_compared(scene, perfusion, pair):
    from stunet_perfusion.support.errors import InputError

    map_node, reference, _values = pair
    reference.SetOrigin(0, 0, 0)
    for attempt in (perfusion.difference, perfusion.compare):
        with pytest.raises(InputError, match="reference: is on another grid than map"):
            attempt(map_node, reference)
