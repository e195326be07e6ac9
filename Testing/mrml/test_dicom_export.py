"""A result leaves the scene as DICOM."""

from __future__ import annotations

import numpy as np
import pytest

from mrml.cases import FAST, add_series, corners, corners_of_volume, node_ids
from stunet_perfusion.support.errors import InputError

pytest.importorskip("highdicom", reason="needs the package highdicom")


def array(volume) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(volume)


def test_maps_come_back_from_their_mr_series(scene, perfusion, tmp_path):
    import SimpleITK as sitk

    from stunet_perfusion.series import Grid

    found = perfusion.apply(add_series(scene), 0.5, "noise-matched", **FAST)
    before = node_ids(scene)

    perfusion.exportDicom({"prediction": found.cbv, "reference": found.reference}, tmp_path / "dicom")

    assert node_ids(scene) == before
    for name, volume in (("prediction", found.cbv), ("reference", found.reference)):
        folder = tmp_path / "dicom" / name
        assert (folder / "parametric-map" / "cbv.dcm").is_file()
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "mr" / "cbv"))
        image = sitk.ReadImage(names)
        # ml of blood in 100 ml; the fraction is a hundredth of it
        read = sitk.GetArrayFromImage(image) / 100
        grid = Grid.from_lps(read.shape, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
        there, here = corners(grid.ijk_to_ras, read.shape), corners_of_volume(volume)
        order = [int(np.linalg.norm(there - corner, axis=1).argmin()) for corner in here]
        np.testing.assert_allclose(there[order], here, atol=1e-4)
        assert sorted(order) == list(range(8))
        assert read.max() == pytest.approx(array(volume).max(), rel=1e-3)


def test_a_prediction_says_what_it_was_made_by(scene, perfusion, tmp_path):
    import pydicom

    found = perfusion.apply(add_series(scene), 0.5, "noise-matched", **FAST)
    perfusion.exportDicom({"prediction": found.cbv}, tmp_path / "dicom")
    written = pydicom.dcmread(tmp_path / "dicom" / "prediction" / "parametric-map" / "cbv.dcm")
    assert "stU-Net" in written.ContentDescription
    assert "50 % of the dose" in written.ContentDescription
    assert found.cbv.GetAttribute("StUNetPerfusion.CheckpointSha256")[:16] in str(written)
    assert {path.name for path in (tmp_path / "dicom" / "prediction" / "mr").iterdir() if path.is_dir()} == {
        "cbv",
        "cbv_uncertainty",
        "cbv_standardized",
    }


def test_a_folder_with_files_and_a_foreign_volume_are_refused(scene, perfusion, tmp_path):
    import slicer

    found = perfusion.apply(add_series(scene), 0.5, **FAST)
    folder = tmp_path / "used" / "prediction"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files"):
        perfusion.exportDicom({"prediction": found.cbv}, tmp_path / "used")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    foreign = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "T1")
    slicer.util.updateVolumeFromArray(foreign, np.zeros((2, 3, 4), np.float32))
    with pytest.raises(InputError, match="not computed by this module"):
        perfusion.exportDicom({"prediction": foreign}, tmp_path / "new")
