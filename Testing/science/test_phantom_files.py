"""What the phantom reads and writes: label maps, tumor masks, the MNI head, and the command's folder of files."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from science.heads import ball, ellipsoid_head
from science.shared import shared_data
from stunet_perfusion.cli import main
from stunet_perfusion.phantom import Protocol, anatomy_from_labels, make_phantom, mni_anatomy, tumor_from_file
from stunet_perfusion.phantom.anatomy import Tissue, tissue_from_labels
from stunet_perfusion.phantom.positioning import position_head, tissue_fractions
from stunet_perfusion.support.errors import InputError


@pytest.fixture(scope="module")
def head():
    return ellipsoid_head()


def test_freesurfer_labels_become_tissues():
    labels = np.array([0, 2, 41, 3, 42, 24, 4, 43, 10, 49, 16, 8, 47, 514, 502, 515, 507, 163, 1001, 2035, 999])
    expected = "AIR WHITE_LEFT WHITE_RIGHT CORTEX CORTEX FLUID VENTRICLE VENTRICLE DEEP_GRAY DEEP_GRAY BRAIN_STEM "
    expected += "CEREBELLAR_GRAY CEREBELLAR_GRAY VEIN ARTERY BONE SCALP CHOROID_PLEXUS CORTEX CORTEX AIR"
    assert [Tissue(value).name for value in tissue_from_labels(labels)] == expected.split()


def write_labels(path, head, order="LPS"):
    """The head as a FreeSurfer label file, stored in another orientation."""
    back = {Tissue.WHITE_LEFT: 2, Tissue.WHITE_RIGHT: 41, Tissue.CORTEX: 3, Tissue.DEEP_GRAY: 10, Tissue.VENTRICLE: 4}
    back |= {Tissue.FLUID: 24, Tissue.BONE: 515, Tissue.SCALP: 507}
    labels = np.zeros(head.tissue.shape, dtype=np.int16)
    for tissue, label in back.items():
        labels[head.tissue == tissue] = label
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), head.grid.ijk_to_ras)
    wanted = nibabel.orientations.axcodes2ornt(order)
    now = nibabel.orientations.io_orientation(image.affine)
    nibabel.save(image.as_reoriented(nibabel.orientations.ornt_transform(now, wanted)), path)
    return path


@pytest.mark.parametrize("order", ["LIA", "PSR", "RAS"])
def test_a_label_map_in_any_orientation_is_the_same_head(tmp_path, head, order):
    read = anatomy_from_labels(write_labels(tmp_path / "labels.nii.gz", head, order))
    np.testing.assert_array_equal(read.tissue, head.tissue)
    np.testing.assert_allclose(read.grid.ijk_to_ras, head.grid.ijk_to_ras, atol=1e-4)


def test_label_maps_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        anatomy_from_labels(tmp_path / "nothing.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(InputError, match="cannot be read"):
        anatomy_from_labels(tmp_path / "text.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((40, 40, 40), np.int16), np.eye(4)), tmp_path / "empty.nii.gz")
    with pytest.raises(InputError, match="liters of cerebrum"):
        anatomy_from_labels(tmp_path / "empty.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.full((9, 9, 9), 5000, np.int16), np.eye(4)), tmp_path / "high.nii.gz")
    with pytest.raises(InputError, match="no labels"):
        anatomy_from_labels(tmp_path / "high.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9, 3), np.int16), np.eye(4)), tmp_path / "four.nii.gz")
    with pytest.raises(InputError, match="not a 3-D volume"):
        anatomy_from_labels(tmp_path / "four.nii.gz")


def test_tumor_of_another_head_keeps_its_size_and_is_put_into_the_brain(tmp_path, head):
    mask = np.zeros((256, 256, 24), np.uint8)  # voxel size lost: taken as 240 mm / 256 and 6 mm
    mask[150:182, 90:122, 8:13] = 1
    mask[20, 20, 2] = 1  # a stray voxel
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "tumor.nii.gz")
    placed = tumor_from_file(tmp_path / "tumor.nii.gz", head)
    assert placed.shape == head.tissue.shape
    assert placed.sum() * head.grid.spacing.prod() == pytest.approx(30 * 30 * 30, rel=0.15)
    assert np.isin(head.tissue[placed], (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT)).mean() > 0.5


def test_tumor_on_the_anatomys_grid_stays_where_it_is(tmp_path, head):
    lump = ball(head, (10, 0, 34), 16)
    image = nibabel.Nifti1Image(lump.astype(np.uint8).transpose(2, 1, 0), head.grid.ijk_to_ras)
    nibabel.save(image, tmp_path / "tumor.nii.gz")
    np.testing.assert_array_equal(tumor_from_file(tmp_path / "tumor.nii.gz", head), lump)


def test_bad_tumor_files_are_refused(tmp_path, head):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9), np.uint8), np.eye(4)), tmp_path / "empty.nii.gz")
    with pytest.raises(InputError, match="is empty"):
        tumor_from_file(tmp_path / "empty.nii.gz", head)
    with pytest.raises(InputError, match="does not exist"):
        tumor_from_file(tmp_path / "none.nii.gz", head)


def test_mni_head_has_a_brains_volumes():
    pytest.importorskip("nilearn", reason="the MNI anatomy comes with nilearn")
    head = mni_anatomy()
    liters = {tissue: (head.tissue == tissue).sum() * head.grid.spacing.prod() / 1e6 for tissue in Tissue}
    assert 0.4 < liters[Tissue.CORTEX] < 1.1
    assert 0.35 < liters[Tissue.WHITE_LEFT] + liters[Tissue.WHITE_RIGHT] < 0.8
    assert liters[Tissue.WHITE_LEFT] == pytest.approx(liters[Tissue.WHITE_RIGHT], rel=0.05)
    assert 0.008 < liters[Tissue.VENTRICLE] < 0.06
    assert 0.02 < liters[Tissue.DEEP_GRAY] < 0.09
    assert liters[Tissue.SCALP] > 0.1
    columns = np.nonzero(head.tissue == Tissue.WHITE_LEFT)[2]
    assert columns.min() > head.tissue.shape[2] / 2 - 3  # columns run from the patient's right to left
    rows = np.nonzero(head.tissue == Tissue.CEREBELLAR_GRAY)[1]
    assert rows.mean() > head.tissue.shape[1] / 2  # and rows from the face backwards


def test_a_real_head_keeps_its_volumes_and_looks_like_brain():
    head = anatomy_from_labels(shared_data("data/heads/training_seg_12.nii.gz"))
    protocol = replace(Protocol(), slices=34, slice_spacing=4.0, slice_thickness=4.0)
    position = position_head(head, protocol, np.random.default_rng(0))
    fractions = tissue_fractions(head, position, protocol, np.arange(34))
    for tissue in (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT, Tissue.CORTEX, Tissue.DEEP_GRAY, Tissue.VENTRICLE):
        volume = fractions[tissue].sum() * position.grid.spacing.prod()
        assert volume == pytest.approx((head.tissue == tissue).sum() * head.grid.spacing.prod(), rel=0.02)


def test_command_writes_everything_on_one_grid(tmp_path, head, capsys):
    labels = write_labels(tmp_path / "labels.nii.gz", head)
    assert main(["phantom", "--anatomy", str(labels), "--output", str(tmp_path / "out"), "--seed", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    names = "aif.txt dsc.json dsc.nii.gz dsc_dose-025.json dsc_dose-025.nii.gz dsc_dose-050.json dsc_dose-050.nii.gz "
    names += "mask.nii.gz nawm.nii.gz truth_cbf.nii.gz truth_cbv.nii.gz truth_mtt.nii.gz tumor.nii.gz vessels.nii.gz"
    assert report["files"] == names.split()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == names.split()
    phantom = make_phantom(head, tumor="random", seed=3)
    series = nibabel.load(tmp_path / "out" / "dsc_dose-050.nii.gz")
    assert series.shape == (128, 128, 22, 80)
    assert json.loads((tmp_path / "out" / "dsc.json").read_text()) == {"EchoTime": 0.03, "RepetitionTime": 1.5}
    np.testing.assert_allclose(series.affine, phantom.grid.ijk_to_ras, atol=1e-4)
    for name, expected in (("truth_cbv", phantom.cbv), ("tumor", phantom.tumor), ("vessels", phantom.vessels)):
        image = nibabel.load(tmp_path / "out" / f"{name}.nii.gz")
        np.testing.assert_allclose(np.asarray(image.dataobj).transpose(2, 1, 0), expected, atol=1e-6)
    aif = np.loadtxt(tmp_path / "out" / "aif.txt")
    np.testing.assert_allclose(aif, phantom.aif, rtol=1e-5)


@pytest.mark.parametrize(("option", "value"), [("--anatomy", "missing.nii.gz"), ("--tumor", "missing.nii.gz")])
def test_command_says_what_is_missing_and_writes_nothing(tmp_path, head, capsys, option, value):
    arguments = {"--anatomy": str(write_labels(tmp_path / "labels.nii.gz", head)), "--output": str(tmp_path / "out")}
    arguments[option] = str(tmp_path / value)
    assert main(["phantom", *(word for pair in arguments.items() for word in pair)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert value in message
    assert not (tmp_path / "out").exists()
