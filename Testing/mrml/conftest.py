"""Real MRML scenes without the application, from the wheel `slicer-core`, and the real worker."""

from __future__ import annotations

import pytest

NEEDS_SLICER_CORE = "needs the package slicer-core, which this computer does not have"


@pytest.fixture
def scene(monkeypatch):
    """An empty MRML scene that knows the nodes of the modules that we use; it is the application's scene, too."""
    slicer = pytest.importorskip("slicer", reason=NEEDS_SLICER_CORE)
    scene = slicer.vtkMRMLScene()
    logics = (slicer.vtkSlicerSequencesLogic(), slicer.vtkSlicerSegmentationsModuleLogic())
    for logic in logics:
        logic.SetMRMLScene(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    yield scene
    for logic in logics:
        logic.SetMRMLScene(None)
    scene.Clear(1)


@pytest.fixture(scope="session")
def perfusion():
    """The logic with the real worker, which all tests share: starting one takes seconds."""
    pytest.importorskip("slicer", reason=NEEDS_SLICER_CORE)
    from StUNetPerfusionLib.logic import PerfusionLogic

    logic = PerfusionLogic()
    yield logic
    logic.stop()


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory):
    """A network of few weights, which predicts a small head in a moment."""
    from science import small_cases

    return small_cases.small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small.safetensors")
