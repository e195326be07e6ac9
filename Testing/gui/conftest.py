"""The panel on a real MRML scene, with stand-ins for widgets and application."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

from gui import application, standins, widgets
from gui.panel_case import READY, Logic
from science.synthetic import make_series

NEEDS_SLICER_CORE = "needs the package slicer-core, which this computer does not have"


@pytest.fixture
def scene(monkeypatch):
    """The scene of the application, with what the panel needs from it."""
    slicer = pytest.importorskip("slicer", reason=NEEDS_SLICER_CORE)
    scene = slicer.vtkMRMLScene()
    sequences = slicer.vtkSlicerSequencesLogic()
    sequences.SetMRMLScene(scene)
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    segmentations.SetMRMLScene(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for kind in ("vtkMRMLCrosshairNode", "vtkMRMLLayoutNode"):
        scene.AddNewNodeByClass(kind)
    for name in list(sys.modules):
        if name.split(".")[0] in ("StUNetPerfusionLib", "StUNetPerfusion"):
            monkeypatch.delitem(sys.modules, name)
    standins.install(monkeypatch, slicer)
    qt = ModuleType("qt")
    qt.QTimer = application.QTimer
    qt.QHeaderView = SimpleNamespace(Stretch=1, ResizeToContents=3)
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "slicer.parameterNodeWrapper", application.parameter_node_wrapper())
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    layoutModule = importlib.import_module("StUNetPerfusionLib.scene.layout")
    layoutManager = application.LayoutManager(
        scene, scene.GetFirstNodeByClass("vtkMRMLLayoutNode"), layoutModule.SLICE_VIEWS
    )
    settings = application.Settings()
    app = SimpleNamespace(layoutManager=lambda: layoutManager, userSettings=lambda: settings)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    monkeypatch.setattr(slicer.util, "findChildren", lambda widget, className: [widget._slider])
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    yield scene
    sequences.SetMRMLScene(None)
    segmentations.SetMRMLScene(None)
    scene.Clear(1)
    for name in list(sys.modules):
        if name.split(".")[0] in ("StUNetPerfusionLib", "StUNetPerfusion"):
            del sys.modules[name]


@pytest.fixture
def panel(scene):
    """The panel, before any series was chosen, in an environment where networks run."""
    ui = widgets.from_ui_file(standins.MODULE_FILE.parent / "Resources" / "UI" / "StUNetPerfusion.ui")
    panel = importlib.import_module("StUNetPerfusionLib.panel.panel").Panel(ui, Logic(), application.Observer())
    parameters = importlib.import_module("StUNetPerfusionLib.parameterNode").PerfusionParameters(None)
    parameters.onModified = panel.parametersChanged
    panel.setParameters(parameters)
    panel.model.lookAtEnvironment()
    panel.logic.last("environment").end(READY)
    return panel


@pytest.fixture
def series():
    return make_series()
