"""What the panel shows in its views, of which result, and what it says while something waits or is missing."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from gui.panel_case import applied, choose, look_at, opened, part
from science.synthetic import make_series

slicer = pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")


def test_flipping_shows_the_numbers_that_belong_to_the_maps(panel, scene, series):
    choose(panel, scene, series)
    node = panel.parameters.inputNode
    half = applied(scene, node, 0.5, Method="noise-matched", Checkpoint="mine.safetensors")
    quarter = applied(scene, node, 0.25, Method="equation1", Checkpoint="mine.safetensors")
    full = applied(scene, node, 1.0)
    panel.showResult(full)
    box, button = panel.ui.flipComboBox, panel.ui.flipButton
    assert box.texts() == ["50 %, noise-matched, mine", "25 %, equation1, mine"]
    shown = []
    for act in (button.click, lambda: box.choose(1), lambda: box.choose(0), button.click, lambda: box.choose(1)):
        act()
        shown.append((panel.views.shownMaps.prediction, panel.numbers.tableNode))
    expected = [half, quarter, half, full, full]
    assert shown == [(result.cbv, result.table) for result in expected]


def test_a_view_names_the_volume_that_another_module_puts_there(panel, scene, series):
    """As the Segment Editor does: under "CBV 100 %" and a legend of CBV it would be taken for a map."""
    choose(panel, scene, series)
    panel.showResult(applied(scene, panel.parameters.inputNode, 1.0))
    widget = slicer.app.layoutManager().sliceWidget("PerfusionPrediction")
    sliceNode, composite = widget.mrmlSliceNode(), widget.mrmlSliceCompositeNode()
    assert sliceNode.GetLayoutLabel() == "CBV 100 %"
    told = []
    legends = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode", scene)
    for legend in legends:
        legend.AddObserver("ModifiedEvent", lambda caller, event: told.append(caller))
    for name, label in (("T1", "T1"), ("T1 after contrast agent", "T1 after cont…")):
        stranger = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        composite.SetBackgroundVolumeID(stranger.GetID())
        assert sliceNode.GetLayoutLabel() == label
    assert len(legends) == 2
    assert set(told) == set(legends), "Slicer looks anew at where they belong"
    panel.leave()
    panel.enter()
    assert sliceNode.GetLayoutLabel() == "CBV 100 %"
    assert composite.GetBackgroundVolumeID() == panel.views.shownMaps.prediction.GetID()


def test_a_scene_keeps_its_frame_and_another_series_begins_at_its_bolus(panel, scene, series):
    choose(panel, scene, series)
    panel.ui.frameSlider.value = 4  # from 1
    saved = panel.parameters
    panel.setParameters(None)
    panel.setParameters(saved)
    panel.logic.last("open").end(opened(series))
    assert (panel.parameters.frame, panel.ui.frameSlider.value) == (3, 4)
    choose(panel, scene, make_series(seed=1))
    assert panel.parameters.frame == panel.opened.peak != 3


def test_a_device_of_another_computer_is_named_and_not_used(panel, scene, series):
    choose(panel, scene, series)
    panel.parameters.deviceLabel = "NVIDIA H200 (139 GB)"
    panel.parameters.device = "cuda:0"
    assert panel.ui.deviceComboBox.currentText == "NVIDIA H200 (139 GB): not on this computer"
    assert not panel.ui.applyButton.enabled
    assert "Model" in panel.ui.applyButton.toolTip
    panel.ui.deviceComboBox.choose(1)
    assert (panel.parameters.device, panel.parameters.deviceLabel) == ("cpu", "CPU (2 cores)")
    assert panel.ui.applyButton.enabled
    assert panel.ui.deviceComboBox.texts() == ["Automatic: CPU (2 cores)", "CPU (2 cores)"]


def test_while_apply_runs_what_waits_says_so(panel, scene, series):
    choose(panel, scene, series)
    panel.showResult(applied(scene, panel.parameters.inputNode, 1.0))
    assert panel.ui.dicomButton.enabled
    panel.ui.applyButton.click()
    run = panel.logic.last("apply")
    assert not panel.ui.dicomButton.enabled
    panel.exporting.exportDicom(None, None)
    assert "DICOM export: cannot begin" in panel.ui.statusLabel.text
    asked = panel.logic.count("preview")
    panel.dose.setDose(50)
    panel.dose.onReleased()
    assert panel.logic.count("preview") == asked
    assert "waits" in panel.ui.previewLabel.text
    sequence_series = importlib.import_module("StUNetPerfusionLib.scene.sequenceSeries")
    panel.parameters.inputNode = sequence_series.sequenceFromSeries(make_series(seed=1), scene, "next")
    assert "once the run below has ended" in panel.ui.understoodLabel.text
    run.end(sentence="It failed.")
    assert panel.ui.statusLabel.text.endswith("It failed.</span>")


def test_the_layout_is_not_forced_on_anybody(panel, scene, series):
    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    manager, button = slicer.app.layoutManager(), panel.ui.layoutButton
    choose(panel, scene, series)
    assert manager.layout == layout.LAYOUT_ID
    assert button.checked
    button.click()
    assert manager.layout != layout.LAYOUT_ID
    choose(panel, scene, make_series(seed=1))
    assert manager.layout != layout.LAYOUT_ID, "who has switched it off does not get it with the next series"
    manager.setLayout(layout.LAYOUT_ID)
    assert button.checked, "the toolbar's menu is as good as the button"
    manager.setLayout(6)
    assert not button.checked
    choose(panel, scene, series)
    assert manager.layout == 6

    button.click()
    panel.leave()
    manager.setLayout(6)
    choose(panel, scene, make_series(seed=2))
    assert manager.layout == 6, "another module has the screen"
    panel.enter()
    assert manager.layout == layout.LAYOUT_ID


def test_views_across_the_slices_are_painted_whole_and_can_be_turned_back(panel, scene, series):
    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    choose(panel, scene, series)
    look_at(panel, 1)
    sliceNode = slicer.app.layoutManager().sliceWidget(layout.SERIES_VIEW).mrmlSliceNode()
    sliceNode.SetOrientation("Coronal")
    panel.dose.setDose(30)
    assert panel.views.shownSlices() == list(range(series.grid.shape[0]))
    frame = panel.opened.peak - panel.opened.droppedFrames
    expected = [panel.views.lowDose._preview.frame(z, frame, 0.3, "noise-matched") for z in panel.views.shownSlices()]
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(panel.views.lowDose.node), expected)
    panel.ui.alignButton.click()
    assert len(panel.views.shownSlices()) == 1


def test_views_that_are_emptied_say_what_they_are_for(panel, scene, series):
    layout = importlib.import_module("StUNetPerfusionLib.scene.layout")
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    nodes = {name: slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode() for name in layout.SLICE_VIEWS}
    assert nodes[layout.PREDICTION_VIEW].GetLayoutLabel() == "CBV 100 %"
    panel.parameters.inputNode = None
    assert {name: node.GetLayoutLabel() for name, node in nodes.items()} == layout.viewLabels()


def test_a_window_that_was_rounded_in_a_file_begins_at_zero(panel, scene, series):
    choose(panel, scene, series)
    look_at(panel, 1)
    panel.dose.onReleased()
    panel.logic.last("preview").onPart(part(panel, 1, "first", 2.0))
    display = panel.views.shownMaps.prediction.GetDisplayNode()
    display.SetWindowLevel(0.709, 0.354502)
    assert display.GetWindowLevelMin() == 0
    display.SetWindowLevel(0.7, 0.4)
    assert display.GetWindowLevelMin() == pytest.approx(0.05)


def test_the_report_says_in_words_how_a_result_was_made(scene):
    facts = importlib.import_module("StUNetPerfusionLib.scene.reportFacts")
    nodes = [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("CBV", "reference", "of the user")]
    made = {"Dose": "0.25", "Method": "noise-matched", "EchoTime": "0.03", "FrameInterval": "1.5", "BrainMask": "given"}
    reference = {"Computation": "reference", "Dose": "1", "Baseline": "first", "LeakageCorrection": "False"}
    for node, told in zip(nodes, (made, reference), strict=False):
        for name, value in told.items():
            node.SetAttribute(f"StUNetPerfusion.{name}", value)
    said = dict(facts.factsInWords(nodes[0], nodes[1]))
    assert said["Dose"] == "25 % of the injected dose"
    assert said["Echo time (TE)"] == "30 ms"
    assert said["Frame interval"] == "1.5 s"
    assert said["Brain"] == "given as a segment"
    assert said["Reference baseline"] == "first frame (exactly Verbena)"
    assert said["Reference dose"] == "100 % of the injected dose"
    assert dict(facts.factsInWords(nodes[0], nodes[2]))["Reference"] == "the volume of the user"


def test_a_label_shows_what_a_sentence_says(panel):
    """HTML only where there is some: a label shows escaped quotes as they are unless it finds a tag."""
    labels = importlib.import_module("StUNetPerfusionLib.panel.labelText")
    assert labels.asLabel("FSL's verbena computes") == "FSL's verbena computes"
    assert labels.asLabel("T < 3 & more") == "<span>T &lt; 3 &amp; more</span>"
    assert labels.asLabel("a 'b'", "#C00") == '<span style="color:#C00">a &#x27;b&#x27;</span>'
