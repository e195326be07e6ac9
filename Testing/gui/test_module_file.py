"""The module file: what Slicer and the reviewers of its Extensions Index look at."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gui import standins

MODULE = "StUNetPerfusion"


#: The module file begins with the library that speaks to MRML.
NEEDS_SLICER_CORE = "needs the package slicer-core, which this computer does not have"


@pytest.fixture
def module(monkeypatch):
    slicer = pytest.importorskip("slicer", reason=NEEDS_SLICER_CORE)
    standins.install(monkeypatch, slicer)
    return standins.load_module_file()


def test_it_is_five_short_classes_and_nothing_else(module):
    """Slicer looks for all of them by name: module, panel, logic, reader for File > Add Data, self test."""
    text = standins.MODULE_FILE.read_text()
    tree = ast.parse(text)
    statements = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr))]
    endings = ["", "Widget", "Logic", "FileReader", "Test"]
    assert [node.name for node in statements] == [MODULE + ending for ending in endings]
    assert len(text.splitlines()) < 250
    from StUNetPerfusionLib.logic import PerfusionLogic
    from StUNetPerfusionLib.scene.openSeries import PerfusionFileReader

    bases = {
        "": [standins.ScriptedLoadableModule],
        "Widget": [standins.ScriptedLoadableModuleWidget],
        "Logic": [standins.ScriptedLoadableModuleLogic, PerfusionLogic],
        "FileReader": [PerfusionFileReader],
        "Test": [standins.ScriptedLoadableModuleTest],
    }
    for ending in endings:
        for base in bases[ending]:
            assert issubclass(getattr(module, MODULE + ending), base)


def test_description_says_what_it_is_for_and_what_not(module, monkeypatch):
    parent, connected = SimpleNamespace(), {}
    application = SimpleNamespace(connect=lambda signal, slot: connected.update({signal: slot}))
    monkeypatch.setattr(sys.modules["slicer"], "app", application, raising=False)
    module.StUNetPerfusion(parent)
    assert list(connected) == ["startupCompleted()"]  # which offers the sample
    assert parent.categories == ["Quantification"]
    assert parent.contributors == ["StUNetPerfusion maintainers"]
    assert "Research use only" in parent.helpText
    assert "hal-03128610" in parent.acknowledgementText


def file_scope_imports(path) -> set[str]:
    imported = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    return imported


def test_file_scope_imports_only_what_comes_with_slicer():
    bundled = set(sys.stdlib_module_names) | {"slicer", "qt", "ctk", "vtk", "numpy", "scipy", "SimpleITK"}
    ours = {"StUNetPerfusionLib", "stunet_perfusion"}
    assert file_scope_imports(standins.MODULE_FILE) <= bundled | ours
    for path in (standins.MODULE_FILE.parent / "StUNetPerfusionLib").rglob("*.py"):
        assert file_scope_imports(path) <= bundled | ours, path.name


def test_science_never_imports_slicer():
    for path in (standins.MODULE_FILE.parent / "stunet_perfusion").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"slicer", "qt", "ctk", "vtk"}, path


def test_what_slicer_imports_does_not_load_torch_or_anything_to_be_installed():
    """In a fresh interpreter: all of the library, and the science that it calls in Slicer's own process."""
    pytest.importorskip("slicer", reason=NEEDS_SLICER_CORE)
    missing = ("torch", "nibabel", "nrrd", "skimage", "typer", "rich", "safetensors")
    code = f"""
import sys
for name in {missing!r}:
    sys.modules[name] = None
import stunet_perfusion.preprocessing.preparation, stunet_perfusion.dose, stunet_perfusion.support.colormap
import stunet_perfusion.reading.nifti, stunet_perfusion.reading.nrrd
import slicer
import StUNetPerfusionLib.logic, StUNetPerfusionLib.scene.openSeries
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=standins.MODULE_FILE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
