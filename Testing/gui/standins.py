"""Small stand-ins for what only the application has: enough to import the module file and to set up its panel.

They record what is done to them and do nothing. A name that is not here raises AttributeError, as it should.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

MODULE_FILE = Path(__file__).resolve().parents[2] / "StUNetPerfusion" / "StUNetPerfusion.py"


class Layout:
    """QVBoxLayout: keeps what is added."""

    def __init__(self):
        self.widgets = []

    def addWidget(self, widget):
        self.widgets.append(widget)

    def addStretch(self, stretch):
        pass


class Label:
    """QLabel."""

    def __init__(self, text=""):
        self.text = text
        self.wordWrap = False


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.parent = parent
        self.layout = Layout()

    def setup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.parent = parent


class ScriptedLoadableModuleTest:
    pass


def _module(name: str, **content) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module


def install(monkeypatch, slicer: ModuleType | None = None) -> None:
    """Put the stand-ins in place until the end of the test.

    :param slicer: the real package where slicer-core is installed; a stand-in otherwise
    """
    scripted = _module(
        "slicer.ScriptedLoadableModule",
        ScriptedLoadableModule=ScriptedLoadableModule,
        ScriptedLoadableModuleWidget=ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic=ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest=ScriptedLoadableModuleTest,
    )
    translation = _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    if slicer is None:
        slicer = _module("slicer", __path__=[], mrmlScene=None, util=SimpleNamespace())
    for name, module in {
        "slicer": slicer,
        "slicer.ScriptedLoadableModule": scripted,
        "slicer.i18n": translation,
        "qt": _module("qt", QLabel=Label),
    }.items():
        monkeypatch.setitem(sys.modules, name, module)


def load_module_file() -> ModuleType:
    """The module file, loaded from its path as Slicer does."""
    specification = importlib.util.spec_from_file_location("StUNetPerfusion", MODULE_FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
