"""The panel on a real MRML scene, with stand-ins for widgets and application, and a logic that a test plays."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gui.panel_case import READY, applied, choose, look_at, opened, part
from science.synthetic import make_series
from stunet_perfusion.support.errors import InputError

slicer = pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")


def test_without_a_series_the_panel_says_what_to_do(panel):
    assert not panel.ui.applyButton.enabled
    assert "series" in panel.ui.applyButton.toolTip
    assert "Choose a series" in panel.ui.understoodLabel.text


def test_missing_packages_are_named_and_can_be_installed(panel, scene, series):
    panel.model.lookAtEnvironment()
    panel.logic.last("environment").end({**READY, "missing": ["torch", "skimage"], "torch": None})
    choose(panel, scene, series)
    assert "PyTorch" in panel.ui.environmentLabel.text
    assert "skimage" in panel.ui.environmentLabel.text
    assert panel.ui.installButton.visible
    assert not panel.ui.applyButton.enabled
    assert panel.logic.count("preview") == 0


def test_a_chosen_series_is_understood_and_previewed(panel, scene, series):
    choose(panel, scene, series)
    assert f"{series.frames} frames" in panel.ui.understoodLabel.text
    assert (panel.ui.frameSlider.minimum, panel.ui.frameSlider.maximum) == (1, series.frames)
    assert panel.ui.frameSlider.value == panel.opened.peak + 1, "people count from 1"
    assert panel.ui.applyButton.enabled
    assert "1 min 10 s" in panel.ui.applyButton.text
    assert slicer.app.layoutManager().layout == importlib.import_module("StUNetPerfusionLib.scene.layout").LAYOUT_ID


def test_overrides_reach_the_logic_in_seconds(panel, scene, series):
    choose(panel, scene, series)
    panel.parameters.echoTime = 25.0
    assert panel.logic.last("open").arguments["echoTime"] == pytest.approx(0.025)
    panel.parameters.dropFrames = 2
    assert panel.logic.last("open").arguments["dropFrames"] == 2
    assert panel.logic.count("open") == 3


def test_a_series_that_cannot_be_used_is_refused_in_one_sentence(panel, scene, series):
    sequenceSeries = importlib.import_module("StUNetPerfusionLib.scene.sequenceSeries")
    panel.parameters.inputNode = sequenceSeries.sequenceFromSeries(series, scene, "DSC")
    panel.logic.last("open").end(sentence="DSC: no bolus passes; choose the dynamic series")
    assert "no bolus passes" in panel.ui.understoodLabel.text
    assert not panel.ui.applyButton.enabled


def test_the_series_follows_the_slider_and_the_preview_waits_for_its_release(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 2)
    panel.views.paintSeries()
    frame, asked = panel.opened.peak, panel.logic.count("preview")
    shown = slicer.util.arrayFromVolume(panel.views.lowDose.node)
    np.testing.assert_allclose(shown[2], series.signal[frame, 2])

    slider = panel.ui.doseSlider._slider
    slider._emit("sliderPressed")
    for percent in (80, 60, 40):
        panel.dose.setDose(percent)
        panel.dose._settle.fire()
    assert panel.logic.count("preview") == asked
    before = series.signal[panel.opened.droppedFrames : panel.opened.arrival, 2].mean(axis=0)
    brain = panel.opened.brain[2]
    ratio = (
        np.log(shown[2][brain] / before[brain]).mean() / np.log(series.signal[frame, 2][brain] / before[brain]).mean()
    )
    assert ratio == pytest.approx(0.4, abs=0.1)

    slider._emit("sliderReleased")
    run = panel.logic.last("preview")
    assert run.arguments["dose"] == pytest.approx(0.4)
    assert run.arguments["method"] == "noise-matched"
    assert run.arguments["slices"] == [2]


def test_preview_parts_are_shown_and_old_ones_are_not_taken_for_new(panel, scene, series):
    previewMaps = importlib.import_module("StUNetPerfusionLib.scene.previewMaps")
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    shown = panel.views.shownMaps
    brain = panel.opened.brain
    array = slicer.util.arrayFromVolume(shown.prediction)
    np.testing.assert_array_equal(array[1], 2.0 * brain[1])
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown.difference)[1], 1.0 * brain[1])
    assert shown.prediction.GetAttribute(previewMaps.PREVIEW_ATTRIBUTE) == "prediction"
    assert not shown.prediction.GetSaveWithScene()
    late = panel.logic.last("preview")

    panel.dose.setDose(50)
    panel.dose.onReleased()
    assert not slicer.util.arrayFromVolume(shown.prediction).any()
    late.onPart(part(panel, 1, "exact", 3.0))
    assert not slicer.util.arrayFromVolume(shown.prediction).any(), "a part of the dose before is passed over"
    panel.logic.last("preview").onPart(part(panel, 1, "exact", 4.0))
    assert slicer.util.arrayFromVolume(panel.views.shownMaps.prediction).max() == 4.0
    assert "final map" in panel.ui.previewLabel.text


def test_prediction_and_reference_share_one_window(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    maps = panel.views.shownMaps
    prediction, reference = (node.GetDisplayNode() for node in (maps.prediction, maps.reference))
    prediction.SetWindowLevel(0.5, 0.25)
    assert (reference.GetWindow(), reference.GetLevel()) == (0.5, 0.25)
    assert (panel.ui.windowRangeWidget.minimumValue, panel.ui.windowRangeWidget.maximumValue) == (0, 0.5)
    panel.ui.windowRangeWidget.setValues(0.0, 1.5)
    assert (prediction.GetWindow(), prediction.GetLevel()) == (1.5, 0.75)


def test_apply_shows_progress_and_says_how_it_failed(panel, scene, series):
    choose(panel, scene, series)
    panel.ui.applyButton.click()
    run = panel.logic.last("apply")
    assert panel.ui.cancelButton.visible
    assert not panel.ui.applyButton.enabled
    run.remainingSeconds = 12.0
    run.onProgress(0.25, "Predicting slice 5 of 20")
    assert panel.ui.progressBar.value == 250
    assert panel.ui.statusLabel.text == "Predicting slice 5 of 20, 12 s left"
    panel.ui.cancelButton.click()
    assert run.cancelled
    run.end(sentence="The worker ended; nothing was added to the scene.")
    assert "The worker ended" in panel.ui.statusLabel.text
    assert "The worker ended" in panel.ui.logText.toPlainText()
    assert not panel.ui.cancelButton.visible
    assert panel.ui.applyButton.enabled


def test_apply_passes_on_what_is_chosen(panel, scene, series):
    choose(panel, scene, series)
    parameterNode = importlib.import_module("StUNetPerfusionLib.parameterNode")
    panel.dose.setDose(25)
    panel.parameters.referenceDose = parameterNode.ReferenceDose.SIMULATED
    panel.parameters.baseline = parameterNode.Baseline.FIRST_FRAME
    panel.ui.applyButton.click()
    arguments = panel.logic.last("apply").arguments
    assert arguments["dose"] == 0.25
    assert arguments["checkpoint"] is None
    assert arguments["aif"] == "auto"
    assert arguments["reference"].dose.dose == 0.25
    assert arguments["reference"].baseline == "first"


def test_a_choice_that_cannot_be_used_is_said_before_anything_runs(panel, scene, series):
    choose(panel, scene, series)
    parameterNode = importlib.import_module("StUNetPerfusionLib.parameterNode")
    panel.parameters.aifSource = parameterNode.AifSource.SEGMENT
    panel.ui.applyButton.click()
    assert panel.logic.count("apply") == 0
    assert "vessel segment" in panel.ui.statusLabel.text


def test_segments_are_recognized_by_name_and_can_be_changed(panel, scene, series):
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
    for name in ("Whole brain", "Glioblastoma", "NAWM", "MCA artery"):
        segmentation.GetSegmentation().AddEmptySegment(name, name)
    choose(panel, scene, series)
    panel.parameters.segmentation = segmentation
    parameters = panel.parameters
    found = (parameters.brainSegment, parameters.tumorSegment, parameters.whiteMatterSegment, parameters.vesselSegment)
    assert found == ("Whole brain", "Glioblastoma", "NAWM", "MCA artery")
    box = panel.ui.tumorSegmentComboBox
    assert box.texts() == ["none", "Whole brain", "Glioblastoma", "NAWM", "MCA artery"]
    box.choose(0)
    assert parameters.tumorSegment == ""


def test_checkpoint_that_ships_is_described(panel):
    assert "stU-Net" in panel.ui.checkpointComboBox.texts()[0]
    assert "MB" in panel.ui.checkpointLabel.text
    assert "MIT" in panel.ui.checkpointLabel.text
    assert (
        "Trained on simulated scans (11 heads). Works at 12-100 % dose. Not validated on patients."
        in panel.ui.checkpointLabel.text
    )
    assert panel.ui.deviceComboBox.texts() == ["Automatic: CPU (2 cores)", "CPU (2 cores)"]


def test_as_in_the_paper_is_one_choice(panel):
    """Network, simulation and baseline change together; what is changed by hand then is neither of the two."""
    box, parameters = panel.ui.presetComboBox, panel.parameters
    assert box.texts() == ["Ours (recommended)", "As in the paper"]
    assert box.currentText == "Ours (recommended)"
    box.choose(1)
    assert Path(parameters.checkpoint).stem == "paper-stunet"
    assert (parameters.method.value, parameters.baseline.value) == ("equation1", "first")
    panel.parametersChanged()
    assert box.currentText == "As in the paper"
    parameters.baseline = type(parameters.baseline)("auto")
    panel.parametersChanged()
    assert box.currentText == "Other"
    box.choose(0)
    assert (parameters.checkpoint, parameters.method.value, parameters.baseline.value) == ("", "noise-matched", "auto")


def test_a_checkpoint_that_cannot_be_read_is_refused(panel, scene, series, tmp_path):
    choose(panel, scene, series)
    pickle = tmp_path / "network.safetensors"
    pickle.write_bytes(b"PK\x03\x04" + bytes(100))
    panel.parameters.checkpoint = str(pickle)
    assert "pickle" in panel.ui.checkpointLabel.text
    assert not panel.ui.applyButton.enabled
    panel.parameters.checkpoint = ""
    assert panel.ui.applyButton.enabled


def test_a_fault_of_ours_is_said_and_logged(panel, scene, series, monkeypatch):
    choose(panel, scene, series)

    def broken(*arguments, **named):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(panel.logic, "apply", broken)
    panel.ui.applyButton.click()
    assert "division by zero" in panel.ui.statusLabel.text
    assert "Traceback" in panel.ui.logText.toPlainText()
    look_at(panel, 1)
    monkeypatch.setattr(panel.logic, "preview", lambda *a, **k: (_ for _ in ()).throw(InputError("a", "b", "c")))
    panel.dose.onReleased()
    assert "a: b; c" in panel.ui.previewLabel.text


def test_closing_the_scene_lets_go_of_everything(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    run = panel.logic.last("preview")
    run.onPart(part(panel, 1, "first", 2.0))
    panel.setParameters(None)
    assert run.cancelled
    assert panel.opened is None
    assert panel.views.shownMaps is None
    run.onPart(replace(part_of_nothing(), slice=0))


def part_of_nothing():
    computations = importlib.import_module("StUNetPerfusionLib.process.computations")
    nothing = np.zeros((2, 2), np.float32)
    return computations.PreviewPart(0, "exact", nothing, nothing, nothing, "spread")


def test_another_series_does_not_stand_beside_the_maps_of_the_first(panel, scene, series):
    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    first = panel.logic.last("preview")
    first.onPart(part(panel, 1, "first", 2.0))
    choose(panel, scene, make_series(seed=1))
    widget = slicer.app.layoutManager().sliceWidget(layout.PREDICTION_VIEW)
    assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() is None
    assert first.cancelled
    panel.parameters.thirdMap = importlib.import_module("StUNetPerfusionLib.parameterNode").ThirdMap.UNCERTAINTY
    assert panel.views.shownMaps is None


def test_a_previews_uncertainty_says_which_it_is_and_so_does_the_next_networks(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    run = panel.logic.last("preview")
    panel.parameters.thirdMap = importlib.import_module("StUNetPerfusionLib.parameterNode").ThirdMap.UNCERTAINTY
    for told in ("spread over strips", "expected error"):
        run.onPart(part(panel, 1, "first", 2.0, told))
        assert panel.ui.thirdMapComboBox.toolTip == told
    panel.parameters.thirdMap = importlib.import_module("StUNetPerfusionLib.parameterNode").ThirdMap.DIFFERENCE
    assert "error" not in panel.ui.thirdMapComboBox.toolTip


def test_a_map_that_the_user_removes_is_no_trouble(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    maps = panel.views.shownMaps
    for node in (maps.difference, maps.reference):
        scene.RemoveNode(node)
    panel.ui.windowRangeWidget.setValues(0.0, 0.7)
    assert maps.prediction.GetDisplayNode().GetWindow() == 0.7
    scene.RemoveNode(maps.prediction)
    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    composite = slicer.app.layoutManager().sliceWidget(layout.PREDICTION_VIEW).mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() is None
    assert not composite.GetLinkedControl(), "an empty view would take any volume and hand it on"
    panel.ui.windowRangeWidget.setValues(0.0, 0.9)
    panel.dose.setDose(40)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 3.0))
    assert slicer.util.arrayFromVolume(panel.views.shownMaps.prediction).max() == 3.0


def test_the_table_is_copied_as_spreadsheets_take_it(panel, scene, monkeypatch):
    statistics = importlib.import_module("StUNetPerfusionLib.scene.statistics")
    copied = []
    clipboard = SimpleNamespace(setText=copied.append)
    monkeypatch.setattr(sys.modules["qt"], "QApplication", SimpleNamespace(clipboard=lambda: clipboard), raising=False)
    lines = [statistics.RegionStatistics("Tumor, left", voxels=12, mean=0.5, sd=0.1)]
    panel.numbers.show(statistics.updateTable(scene, lines))
    panel.ui.copyButton.click()
    assert copied[0].splitlines()[1].split("\t")[:3] == ["Tumor, left", "12", "0.5"]


def test_curves_of_segments_follow_what_is_drawn(panel, scene, series):
    masks = importlib.import_module("StUNetPerfusionLib.scene.masks")
    drawn = np.zeros(series.grid.shape, bool)
    drawn[1:3, 8:12, 8:12] = True
    regions = {"tumor": (drawn, (1.0, 0.0, 0.0)), "hippocampus": (drawn, (0.0, 1.0, 0.0))}
    segmentation = masks.addSegmentation(scene, series.grid, regions, "regions")
    segmentation.GetSegmentation().AddEmptySegment("later", "nothing yet")
    panel.parameters.segmentation = segmentation
    choose(panel, scene, series)
    names = [curve.name for curve in panel.curves._regionCurves(panel.opened)]
    assert names == ["tumor", "hippocampus"]
    (curve, _) = panel.curves._regionCurves(panel.opened)
    expected = series.signal[:, drawn].mean(axis=1)
    baseline = series.signal[panel.opened.droppedFrames : panel.opened.arrival][:, drawn].mean()
    np.testing.assert_allclose(curve.values, 100 * expected / baseline, rtol=1e-4)


def test_a_result_of_the_series_before_does_not_appear_under_this_one(panel, scene, series):
    choose(panel, scene, series)
    first = panel.parameters.inputNode
    panel.ui.applyButton.click()
    run = panel.logic.last("apply")
    choose(panel, scene, make_series(seed=1))
    shown = panel.views.shownMaps
    run.end(applied(scene, first, 1.0))
    assert panel.views.shownMaps is shown
    assert panel.numbers.tableNode is None
    assert "map 0 is in the scene" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled


def test_opening_that_ends_late_does_not_take_the_place_of_a_later_choice(panel, scene, series):
    sequence_series = importlib.import_module("StUNetPerfusionLib.scene.sequenceSeries")
    panel.parameters.inputNode = sequence_series.sequenceFromSeries(series, scene, "slow")
    slow = panel.logic.last("open")
    choose(panel, scene, series)
    later = panel.opened
    assert slow.cancelled
    slow.end(opened(series))
    assert panel.opened is later


def test_scrolling_over_a_result_does_not_ask_for_a_preview(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.showResult(applied(scene, panel.parameters.inputNode, 1.0))
    asked = panel.logic.count("preview")
    look_at(panel, 2)
    panel.previewing._soon.fire()
    assert panel.logic.count("preview") == asked
