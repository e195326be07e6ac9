"""Real MRML scenes without the application, from the wheel `slicer-core`."""

from __future__ import annotations

import pytest


@pytest.fixture
def scene():
    """An empty MRML scene that knows the nodes of the Sequences module."""
    slicer = pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    yield scene
    logic.SetMRMLScene(None)
    scene.Clear(1)
