"""What the user changes outside of the panel: segments, points, sequences; on a real MRML scene."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from gui import standins, widgets
from gui.panel_case import READY, Logic, choose, look_at, opened, part
from gui.test_panel import applied
from stunet_perfusion.dose.simulate import simulate_dose

slicer = pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")


def module(name: str):
    return importlib.import_module(f"StUNetPerfusionLib.{name}")


def box(series, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(series.grid.shape, bool)
    mask[1:3, rows, columns] = True
    return mask


def paint(segmentation, name: str, mask: np.ndarray, grid) -> None:
    """As a brush does: the segment is made where there is none."""
    if segmentation.GetSegmentation().GetSegment(name) is None:
        segmentation.GetSegmentation().AddEmptySegment(name, name)
    volume = slicer.vtkMRMLScalarVolumeNode()
    module("scene.nodeFrames").placeVolume(volume, grid)
    slicer.util.updateVolumeFromArray(volume, mask.astype(np.uint8))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(logic.CreateOrientedImageDataFromVolumeNode(volume), segmentation, name)


@pytest.fixture
def segmentation(panel, scene, series):
    """Chosen while it was empty, as somebody does who draws afterwards."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
    panel.parameters.segmentation = node
    choose(panel, scene, series)
    return node


def curve_names(panel) -> list[str]:
    panel.curves._follow.fire()
    chart = module("scene.curves").chartOf(slicer.mrmlScene)
    return [chart.GetNthPlotSeriesNode(n).GetName() for n in range(chart.GetNumberOfPlotSeriesNodes())]


def test_segments_drawn_later_are_offered_take_their_role_and_have_curves(panel, series, segmentation):
    paint(segmentation, "Segment_1", box(series, slice(8, 12), slice(8, 12)), series.grid)
    assert panel._segmentEdits._settle.isActive(), "strokes are waited for, not followed one by one"
    panel._segmentEdits._settle.fire()
    assert panel.ui.tumorSegmentComboBox.texts() == ["none", "Segment_1"]
    assert panel.parameters.tumorSegment == ""
    assert "Segment_1" in curve_names(panel)

    segmentation.GetSegmentation().GetSegment("Segment_1").SetName("Glioma")
    panel._segmentEdits._settle.fire()
    assert panel.parameters.tumorSegment == "Segment_1"
    assert panel.ui.tumorSegmentComboBox.currentText == "Glioma"
    panel.ui.tumorSegmentComboBox.choose(0)
    paint(segmentation, "Segment_1", box(series, slice(8, 13), slice(8, 12)), series.grid)
    panel._segmentEdits._settle.fire()
    assert panel.parameters.tumorSegment == "", "what the user said stays"

    panel.ui.tumorSegmentComboBox.choose(1)
    segmentation.GetSegmentation().RemoveSegment("Segment_1")
    panel._segmentEdits._settle.fire()
    assert panel.parameters.tumorSegment == ""
    assert panel.ui.tumorSegmentComboBox.texts() == ["none"]
    assert "Glioma" not in curve_names(panel)


def test_the_curve_of_a_segment_is_that_of_what_is_drawn_now(panel, series, segmentation):
    for rows in (slice(8, 12), slice(10, 16)):
        mask = box(series, rows, slice(8, 12))
        paint(segmentation, "lesion", mask, series.grid)
        panel._segmentEdits._settle.fire()
        (curve,) = panel.curves._regionCurves(panel.opened)
        expected = series.signal[:, mask].mean(axis=1)
        baseline = expected[panel.opened.droppedFrames : panel.opened.arrival].mean()
        np.testing.assert_allclose(curve.values, 100 * expected / baseline, rtol=1e-4)
    assert len(panel.curves._regions) == 1, "what was drawn before is not kept"


def test_only_an_edited_brain_opens_the_series_again_and_not_while_it_is_drawn(panel, scene, series, segmentation):
    brain = panel.opened.brain
    paint(segmentation, "brain", brain, series.grid)
    panel._segmentEdits._settle.fire()
    panel.logic.last("open").end(opened(series))
    assert panel.logic.count("open") == 2
    # The tumor lies in the same label map as the brain, whose time of change moves with it.
    paint(segmentation, "tumor", box(series, slice(0, 2), slice(0, 2)) & ~brain, series.grid)
    panel._segmentEdits._settle.fire()
    assert panel.logic.count("open") == 2

    panel.parameters.frame = 3
    panel.leave()
    smaller = brain.copy()
    smaller[:, :, : smaller.shape[2] // 2] = False
    paint(segmentation, "brain", smaller, series.grid)
    panel._segmentEdits._settle.fire()
    assert panel.logic.count("open") == 2
    panel.enter()
    assert panel.logic.count("open") == 3
    assert panel.logic.last("open").arguments["mask"] == (segmentation, "brain")
    panel.logic.last("open").end(opened(series))
    assert panel.parameters.frame == 3, "it is looked at as before"


def shipped():
    from stunet_perfusion.support.resources import shipped_checkpoint

    return shipped_checkpoint()


def test_numbers_follow_the_segments(panel, scene, series, segmentation, monkeypatch):
    """One at a time: what is drawn while numbers are taken is taken next."""
    statistics = module("scene.statistics")
    result = applied(scene, panel.parameters.inputNode, 1.0)
    table = statistics.updateTable(scene, [statistics.RegionStatistics("Brain")])
    result.cbv.SetNodeReferenceID(module("process.applySteps").TABLE, table.GetID())
    monkeypatch.setattr(module("panel.numbersSection"), "resultWith", lambda panel: result)
    panel.showResult(result)
    panel.logic.last("compare").end(table)
    taken = panel.logic.count("compare")
    panel.numbers.refresh()
    assert panel.logic.count("compare") == taken, "nothing was drawn"

    lesion = box(series, slice(8, 12), slice(8, 12))
    paint(segmentation, "lesion", lesion, series.grid)
    segmentation.GetSegmentation().AddEmptySegment("nothing yet", "nothing yet")
    panel._segmentEdits._settle.fire()
    run = panel.logic.last("compare")
    assert panel.logic.count("compare") == taken + 1
    assert run.arguments["tumor"] == (segmentation, "lesion")
    assert run.arguments["regions"] == {}
    assert run.arguments["tableNode"] is table
    np.testing.assert_array_equal(run.arguments["mask"], panel.opened.brain)

    panel.ui.tumorSegmentComboBox.choose(0)
    assert panel.logic.count("compare") == taken + 1
    run.end(table)
    assert panel.logic.count("compare") == taken + 2
    assert panel.logic.last("compare").arguments["regions"] == {"lesion": (segmentation, "lesion")}
    panel.logic.last("compare").end(table)
    assert panel.logic.count("compare") == taken + 2


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_curves_of_a_region_are_lowered_as_the_series_is(panel, series, segmentation, method):
    parameterNode = module("parameterNode")
    mask = box(series, slice(6, 14), slice(6, 14)) & panel.opened.brain
    paint(segmentation, "lesion", mask, series.grid)
    panel.parameters.method = parameterNode.DoseMethod(method)
    panel.dose.setDose(25)
    full, low = panel.curves._regionCurves(panel.opened)
    prepared = panel.opened.prepared
    lowered = simulate_dose(prepared.series, prepared.bolus.arrival, 0.25, method)
    dropped, arrival = panel.opened.droppedFrames, panel.opened.arrival
    baseline = series.signal[dropped:arrival][:, mask].mean()
    expected = 100 * lowered.signal[:, mask].mean(axis=1) / baseline
    np.testing.assert_allclose(low.values[:dropped], full.values[:dropped])
    noise = 100 * series.signal[dropped:arrival][:, mask].std(axis=0).mean() / baseline / np.sqrt(mask.sum())
    tolerance = 1e-3 if method == "equation1" else 1e-3 + 6 * noise
    np.testing.assert_allclose(low.values[dropped:], expected, atol=tolerance)
    other = "noise-matched" if method == "equation1" else "equation1"
    otherwise = simulate_dose(prepared.series, prepared.bolus.arrival, 0.25, other).signal[:, mask].mean(axis=1)
    assert np.abs(100 * otherwise / baseline - expected).max() > 2 * tolerance, "the methods can be told apart here"


@pytest.fixture
def points(panel, scene, series):
    """A list of points that was chosen for the AIF while it was empty."""
    choose(panel, scene, series)
    panel.logic.last("aif").end(arterial_curve(panel))
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "AIF")
    panel.parameters.aifPoint = node
    panel.parameters.aifSource = module("parameterNode").AifSource.POINT
    return node


def arterial_curve(panel):
    times = panel.opened.prepared.series.times
    return module("process.computations").ArterialCurve(np.ones(len(times)), times, "one chosen voxel", "1/s", None)


def place(series, voxel: tuple[int, int, int]) -> np.ndarray:
    return (series.grid.ijk_to_ras @ [*voxel[::-1], 1])[:3]


def test_a_moved_point_gives_another_arterial_curve(panel, series, points):
    assert "press Place under Reference" in panel.ui.aifNoteLabel.text
    assert "Artery" not in curve_names(panel), "the curve before is not that of the points"
    asked = panel.logic.count("aif")

    points.AddControlPoint(place(series, (1, 8, 9)))
    panel.aif._edits._settle.fire()
    run = panel.logic.last("aif")
    assert panel.logic.count("aif") == asked + 1
    assert run.arguments["aif"] is points
    assert "color" not in panel.ui.aifNoteLabel.text, "what was wrong is so no longer"
    previews = panel.logic.count("preview")

    points.SetNthControlPointPosition(0, *place(series, (2, 10, 11)))
    panel.aif._edits._settle.fire()
    assert run.cancelled
    run.end(arterial_curve(panel))
    assert panel.aif.curve is None, "the late answer is of the place before"
    panel.logic.last("aif").end(arterial_curve(panel))
    assert panel.ui.aifNoteLabel.text == "one chosen voxel"
    assert "Artery" in curve_names(panel)
    assert panel.logic.count("preview") >= previews

    asked = panel.logic.count("aif")
    points.SetNthControlPointPosition(0, *(place(series, (2, 10, 11)) + 0.1))
    panel.aif._edits._settle.fire()
    assert panel.logic.count("aif") == asked, "it is in the same voxel"
    points.SetNthControlPointPosition(0, 1e4, 0, 0)
    panel.aif._edits._settle.fire()
    panel.logic.last("aif").end(sentence="AIF: point 1 lies outside of the series; move it onto an artery")
    assert "outside" in panel.ui.aifNoteLabel.text


def test_place_makes_a_list_and_lets_the_next_click_place_a_point(panel, scene, series, monkeypatch):
    choose(panel, scene, series)
    done = []
    logic = SimpleNamespace(
        SetActiveListID=lambda node: done.append(node), StartPlaceMode=lambda persistent: done.append(persistent)
    )
    modules = SimpleNamespace(markups=SimpleNamespace(logic=lambda: logic))
    monkeypatch.setattr(slicer, "modules", modules, raising=False)
    assert not panel.ui.placePointButton.visible
    panel.parameters.aifSource = module("parameterNode").AifSource.POINT
    assert panel.ui.placePointButton.visible
    panel.ui.placePointButton.click()
    assert done == [panel.parameters.aifPoint, False]
    panel.ui.placePointButton.click()
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1


def test_only_what_can_be_a_perfusion_series_is_offered(panel, scene, series):
    sequences = module("scene.sequenceSeries")
    offered = panel.ui.inputSelector.sortFilterProxyModel()
    good = sequences.sequenceFromSeries(series, scene, "DSC")
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "motion")
    for n in range(30):
        transforms.SetDataNodeAtValue(slicer.vtkMRMLLinearTransformNode(), str(n))
    few = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "few")
    panel.input._arrivals._settle.fire()
    assert list(offered.hiddenNodeIDs) == [transforms.GetID(), few.GetID()]
    assert good.GetID() not in offered.hiddenNodeIDs

    for n, time in enumerate(series.times):
        sequences.addFrame(few, n, time, series.signal[n], series.grid)
    panel.input._unsuited._settle.fire()
    assert list(offered.hiddenNodeIDs) == [transforms.GetID()]
    panel.parameters.inputNode = transforms
    assert list(offered.hiddenNodeIDs) == [], "what is chosen is seen, with what is wrong with it"


def test_an_environment_that_failed_is_looked_at_again(panel):
    asked = panel.logic.count("environment")
    panel.enter()
    assert panel.logic.count("environment") == asked, "it is known"
    panel.model.lookAtEnvironment()
    panel.logic.last("environment").end({**READY, "missing": ["torch"], "torch": None})
    panel.enter()
    panel.enter()
    assert panel.logic.count("environment") == asked + 2, "once at a time"
    panel.logic.last("environment").end(READY)
    assert panel.model.ready


def test_a_checkpoint_that_goes_or_changes_is_described_again(panel, scene, series, tmp_path):
    choose(panel, scene, series)
    copy = tmp_path / "network.safetensors"
    copy.write_bytes(shipped().read_bytes())
    panel.parameters.checkpoint = str(copy)
    assert panel.ui.applyButton.enabled
    copy.unlink()
    panel.enter()
    assert "network.safetensors" in panel.ui.checkpointLabel.text
    assert not panel.ui.applyButton.enabled
    copy.write_bytes(shipped().read_bytes())
    panel.enter()
    assert panel.ui.applyButton.enabled


def test_what_another_module_put_into_our_views_goes_when_the_user_comes_back(panel, scene, series):
    layout = module("scene.layout")
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    composites = {
        name: slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode() for name in layout.SLICE_VIEWS
    }
    ours = {name: composite.GetBackgroundVolumeID() for name, composite in composites.items()}
    other = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "source of the Segment Editor")
    panel.leave()
    for composite in composites.values():
        composite.SetBackgroundVolumeID(other.GetID())
    panel.enter()
    assert {name: composite.GetBackgroundVolumeID() for name, composite in composites.items()} == ours
    assert len(set(ours.values())) == 4


def test_the_curves_of_a_former_panel_are_taken_over(panel, scene, series):
    choose(panel, scene, series)
    count = scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"), scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    lowDose = panel.views.lowDose.node.GetID()
    panel.setParameters(None)
    assert scene.GetNodeByID(lowDose) is None
    parameters = module("parameterNode").PerfusionParameters(None)
    panel.setParameters(parameters)
    parameters.onModified = panel.parametersChanged
    choose(panel, scene, series)
    assert count == (
        scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"),
        scene.GetNumberOfNodesByClass("vtkMRMLTableNode"),
    )


@pytest.mark.parametrize("name", ["tumor", "edema"])
def test_a_region_that_was_cut_out_of_the_brain_is_said(panel, series, segmentation, name):
    """With a role or without one: the Segment Editor cuts the brain where somebody draws."""
    drawn = box(series, slice(8, 12), slice(8, 12))
    assert (drawn & ~panel.opened.brain).sum() == 0
    paint(segmentation, name, drawn, series.grid)
    panel._segmentEdits._settle.fire()
    assert panel.parameters.tumorSegment == ("tumor" if name == "tumor" else "")
    assert "outside of the brain" not in panel.ui.understoodLabel.text
    outside = box(series, slice(0, 1), slice(0, 16))
    assert not (outside & panel.opened.brain).any()
    paint(segmentation, name, drawn | outside, series.grid)
    panel._segmentEdits._settle.fire()
    told = panel.ui.understoodLabel.text.replace("&#x27;", "'")
    assert f"{100 * outside.sum() / (drawn | outside).sum():.0f} % of '{name}'" in told


def test_a_module_that_is_reloaded_leaves_nothing_behind(scene, monkeypatch):
    parameters = module("parameterNode").PerfusionParameters(None)
    parameters.__dict__["parameterNode"] = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    connections = []
    monkeypatch.setattr(slicer.app, "connect", lambda *each: connections.append(each), raising=False)
    monkeypatch.setattr(slicer.app, "disconnect", lambda *each: connections.remove(each), raising=False)
    ui_file = standins.MODULE_FILE.parent / "Resources" / "UI" / "StUNetPerfusion.ui"
    loaded = SimpleNamespace(setMRMLScene=lambda scene: None)
    monkeypatch.setattr(slicer.util, "loadUI", lambda path: loaded, raising=False)
    monkeypatch.setattr(
        slicer.util, "childWidgetVariables", lambda widget: widgets.from_ui_file(ui_file), raising=False
    )
    moduleFile = standins.load_module_file()
    logic = Logic()
    logic.getParameterNode = lambda: parameters
    monkeypatch.setattr(moduleFile, "StUNetPerfusionLogic", lambda: logic)
    for name in ("connectGui", "disconnectGui"):
        parameters.__dict__[name] = lambda argument: None

    widget = moduleFile.StUNetPerfusionWidget(SimpleNamespace(isEntered=True))
    monkeypatch.setattr(widget, "resourcePath", lambda path: path, raising=False)
    widget.setup()
    assert len(connections) == 1
    widget.enter()
    widget.exit()
    before = len(widget.Observations)
    assert before
    widget.cleanup()
    assert connections == []
    assert logic.stopped
    assert not widget.Observations
