"""What is understood of an input: sequences and multi-volumes, the line in the panel, overrides and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrml.cases import SHAPE, add_series, corners, noisy_series
from stunet_perfusion.support.errors import InputError, Setting


def add_multi_volume(scene, series, attributes: dict[str, str]):
    """A stand-in for vtkMRMLMultiVolumeNode, which slicer-core does not have: an image of one component a frame."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    from StUNetPerfusionLib.scene.nodeFrames import placeVolume

    class MultiVolumeNode(slicer.vtkMRMLVectorVolumeNode):
        def IsA(self, name):  # noqa: N802
            return name == "vtkMRMLMultiVolumeNode" or super().IsA(name)

    node = MultiVolumeNode()
    node.SetName("multi-volume")
    image = vtk.vtkImageData()
    image.SetDimensions(*series.grid.shape[::-1])
    voxels = np.moveaxis(series.signal, 0, -1).astype(np.int16)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.reshape(-1, series.frames), deep=True))
    node.SetAndObserveImageData(image)
    placeVolume(node, series.grid)
    for key, value in attributes.items():
        node.SetAttribute(key, value)
    scene.AddNode(node)
    return node


def importer_attributes(series) -> dict[str, str]:
    """As Slicer's MultiVolumeImporter sets them."""
    return {
        "MultiVolume.FrameLabels": ",".join(f"{1000 * time:g}" for time in series.times),
        "MultiVolume.FrameIdentifyingDICOMTagName": "AcquisitionTime",
        "MultiVolume.FrameIdentifyingDICOMTagUnits": "ms",
        "MultiVolume.DICOM.EchoTime": "30",
        "MultiVolume.NumberOfFrames": str(series.frames),
    }


def test_a_multi_volume_is_the_same_series(scene, perfusion):
    from StUNetPerfusionLib.scene.nodeFrames import isPerfusionInput
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    series = noisy_series()
    node = add_multi_volume(scene, series, importer_attributes(series))

    found = seriesFromSequence(node)

    assert isPerfusionInput(node)
    np.testing.assert_array_equal(found.signal, series.signal.astype(np.int16))
    np.testing.assert_allclose(found.times, series.times)
    assert found.echo_time == pytest.approx(0.03)
    np.testing.assert_allclose(corners(found.grid.ijk_to_ras, SHAPE), corners(series.grid.ijk_to_ras, SHAPE), atol=1e-4)
    opened = perfusion.openInput(node)
    np.testing.assert_array_equal(opened.series.signal, found.signal)
    assert perfusion.computeReference(node).cbv.GetName() == "multi-volume reference CBV at 100 %"


def test_a_multi_volume_without_times_asks_for_them_in_the_words_of_the_panel(scene):
    from StUNetPerfusionLib.scene.inputSeries import inputFacts
    from StUNetPerfusionLib.settingNames import inPanelWords

    node = add_multi_volume(scene, noisy_series(), {})
    with pytest.raises(InputError) as caught:
        inputFacts(node)
    assert inPanelWords(caught.value) == (
        "multi-volume: does not say how much time is between its frames; give the time between frames in seconds "
        "('Frame interval' under Input)"
    )
    assert inputFacts(node, frameInterval=1.5).frameInterval == 1.5


def test_the_line_says_what_was_understood(scene, perfusion):
    from StUNetPerfusionLib.scene.inputSeries import describeSeries, describeWarnings, inputFacts

    node = add_series(scene, noisy_series(unsteady_frames=2))
    facts = inputFacts(node)
    assert describeSeries(facts) == "40 frames, 36 x 40 x 4 voxels, every 1.5 s, TE 30 ms"
    opened = perfusion.openInput(node)
    assert describeSeries(facts, opened) == (
        "40 frames, 36 x 40 x 4 voxels, every 1.5 s, TE 30 ms, bolus at frame "
        f"{opened.arrival + 1}, peak at 15, the first 2 frames are left out"
    )
    # The bolus of the synthetic head arrives at 16 s and peaks 5 s later; frames of the input are counted from 1.
    assert opened.arrival in (10, 11)
    assert describeWarnings(facts, opened) == ()
    assert opened.prepared.series.frames == 38
    assert opened.prepared.bolus.peak == 12


def test_overrides_are_what_counts(scene, perfusion):
    from StUNetPerfusionLib.scene.inputSeries import describeSeries, describeWarnings, inputFacts

    node = add_series(scene, noisy_series(echo_time=None))
    assert "TE not known" in describeSeries(inputFacts(node))
    assert any("TE is not known" in text for text in describeWarnings(inputFacts(node)))
    facts = inputFacts(node, echoTime=0.045, frameInterval=2.0)
    assert describeSeries(facts) == "40 frames, 36 x 40 x 4 voxels, every 2 s, TE 45 ms"
    opened = perfusion.openInput(node, echoTime=0.045, frameInterval=2.0, dropFrames=3)
    assert opened.droppedFrames == 3
    assert opened.series.echo_time == 0.045
    np.testing.assert_allclose(opened.series.times, 2.0 * np.arange(40))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"echoTime": 30}, r"'Echo time \(TE\)' under Input: is 30 s"),
        ({"frameInterval": 1500}, "'Frame interval' under Input: is 1500 s"),
        ({"dropFrames": 39}, "'Skip frames' under Input: 39 of 40 frames"),
        ({"mask": np.ones((2, 2, 2), bool)}, r"brain mask: has \(2, 2, 2\) voxels"),
        ({"mask": np.zeros(SHAPE, bool)}, "brain mask: is empty"),
    ],
)
def test_nonsense_is_refused_in_the_words_of_the_panel(scene, perfusion, options, words):
    run = perfusion.openInput(add_series(scene), waitForCompletion=False, **options)
    with pytest.raises(InputError):
        run.wait()
    assert run.state == "failed"
    import re

    assert re.match(words, run.sentence), run.sentence
    assert "--" not in run.sentence


def test_what_is_no_series_is_refused(scene):
    import slicer

    from StUNetPerfusionLib.scene.inputSeries import inputFacts
    from StUNetPerfusionLib.scene.nodeFrames import isPerfusionInput

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "T1")
    assert not isPerfusionInput(volume)
    assert not isPerfusionInput(None)
    series = noisy_series()
    assert isPerfusionInput(add_series(scene, series))
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "others")
    assert not isPerfusionInput(sequence)
    for kind in ("vtkMRMLLinearTransformNode", "vtkMRMLLabelMapVolumeNode"):
        sequence.RemoveAllDataNodes()
        for frame in range(series.frames):
            node = getattr(slicer, kind)()
            if node.IsA("vtkMRMLVolumeNode"):
                slicer.util.updateVolumeFromArray(node, np.zeros((2, 3, 4), np.int16))
            sequence.SetDataNodeAtValue(node, str(frame))
        assert not isPerfusionInput(sequence), kind
    few = add_multi_volume(scene, replace(series, signal=series.signal[:3], times=series.times[:3]), {})
    assert not isPerfusionInput(few)
    with pytest.raises(InputError, match="T1: is neither a sequence nor a multi-volume"):
        inputFacts(volume)
    empty = add_multi_volume(scene, noisy_series(), {})
    empty.SetAndObserveImageData(None)
    with pytest.raises(InputError, match="holds no voxels"):
        inputFacts(empty)


TIMES = InputError("dsc", "has no times", "give the time between frames", Setting.FRAME_INTERVAL)
ARTERY = InputError("dsc", "has no artery", "mark one, or give its curve", Setting.VESSELS, Setting.AIF)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TIMES, "dsc: has no times; give the time between frames ('Frame interval' under Input)"),
        (ARTERY, "dsc: has no artery; mark one, or give its curve ('Vessel' under Input or 'AIF' under Reference)"),
        (
            InputError(Setting.DROP_FRAMES, "51 of 52", "give fewer"),
            "'Skip frames' under Input: 51 of 52; give fewer",
        ),
        (
            InputError(Setting.DEVICE, "is not there", "choose the CPU"),
            "'Device' under Model: is not there; choose the CPU",
        ),
        (InputError(Setting.STRIDE, "is 40", "give 1", Setting.WORKERS), "strip stride: is 40; give 1"),
        (RuntimeError("a --b"), "a --b"),
    ],
)
def test_settings_have_the_names_of_their_fields(error, told):
    from StUNetPerfusionLib.settingNames import inPanelWords

    assert inPanelWords(error) == told


def test_the_fields_that_sentences_name_are_in_the_panel():
    from xml.etree import ElementTree

    from gui import standins
    from StUNetPerfusionLib.settingNames import fieldNames

    panel = ElementTree.parse(standins.MODULE_FILE.parent / "Resources" / "UI" / "StUNetPerfusion.ui")
    texts = {(text.text or "").rstrip(":") for text in panel.iter("string")}
    for label, section in fieldNames().values():
        assert label in texts
        assert section in texts


def test_lights_of_quality_are_shown_and_yellow_ones_said():
    from StUNetPerfusionLib.panel.qualityLights import asLights, asLightsToolTip
    from StUNetPerfusionLib.scene.inputSeries import InputFacts, OpenedInput, describeWarnings, qualityLights

    series = noisy_series()
    facts = InputFacts("s", series.times, series.grid, 0.03, ())
    findings = [
        {"name": "motion", "title": "Motion", "light": "green", "meaning": "Still.", "advice": "", "numbers": {}},
        {
            "name": "level",
            "title": "Level",
            "light": "yellow",
            "meaning": "Drifts <12 %.",
            "advice": "Look.",
            "numbers": {},
        },
    ]
    opened = OpenedInput("h", 0, facts, series, np.ones(SHAPE, bool), 0, 10, 14, (), {"findings": findings})
    lights = qualityLights(opened)
    assert lights == (("green", "Motion", "Still."), ("yellow", "Level", "Drifts <12 %. Look."))
    assert describeWarnings(facts, opened) == ("Level: Drifts <12 %. Look.",)
    assert asLights(lights).count("&#9679;") == 2
    assert "Drifts &lt;12 %. Look." in asLightsToolTip(lights)
