"""The phantom as a whole: truth that the signal really holds, geometry, doses, seeds, masks, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from science.heads import ball, ellipsoid_head
from science.shared import shared_data
from stunet_perfusion.cli import main
from stunet_perfusion.concentration import concentration
from stunet_perfusion.errors import InputError
from stunet_perfusion.phantom import (
    Physiology,
    Protocol,
    anatomy_from_labels,
    make_phantom,
    mni_anatomy,
    random_physiology,
    random_protocol,
    tumor_from_file,
)
from stunet_perfusion.phantom.anatomy import Tissue, tissue_from_labels
from stunet_perfusion.phantom.positioning import position_head, tissue_fractions
from stunet_perfusion.series import Grid

SMALL = Protocol(matrix=64, slices=14, slice_spacing=8.0, slice_thickness=8.0, drift=0.0, frames=70)
WITHOUT_LEAKAGE = replace(Physiology(), k_trans=0.0)
BASELINE = slice(6, 11)  # steady, and before the bolus


@pytest.fixture(scope="module")
def head():
    return ellipsoid_head()


@pytest.fixture(scope="module")
def phantom(head):
    return make_phantom(head, tumor=ball(head, (10, 0, 34), 16), physiology=WITHOUT_LEAKAGE, protocol=SMALL, seed=4)


def test_the_signal_holds_the_true_blood_volume(phantom):
    series = phantom.series(noise=False)
    steady = series.signal[6:]
    curves = concentration(steady, steady[:5].mean(axis=0), series.echo_time)
    measured = curves.sum(axis=0) / phantom.aif[6:].sum()
    brain = phantom.mask & (phantom.cbv > 0.01)
    ratio = measured[brain] / phantom.cbv[brain]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)  # what the tail has not yet brought
    assert np.percentile(np.abs(ratio - 1), 99) < 0.04


def test_truth_obeys_the_central_volume_principle(phantom):
    flowing = phantom.cbf > 0
    np.testing.assert_allclose(phantom.cbf[flowing] * phantom.mtt[flowing], phantom.cbv[flowing], rtol=1e-5)
    assert phantom.cbv.dtype == phantom.cbf.dtype == phantom.mtt.dtype == np.float32
    assert not phantom.mtt[~flowing].any()


def test_blood_volume_and_flow_are_those_of_brain(phantom):
    grey, white = phantom.fractions[Tissue.CORTEX] > 0.95, phantom.nawm
    per_100_g = 100 * 0.733 / 1.04
    assert 3.3 <= phantom.cbv[grey].mean() * per_100_g <= 5.0
    assert 1.1 <= phantom.cbv[white].mean() * per_100_g <= 2.5
    assert 2.0 <= phantom.cbv[grey].mean() / phantom.cbv[white].mean() <= 2.8
    assert 40 <= phantom.cbf[grey].mean() * 60 * per_100_g <= 75
    assert 15 <= phantom.cbf[white].mean() * 60 * per_100_g <= 40
    assert 3.0 <= phantom.mtt[grey].mean() <= 6.0
    assert phantom.cbv[phantom.fractions[Tissue.VENTRICLE] > 0.99].max() < 0.01
    assert 0.03 < phantom.cbv[white].std() / phantom.cbv[white].mean() < 0.2


def test_signal_drops_as_deep_as_in_patients(phantom):
    signal = phantom.series(noise=False).signal
    drop = 1 - signal[6:].min(axis=0) / signal[BASELINE].mean(axis=0)
    assert 0.30 <= np.median(drop[phantom.fractions[Tissue.CORTEX] > 0.95]) <= 0.50
    assert 0.15 <= np.median(drop[phantom.nawm]) <= 0.25


@pytest.mark.parametrize("dose", [0.5, 0.25])
def test_dose_scales_the_logarithm_of_the_signal(phantom, dose):
    full, low = (phantom.series(d, noise=False).signal[6:].astype(np.float64) for d in (1.0, dose))
    brain = phantom.mask
    expected = dose * np.log(full[:, brain] / full[0, brain])
    np.testing.assert_allclose(np.log(low[:, brain] / low[0, brain]), expected, atol=2e-6)


def test_noise_is_as_strong_as_asked_at_every_dose(phantom):
    base = phantom.baseline.signal
    brain = phantom.mask & (base > 300)
    for dose in (1.0, 0.25):
        noise = phantom.series(dose).signal[6:11] - phantom.series(dose, noise=False).signal[6:11]
        assert noise[:, brain].std() == pytest.approx(base[brain].mean() / SMALL.temporal_snr, rel=0.08)


def test_noise_differs_between_doses_and_between_slices(phantom):
    noises = [phantom.series(d).signal[6:11] - phantom.series(d, noise=False).signal[6:11] for d in (1.0, 0.5)]
    inside = phantom.mask[3] & phantom.mask[4]
    one, other = (noise[:, 3][:, inside].ravel() for noise in noises)
    neighbour = noises[0][:, 4][:, inside].ravel()
    limit = 5 / np.sqrt(one.size)
    assert abs(np.corrcoef(one, other)[0, 1]) < limit
    assert abs(np.corrcoef(one, neighbour)[0, 1]) < limit


def test_the_same_seed_gives_the_same_phantom_and_another_seed_another(head):
    first, again, other = (
        make_phantom(head, tumor="random", protocol=SMALL, seed=seed, slices=[3, 4]) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.cbv, again.cbv)
    np.testing.assert_array_equal(first.series(0.5).signal, again.series(0.5).signal)
    assert np.abs(first.cbv - other.cbv).max() > 0.01


def test_some_slices_equal_those_slices_of_the_whole(head, phantom):
    some = make_phantom(
        head, tumor=ball(head, (10, 0, 34), 16), physiology=WITHOUT_LEAKAGE, protocol=SMALL, seed=4, slices=[5, 7, 9]
    )
    np.testing.assert_array_equal(some.cbv, phantom.cbv[[5, 7, 9]])
    np.testing.assert_array_equal(some.series().signal, phantom.series().signal[:, [5, 7, 9]])
    for n, z in enumerate((5, 7, 9)):
        here, there = (g.ijk_to_ras @ [5, 9, k, 1] for g, k in ((some.grid, n), (phantom.grid, z)))
        np.testing.assert_allclose(here, there, atol=1e-9)


@pytest.mark.parametrize("slices", [[], [4, 2], [1, 2, 4], [13, 14], [-1, 0]])
def test_slices_that_make_no_grid_are_refused(head, slices):
    with pytest.raises(InputError, match="slices"):
        make_phantom(head, protocol=SMALL, slices=slices)


def test_partial_volume_keeps_every_tissues_volume(head):
    protocol = replace(SMALL, slices=36, slice_spacing=5.0, slice_thickness=5.0, tilt=7.0, matrix=100)
    position = position_head(head, protocol, np.random.default_rng(0))
    # the slices begin at the vertex: move them up so that all of the head is inside
    up = 25 / protocol.slice_spacing
    to_anatomy = position.to_anatomy.copy()
    to_anatomy[:3, 3] += to_anatomy[:3, 2] * up
    fractions = tissue_fractions(head, replace(position, to_anatomy=to_anatomy), protocol, np.arange(36))
    np.testing.assert_allclose(fractions.sum(axis=0), 1, atol=1e-5)
    for tissue in np.unique(head.tissue):
        if tissue != Tissue.AIR:
            volume = fractions[tissue].sum() * position.grid.spacing.prod()
            assert volume == pytest.approx((head.tissue == tissue).sum() * head.grid.spacing.prod(), rel=0.02)


def test_slices_lie_where_their_grid_says(head):
    protocol = replace(SMALL, tilt=9.0, blur=0.0, matrix=100)
    position = position_head(head, protocol, np.random.default_rng(0))
    fractions = tissue_fractions(head, position, protocol, np.arange(protocol.slices))
    k, j, i = np.nonzero(fractions[Tissue.VENTRICLE] > 0.5)
    weights = fractions[Tissue.VENTRICLE][k, j, i]
    # the ventricle is an ellipsoid around the middle of the head, which is the origin of its space
    centre = (position.grid.ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)]))[:3]
    np.testing.assert_allclose(np.average(centre, axis=1, weights=weights), 0, atol=1.0)
    slope = np.degrees(np.arcsin(position.grid.lps_direction[2, 1]))
    assert abs(slope) == pytest.approx(9.0, abs=1e-6)
    np.testing.assert_allclose(position.grid.spacing, [2.3, 2.3, 8.0])


def test_mirrored_heads_exchange_left_and_right(head):
    plain, mirrored = (
        make_phantom(head, protocol=replace(SMALL, mirrored=m, tilt=0.0), slices=[3]).fractions for m in (False, True)
    )
    left, right = plain[Tissue.WHITE_LEFT], plain[Tissue.WHITE_RIGHT]
    half = SMALL.matrix // 2
    assert left[..., half:].sum() > 20 * left[..., :half].sum()  # columns run from right to left
    assert right[..., :half].sum() > 20 * right[..., half:].sum()
    assert mirrored[Tissue.WHITE_LEFT][..., :half].sum() > 20 * mirrored[Tissue.WHITE_LEFT][..., half:].sum()


def test_tumor_has_the_blood_volume_asked_for_and_its_reference_is_opposite(head, phantom):
    core = phantom.fractions[Tissue.TUMOR_CORE] > 0.97
    assert phantom.cbv[core].mean() / phantom.cbv[phantom.nawm].mean() == pytest.approx(0.35, rel=0.4)
    person = replace(WITHOUT_LEAKAGE, necrosis=False)
    whole = make_phantom(head, tumor=ball(head, (10, 0, 34), 16), physiology=person, protocol=SMALL, seed=4)
    rim = whole.fractions[Tissue.TUMOR_RIM] > 0.97
    assert whole.cbv[rim].mean() / whole.cbv[whole.nawm].mean() == pytest.approx(5.42, rel=0.2)
    volume = phantom.tumor.sum() * phantom.grid.spacing.prod()
    assert volume == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.1)
    columns = np.arange(SMALL.matrix)
    assert np.average(columns, weights=phantom.tumor.sum(axis=(0, 1))) > 32  # the ball is on the left
    assert columns[phantom.nawm.any(axis=(0, 1))].max() <= 32
    assert not (phantom.nawm & phantom.tumor).any()


def test_without_tumor_there_is_none(head):
    plain = make_phantom(head, protocol=SMALL, slices=[3])
    assert not plain.tumor.any()
    assert not plain.fractions[Tissue.OEDEMA].any()
    assert plain.nawm.any()


@pytest.mark.parametrize(("relaxivity", "sign"), [(0.0, -1), (2.0, 1)])
def test_leakage_lifts_or_lowers_the_tail(head, relaxivity, sign):
    lump = ball(head, (10, 0, 34), 16)
    tails = []
    for k_trans in (0.0, 0.15):
        person = replace(Physiology(), k_trans=k_trans, leakage_relaxivity=relaxivity, necrosis=False)
        phantom = make_phantom(head, tumor=lump, physiology=person, protocol=SMALL, seed=4, slices=[6, 7])
        signal = phantom.series(noise=False).signal
        rim = phantom.fractions[Tissue.TUMOR_RIM] > 0.95
        tails.append(-np.log(signal[-5:, rim].mean() / signal[BASELINE][:, rim].mean()))
    assert sign * (tails[1] - tails[0]) > 0.03


def test_arteries_peak_first_and_veins_last(phantom):
    z = int(np.argmax(phantom.vessels.sum(axis=(1, 2))))
    curves = phantom.delta_r2_star(z)
    artery = phantom.vessels[z]
    vein = phantom.fractions[Tissue.VEIN][z]
    vein = vein >= np.sort(vein, axis=None)[-4]
    cortex = phantom.fractions[Tissue.CORTEX][z] > 0.95
    centre = [np.average(np.arange(25), weights=curves[:25, where].mean(axis=1)) for where in (artery, cortex, vein)]
    assert centre[0] < centre[1] - 0.5
    assert centre[2] > centre[0] + 2


def test_a_voxel_full_of_artery_shows_the_aif(phantom):
    z, y, x = np.unravel_index(np.argmax(phantom.fractions[Tissue.ARTERY] * phantom.vessels), phantom.cbv.shape)
    share = phantom.fractions[Tissue.ARTERY][z, y, x] * phantom.physiology.blood_relaxivity
    assert share > 0.05
    assert phantom.vessels.sum() >= 8
    curve = phantom.delta_r2_star(z)[:, y, x]
    tissue = phantom.cbv[z, y, x] - share
    np.testing.assert_allclose(curve, share * phantom.aif, atol=phantom.aif.max() * (tissue + 2e-3 * share))


def test_relaxivity_of_blood_one_gives_volumes_up_to_one(head):
    person = replace(Physiology(), blood_relaxivity=1.0)
    phantom = make_phantom(head, physiology=person, protocol=SMALL, slices=[6, 7, 8])
    assert 0.5 < phantom.cbv.max() <= 1.0


def test_random_people_are_people():
    drawn = [random_physiology(np.random.default_rng(seed)) for seed in range(300)]
    ratios = np.array([person.grey_cbv / person.white_cbv for person in drawn])
    assert ratios.min() >= 2.0
    assert ratios.max() <= 3.0
    nrcbv = np.array([person.tumor_nrcbv for person in drawn])
    assert nrcbv.min() > 0.5
    assert 3.5 < nrcbv.mean() < 5.0
    assert any(person.k_trans == 0 for person in drawn)
    assert all(person.transit_shape >= 1 for person in drawn)


def test_random_tumor_is_in_the_brain_and_of_a_tumors_size(head):
    for seed in range(4):
        phantom = make_phantom(head, tumor="random", protocol=SMALL, seed=seed)
        millilitres = phantom.tumor.sum() * phantom.grid.spacing.prod() / 1000
        assert 1 < millilitres < 120
        assert (phantom.tumor & phantom.mask).sum() > 0.8 * phantom.tumor.sum()


def test_freesurfer_labels_become_tissues():
    labels = np.array([0, 2, 41, 3, 42, 24, 4, 43, 10, 49, 16, 8, 47, 514, 502, 515, 507, 163, 1001, 2035, 999])
    expected = "AIR WHITE_LEFT WHITE_RIGHT CORTEX CORTEX FLUID VENTRICLE VENTRICLE DEEP_GREY DEEP_GREY BRAIN_STEM "
    expected += "CEREBELLAR_GREY CEREBELLAR_GREY VEIN ARTERY BONE SCALP CHOROID_PLEXUS CORTEX CORTEX AIR"
    assert [Tissue(value).name for value in tissue_from_labels(labels)] == expected.split()


def write_labels(path, head, order="LPS"):
    """The head as a FreeSurfer label file, stored in another orientation."""
    back = {Tissue.WHITE_LEFT: 2, Tissue.WHITE_RIGHT: 41, Tissue.CORTEX: 3, Tissue.DEEP_GREY: 10, Tissue.VENTRICLE: 4}
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
    with pytest.raises(InputError, match="litres of cerebrum"):
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


def test_bad_tumors_and_doses_are_refused(tmp_path, head, phantom):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9), np.uint8), np.eye(4)), tmp_path / "empty.nii.gz")
    with pytest.raises(InputError, match="is empty"):
        tumor_from_file(tmp_path / "empty.nii.gz", head)
    with pytest.raises(InputError, match="does not exist"):
        tumor_from_file(tmp_path / "none.nii.gz", head)
    with pytest.raises(InputError, match="is no mask"):
        make_phantom(head, tumor="big")
    with pytest.raises(InputError, match="shape"):
        make_phantom(head, tumor=np.zeros((3, 3, 3), bool))
    for dose in (0, -1, 3):
        with pytest.raises(InputError, match="dose"):
            phantom.series(dose)


def test_mni_head_has_a_brains_volumes():
    pytest.importorskip("nilearn", reason="the MNI anatomy comes with nilearn")
    head = mni_anatomy()
    litres = {tissue: (head.tissue == tissue).sum() * head.grid.spacing.prod() / 1e6 for tissue in Tissue}
    assert 0.4 < litres[Tissue.CORTEX] < 1.1
    assert 0.35 < litres[Tissue.WHITE_LEFT] + litres[Tissue.WHITE_RIGHT] < 0.8
    assert litres[Tissue.WHITE_LEFT] == pytest.approx(litres[Tissue.WHITE_RIGHT], rel=0.05)
    assert 0.008 < litres[Tissue.VENTRICLE] < 0.06
    assert 0.02 < litres[Tissue.DEEP_GREY] < 0.09
    assert litres[Tissue.SCALP] > 0.1
    columns = np.nonzero(head.tissue == Tissue.WHITE_LEFT)[2]
    assert columns.min() > head.tissue.shape[2] / 2 - 3  # columns run from the patient's right to left
    rows = np.nonzero(head.tissue == Tissue.CEREBELLAR_GREY)[1]
    assert rows.mean() > head.tissue.shape[1] / 2  # and rows from the face backwards


def test_a_real_head_keeps_its_volumes_and_looks_like_brain():
    head = anatomy_from_labels(shared_data("data/heads/training_seg_12.nii.gz"))
    protocol = replace(Protocol(), slices=34, slice_spacing=4.0, slice_thickness=4.0)
    position = position_head(head, protocol, np.random.default_rng(0))
    fractions = tissue_fractions(head, position, protocol, np.arange(34))
    for tissue in (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT, Tissue.CORTEX, Tissue.DEEP_GREY, Tissue.VENTRICLE):
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


def test_grid_of_the_series_is_right_handed_and_axial(phantom):
    assert isinstance(phantom.grid, Grid)
    assert np.linalg.det(phantom.grid.lps_direction) == pytest.approx(1.0)
    assert phantom.grid.lps_direction[2, 2] > 0.9  # slices from feet to head


def test_random_phantoms_are_sound(head):
    for seed in range(3):
        generator = np.random.default_rng(seed)
        protocol = replace(random_protocol(generator), matrix=64)
        person = random_physiology(generator)
        phantom = make_phantom(head, tumor="random", physiology=person, protocol=protocol, seed=seed, slices=[9, 10])
        series = phantom.series(0.5)
        assert np.isfinite(series.signal).all()
        assert series.signal.min() >= 0
        assert series.signal.max() < 3000
        assert np.isfinite(phantom.cbv).all()
        assert phantom.cbv.min() >= 0
        assert phantom.mask.any()
