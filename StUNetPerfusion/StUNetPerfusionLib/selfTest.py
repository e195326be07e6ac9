"""The self test in the application: the panel from the sample to the table, and what must not go wrong beside it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import numpy as np
import slicer

from stunet_perfusion.series import DscSeries, Grid
from StUNetPerfusionLib.scene import layout
from StUNetPerfusionLib.scene.results import hierarchyOf, provenance
from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries, seriesFromSequence

#: Seconds after which something that is waited for will not come, on a busy computer either.
_LONGEST = 900

#: Tumor over white matter in the truth of the sample; the tests of the science hold it to this.
_TRUE_RATIO = 4.08


def test_halfDoseHalvesTheBolus() -> None:
    """A small head through the logic, without the worker."""
    times = 1.5 * np.arange(40)
    passage = np.clip((times - 15) / 5, 0, None)
    relaxation = 20 * (passage * np.exp(1 - passage)) ** 3
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in (3, 32, 32)), indexing="ij")
    head = 600.0 * (i**2 + j**2 + (k / 2) ** 2 < 0.7)
    frames = (head * np.exp(-0.03 * relaxation)[:, None, None, None]).astype(np.float32)
    grid = Grid(head.shape, np.diag([2.0, 2.0, 5.0, 1.0]))
    full = sequenceFromSeries(DscSeries(frames, times, grid, 0.03), slicer.mrmlScene, "full dose")

    half = seriesFromSequence(_panel().logic.simulateDose(full, 0.5, "noise-matched"))

    measured = -np.log(half.signal[:, 1, 16, 16] / 600) / half.echo_time
    np.testing.assert_allclose(measured, relaxation / 2, atol=1e-3)


def test_panelFromSampleToTable() -> None:
    """Sample, dose, preview, prediction, reference, layout, numbers."""
    panel = _panelWithSample()
    opened, ui = panel.opened, panel.ui
    assert opened.facts.frames == 60
    assert abs(opened.facts.frameInterval - 1.5) < 1e-6
    assert "60" in ui.understoodLabel.text
    assert slicer.app.layoutManager().layout == layout.LAYOUT_ID

    panel.dose.setDose(25)
    panel.dose.onReleased()
    _waitUntil(lambda: panel.previewing.secondsToExact is not None, _LONGEST, "the exact preview")
    (shown,) = panel.views.shownSlices()
    preview = slicer.util.arrayFromVolume(panel.views.shownMaps.prediction)
    brain = opened.brain
    assert np.count_nonzero(preview[shown][brain[shown]]) == brain[shown].sum()
    assert not preview[np.arange(len(preview)) != shown].any(), "only the shown slice is previewed"

    before = _nodesOfInterest()
    panel.applying.begin()
    _waitUntil(lambda: not panel.run.running, _LONGEST, "Apply")
    maps, table = panel.views.shownMaps, panel.numbers.tableNode
    assert table is not None, panel.ui.statusLabel.text
    cbv, reference, difference = (
        slicer.util.arrayFromVolume(node) for node in (maps.prediction, maps.reference, maps.difference)
    )
    assert cbv.shape == brain.shape
    assert not cbv[~brain].any()
    np.testing.assert_allclose(difference[brain], (cbv - reference)[brain], atol=1e-6)
    assert np.corrcoef(cbv[brain], reference[brain])[0, 1] > 0.7
    np.testing.assert_allclose(
        slicer.util.arrayFromVTKMatrix(_ijkToRas(maps.prediction)), opened.series.grid.ijk_to_ras, atol=1e-4
    )

    facts = provenance(maps.prediction)
    assert facts["Dose"] == "0.25"
    assert facts["Method"] == "noise-matched"
    assert len(facts["CheckpointSha256"]) == 64
    hierarchy = hierarchyOf(slicer.mrmlScene)
    parents = {
        hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))
        for node in (maps.prediction, maps.reference, maps.difference, maps.uncertainty, table)
    }
    assert len(parents) == 1, "all results lie in one folder"

    _assertLooks(maps)
    ratio = _ratio(table)
    assert abs(ratio["prediction"] / _TRUE_RATIO - 1) < 0.5, ratio
    assert abs(ratio["reference"] / _TRUE_RATIO - 1) < 0.3, ratio

    assert len(_nodesOfInterest()) > len(before)


def test_otherModulesKeepTheirLayout() -> None:
    """Our layout stays when the user leaves, and the one before comes back when it is switched off."""
    layoutManager = slicer.app.layoutManager()
    panel = _panelWithSample()
    panel.ui.layoutButton.checked = False
    layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    panel.ui.layoutButton.checked = True
    assert layoutManager.layout == layout.LAYOUT_ID
    slicer.util.selectModule("Data")
    assert layoutManager.layout == layout.LAYOUT_ID
    slicer.util.selectModule("StUNetPerfusion")
    panel.ui.layoutButton.checked = False
    assert layoutManager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_killedWorkerCostsOneSentence() -> None:
    """The worker dies in the middle of Apply: no node, one sentence, and the next Apply works.

    It is the same computation as before, so that the next Apply renews what is there and adds nothing.
    """
    panel = _panelWithSample()
    before = _nodesOfInterest()
    panel.applying.begin()
    _waitUntil(lambda: panel.ui.progressBar.value > 200, _LONGEST, "a part of the prediction")
    os.kill(panel.logic.workerPid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    _waitUntil(lambda: not panel.run.running, 10, "the end of the run")
    assert _nodesOfInterest() == before
    assert "worker" in panel.ui.statusLabel.text, panel.ui.statusLabel.text
    panel.applying.begin()
    _waitUntil(lambda: not panel.run.running, _LONGEST, "the next Apply")
    assert "Done" in panel.ui.statusLabel.text, panel.ui.statusLabel.text
    assert _nodesOfInterest() == before, "the same computation takes the place of the one before"


def test_closedSceneEndsARunQuietly() -> None:
    """The user closes the scene in the middle of Apply."""
    panel = _panelWithSample()
    panel.applying.begin()
    _waitUntil(lambda: panel.ui.progressBar.value > 100, _LONGEST, "a part of the prediction")
    slicer.mrmlScene.Clear()
    _waitUntil(lambda: not panel.run.running, _LONGEST, "the end of the run")
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")


def _panel():
    slicer.util.selectModule("StUNetPerfusion")
    return slicer.modules.StUNetPerfusionWidget.panel


def _panelWithSample():
    """The panel with the sample; where the test before has left it, that one."""
    panel = _panel()
    _waitUntil(lambda: panel.model.ready, _LONGEST, "the environment (PyTorch and the packages must be installed)")
    if panel.opened is None:
        panel.input.onSample()
    _waitUntil(lambda: panel.opened is not None, 90, "the sample")
    return panel


def _waitUntil(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Let the application work until something is so.

    :raises TimeoutError: it does not become so in time
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            panel = slicer.modules.StUNetPerfusionWidget.panel
            said = (panel.ui.understoodLabel.text, panel.ui.statusLabel.text, panel.ui.previewLabel.text)
            raise TimeoutError(f"Waited {seconds:g} s for {what}. The panel says: {said}")
        slicer.app.processEvents()
        time.sleep(0.005)


def _nodesOfInterest() -> set[str]:
    """What a user would see in the Data module, besides previews."""
    kinds = ("vtkMRMLScalarVolumeNode", "vtkMRMLTableNode", "vtkMRMLSequenceNode", "vtkMRMLSegmentationNode")
    nodes = (node for kind in kinds for node in slicer.util.getNodesByClass(kind))
    return {node.GetID() for node in nodes if not node.GetHideFromEditors()}


def _ijkToRas(volumeNode):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix


def _assertLooks(maps) -> None:
    """One window for what is compared, from zero, and zero is black."""
    displays = [node.GetDisplayNode() for node in (maps.prediction, maps.reference)]
    assert displays[0].GetWindow() == displays[1].GetWindow()
    assert displays[0].GetLevel() == displays[1].GetLevel()
    assert abs(displays[0].GetLevel() - displays[0].GetWindow() / 2) < 1e-9
    for display in displays:
        color = [0.0] * 4
        display.GetColorNode().GetColor(0, color)
        assert color[:3] == [0, 0, 0]


def _ratio(table) -> dict[str, float]:
    """Tumor over white matter, from the last line of the table."""
    values = table.GetTable()
    columns = {values.GetColumnName(n): n for n in range(values.GetNumberOfColumns())}
    row = values.GetNumberOfRows() - 1
    names = list(columns)
    return {
        "prediction": float(values.GetValue(row, columns[names[2]]).ToString()),
        "reference": float(values.GetValue(row, columns[names[4]]).ToString()),
    }


#: In this order: the sample is made once, and the last test closes the scene.
TESTS = (
    test_halfDoseHalvesTheBolus,
    test_panelFromSampleToTable,
    test_otherModulesKeepTheirLayout,
    test_killedWorkerCostsOneSentence,
    test_closedSceneEndsARunQuietly,
)
