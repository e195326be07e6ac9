"""The module's logic on a real scene; only the application's base classes are stand-ins."""

from __future__ import annotations

import numpy as np
import pytest

from gui import standins
from science.synthetic import gamma_variate, make_series
from stunet_perfusion.support.errors import InputError


@pytest.fixture
def module(scene, monkeypatch):
    import slicer

    standins.install(monkeypatch, slicer)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    return standins.load_module_file()


def test_half_dose_halves_the_relaxation_rate(module, scene):
    from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries, seriesFromSequence

    series = make_series(peak=30, unsteady_frames=2)
    full = sequenceFromSeries(series, scene, "patient")

    half = module.StUNetPerfusionLogic().simulateDose(full, 0.5, "noise-matched")

    assert half.GetName() == "patient at 50 % dose"
    assert half.GetScene() is scene
    result = seriesFromSequence(half)
    np.testing.assert_allclose(result.times, series.times)
    # The first two frames are not steady and pass unchanged; the input is not changed at all.
    np.testing.assert_array_equal(result.signal[:2], series.signal[:2])
    np.testing.assert_array_equal(seriesFromSequence(full).signal, series.signal)
    voxel = (2, 12, 10)
    baseline = series.signal[(5, *voxel)]
    measured = -np.log(result.signal[(slice(2, None), *voxel)] / baseline) / 0.03
    full_rate = -np.log(series.signal[(slice(2, None), *voxel)] / baseline) / 0.03
    np.testing.assert_allclose(measured, full_rate / 2, atol=2e-3)
    # The phantom's bolus falls from 30 1/s at the first of 20 columns to half of it at the last.
    assert full_rate.max() == pytest.approx(30 * (1 - 0.5 * 10 / 19), rel=1e-3)
    assert np.argmax(full_rate) == np.argmax(gamma_variate(series.times, 16.0, 5.0)[2:])


def test_an_impossible_dose_is_refused_before_anything_is_added(module, scene):
    from StUNetPerfusionLib.scene.sequenceSeries import sequenceFromSeries

    full = sequenceFromSeries(make_series(), scene, "patient")
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="dose"):
        module.StUNetPerfusionLogic().simulateDose(full, 1.5)
    assert scene.GetNumberOfNodes() == before


def test_the_example_of_the_documentation(module, scene, small_checkpoint):
    """The class that scripts use, unmodified, from a series to the table."""
    from mrml.cases import FAST, add_regions, add_series
    from StUNetPerfusionLib.scene.statistics import asCsv

    sequence, segmentation = add_series(scene), add_regions(scene)
    logic = module.StUNetPerfusionLogic()
    try:
        low = logic.simulateDose(sequence, 0.5, "noise-matched")
        reference = logic.computeReference(sequence)
        result = logic.predict(sequence, dose=0.25, method="noise-matched", checkpoint=small_checkpoint, **FAST)
        table = logic.compare(
            result.cbv,
            reference.cbv,
            mask=(segmentation, "brain"),
            tumor=(segmentation, "tumor"),
            nawm=(segmentation, "white matter"),
        )
    finally:
        logic.stop()
    assert low.GetNumberOfDataNodes() == 40
    assert reference.cbf is not None
    assert result.uncertainty.GetName() == "patient CBV uncertainty at 25 % (small)"
    assert asCsv(table).splitlines()[-1].startswith("Tumor / white matter,,")


def test_slicer_reads_our_color_table(scene):
    from stunet_perfusion.support.colormap import COLOR_TABLE, perfusion_colors

    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode")
    storage = scene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetFileName(str(COLOR_TABLE))
    assert storage.ReadData(node)
    assert node.GetNumberOfColors() == 256
    color = [0.0] * 4
    shown = []
    for index in range(256):
        node.GetColor(index, color)
        shown.append(tuple(color))
    np.testing.assert_allclose(np.array(shown)[:, :3], perfusion_colors(), atol=1e-6)
    assert (np.array(shown)[:, 3] == 1).all()
