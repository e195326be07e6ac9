"""4-D files as sequences: the right times, the right place, and the reader that Slicer asks."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from mrml.cases import SHAPE, corners, corners_of_volume, node_ids, noisy_series
from science.synthetic import oblique_grid
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_map, write_series

GRID = oblique_grid(SHAPE, (1.719, 1.81, 4.95))


@pytest.fixture
def opening(scene):
    from StUNetPerfusionLib.scene import openSeries

    return openSeries


def index_values(node) -> list[float]:
    return [float(node.GetNthIndexValue(frame)) for frame in range(node.GetNumberOfDataNodes())]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".seq.nrrd"])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1)])
def test_voxels_times_and_places(scene, opening, tmp_path, ending, flips):
    from StUNetPerfusionLib.scene.sequenceBrowser import browserOf
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    series = noisy_series(Grid(SHAPE, GRID.ijk_to_ras @ np.diag([*flips, 1.0])), frame_interval=1.4)
    path = tmp_path / f"patient one{ending}"
    write_series(path, series)

    node = opening.openSeries(path, scene)

    assert node.GetName() == "patient one"
    assert (node.GetIndexName(), node.GetIndexUnit()) == ("time", "s")
    np.testing.assert_allclose(index_values(node), series.times, atol=1e-6)
    found = seriesFromSequence(node)
    np.testing.assert_allclose(found.signal, series.signal, atol=1e-3)
    assert found.echo_time == pytest.approx(0.03)
    for frame in (0, 39):
        np.testing.assert_allclose(
            corners_of_volume(node.GetNthDataNode(frame)), corners(series.grid.ijk_to_ras, SHAPE), atol=1e-4
        )
    assert browserOf(node) is not None


def test_uneven_times_stay_uneven(scene, opening, tmp_path):
    series = noisy_series()
    uneven = np.cumsum(np.where(np.arange(40) < 20, 1.5, 2.25))
    series = DscSeries(series.signal, uneven, series.grid, 0.0325, "uneven")
    write_series(tmp_path / "uneven.seq.nrrd", series)
    node = opening.openSeries(tmp_path / "uneven.seq.nrrd", scene)
    np.testing.assert_allclose(index_values(node), uneven, atol=1e-6)


def test_milliseconds_and_the_sidecar(scene, opening, tmp_path):
    """A file as converters write it: time in the header in milliseconds, TE only in the JSON file."""
    series = noisy_series()
    image = nibabel.Nifti1Image(np.moveaxis(series.signal, 0, -1).transpose(2, 1, 0, 3), series.grid.ijk_to_ras)
    image.header.set_zooms((2, 2, 5, 1600))
    image.header.set_xyzt_units("mm", "msec")
    nibabel.save(image, tmp_path / "dsc.nii.gz")
    node = opening.openSeries(tmp_path / "dsc.nii.gz", scene)
    np.testing.assert_allclose(index_values(node), 1.6 * np.arange(40), atol=1e-5)
    assert node.GetAttribute("MultiVolume.DICOM.EchoTime") is None
    (tmp_path / "dsc.json").write_text(json.dumps({"EchoTime": 0.045, "RepetitionTime": 1.25}))
    node = opening.openSeries(tmp_path / "dsc.nii.gz", scene)
    np.testing.assert_allclose(index_values(node), 1.25 * np.arange(40))
    assert float(node.GetAttribute("MultiVolume.DICOM.EchoTime")) == 45


def test_a_file_without_times_opens_and_the_panel_asks(scene, opening, tmp_path):
    from StUNetPerfusionLib.scene.inputSeries import inputFacts
    from StUNetPerfusionLib.settingNames import inPanelWords

    series = noisy_series()
    image = nibabel.Nifti1Image(np.moveaxis(series.signal, 0, -1).transpose(2, 1, 0, 3), series.grid.ijk_to_ras)
    image.header.set_zooms((2, 2, 5, 1))
    image.header["xyzt_units"] = 0
    nibabel.save(image, tmp_path / "dsc.nii")
    node = opening.openSeries(tmp_path / "dsc.nii", scene)
    assert (node.GetIndexName(), node.GetIndexUnit()) == ("frame", "")
    with pytest.raises(InputError) as caught:
        inputFacts(node)
    assert "give the time between frames in seconds ('Frame interval' under Input)" in inPanelWords(caught.value)
    assert inputFacts(node, frameInterval=1.5).frameInterval == 1.5


def test_what_cannot_be_opened_is_said_and_adds_nothing(scene, opening, tmp_path):
    before = node_ids(scene)
    write_map(tmp_path / "t1.nii.gz", noisy_series().signal[0], GRID)
    (tmp_path / "letter.nii").write_text("This is no image.\n" * 40)
    (tmp_path / "notes.txt").write_text("")
    for name, sentence in (
        ("t1.nii.gz", "is a single volume, without frames"),
        ("letter.nii", "is not a NIfTI file"),
        ("notes.txt", "is of no known format"),
        ("missing.nii", "does not exist"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            opening.openSeries(tmp_path / name, scene)
    with pytest.raises(InputError):
        opening.openSeries(tmp_path, scene)
    assert node_ids(scene) == before


@pytest.mark.parametrize(
    ("name", "frames", "lowest", "highest"),
    [("a.nii.gz", 20, 0.6, 1), ("a.nrrd", 20, 0.6, 1), ("a.seq.nrrd", 20, 0.1, 0.5), ("a.nii", 3, 0.1, 0.5)],
)
def test_only_series_are_taken_from_slicers_own_readers(scene, opening, tmp_path, name, frames, lowest, highest):
    series = noisy_series(frames=40)
    series = DscSeries(series.signal[:frames], series.times[:frames], series.grid, 0.03, name)
    write_series(tmp_path / name, series)
    assert lowest <= opening.confidence(tmp_path / name) <= highest


def test_volumes_and_other_files_are_left_to_slicer(scene, opening, tmp_path):
    write_map(tmp_path / "t1.nii.gz", noisy_series().signal[0], GRID)
    (tmp_path / "broken.nii").write_text("x")
    (tmp_path / "notes.txt").write_text("")
    for name in ("t1.nii.gz", "broken.nii", "notes.txt", "missing.nii"):
        confidence = opening.confidence(tmp_path / name)
        assert confidence == 0.0
        assert isinstance(confidence, float)


class UserMessages:
    def __init__(self):
        self.texts = []

    def AddMessage(self, event, text):  # noqa: N802
        self.texts.append(text)


def test_the_reader_as_slicer_uses_it(scene, opening, tmp_path):
    messages = UserMessages()
    parent = SimpleNamespace(userMessages=lambda: messages, loadedNodes=None)
    reader = opening.PerfusionFileReader(parent)
    write_series(tmp_path / "dsc.nii.gz", noisy_series())

    assert reader.description() == "4-D perfusion series"
    assert isinstance(reader.extensions(), list)
    assert "4-D perfusion series (*.nii.gz)" in reader.extensions()
    assert reader.canLoadFileConfidence(str(tmp_path / "dsc.nii.gz")) > 0.6
    assert reader.load({"fileName": str(tmp_path / "dsc.nii.gz"), "name": "renamed"}) is True
    (node_id,) = parent.loadedNodes
    assert scene.GetNodeByID(node_id).GetName() == "renamed"
    before = node_ids(scene)
    assert reader.load({"fileName": str(tmp_path / "gone.nii.gz")}) is False
    assert "does not exist" in messages.texts[0]
    assert node_ids(scene) == before
