"""The DICOM plugin: series of every habit become sequences with their real times, before other plugins offer theirs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from science.dicom_folder import write_dicom_folder
from science.dicom_habits import HABITS, whole_numbers

SERIES = whole_numbers()
PLUGIN = Path(__file__).resolve().parents[2] / "StUNetPerfusion" / "DICOMStUNetPerfusionPlugin.py"


class Loadable:
    """DICOMLoadable of Slicer's DICOMLib."""


class Plugin:
    """DICOMPlugin of Slicer's DICOMLib: remembers what is put into the subject hierarchy."""

    def __init__(self):
        self.added = []

    def addSeriesInSubjectHierarchy(self, loadable, node):  # noqa: N802
        self.added.append((loadable.name, node))


@pytest.fixture
def plugin(scene, monkeypatch):
    import slicer

    library = ModuleType("DICOMLib")
    library.DICOMLoadable, library.DICOMPlugin = Loadable, Plugin
    translation = ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    monkeypatch.setitem(sys.modules, "DICOMLib", library)
    monkeypatch.setitem(sys.modules, "slicer.i18n", translation)
    monkeypatch.setattr(slicer, "modules", SimpleNamespace(), raising=False)
    spec = importlib.util.spec_from_file_location("DICOMStUNetPerfusionPlugin", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parent = SimpleNamespace()
    module.DICOMStUNetPerfusionPlugin(parent)
    assert parent.hidden
    return slicer.modules.dicomPlugins["DICOMStUNetPerfusionPlugin"]()


def files_of(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("habit", sorted(HABITS)[::4])
def test_series_of_every_habit_become_sequences(plugin, tmp_path, habit):
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    HABITS[habit](tmp_path, SERIES)
    (loadable,) = plugin.examineForImport([files_of(tmp_path)])
    assert loadable.confidence > 1
    assert loadable.selected
    node = plugin.load(loadable)
    found = seriesFromSequence(node)
    np.testing.assert_allclose(found.signal, SERIES.signal, atol=1e-3)
    np.testing.assert_allclose(found.times - found.times[0], SERIES.times - SERIES.times[0], atol=1e-3)
    assert found.echo_time == pytest.approx(SERIES.echo_time, abs=1e-6)
    assert plugin.added == [(loadable.name, node)]


def test_other_series_are_left_to_others(plugin, tmp_path):
    few = [path for path in files_of(write_dicom_folder(tmp_path / "a", SERIES)) if Path(path).is_file()][:7]
    assert plugin.examineForImport([few, []]) == []
    (tmp_path / "note.txt").write_text("no image")
    assert plugin.examineFiles([str(tmp_path / "note.txt")]) == []

    def short_echo(dataset, frame, z):
        dataset.EchoTime = 2.3

    (dynamic,) = plugin.examineFiles(files_of(write_dicom_folder(tmp_path / "b", SERIES, change=short_echo)))
    assert dynamic.confidence < 0.5
    assert not dynamic.selected


def test_a_folder_and_one_of_its_files_open_the_whole_series(scene, tmp_path):
    from StUNetPerfusionLib.scene.openSeries import openSeries

    folder = write_dicom_folder(tmp_path / "dicom", SERIES)
    for path in (folder, next(iter(sorted(folder.iterdir())))):
        node = openSeries(path, scene)
        assert node.GetNumberOfDataNodes() == SERIES.frames
