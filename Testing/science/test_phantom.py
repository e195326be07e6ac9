"""The phantom as a whole: truth that the signal really holds, geometry, doses, seeds, masks, and bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.heads import ball, ellipsoid_head
from stunet_perfusion.kinetics.concentration import concentration
from stunet_perfusion.phantom import (
    Physiology,
    Protocol,
    make_phantom,
    random_physiology,
    random_protocol,
)
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.positioning import position_head, tissue_fractions
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

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
    gray, white = phantom.fractions[Tissue.CORTEX] > 0.95, phantom.nawm
    per_100_g = 100 * 0.733 / 1.04
    assert 3.3 <= phantom.cbv[gray].mean() * per_100_g <= 5.0
    assert 1.1 <= phantom.cbv[white].mean() * per_100_g <= 2.5
    assert 2.0 <= phantom.cbv[gray].mean() / phantom.cbv[white].mean() <= 2.8
    assert 40 <= phantom.cbf[gray].mean() * 60 * per_100_g <= 75
    assert 15 <= phantom.cbf[white].mean() * 60 * per_100_g <= 40
    assert 3.0 <= phantom.mtt[gray].mean() <= 6.0
    assert phantom.cbv[phantom.fractions[Tissue.VENTRICLE] > 0.99].max() < 0.01
    assert 0.03 < phantom.cbv[white].std() / phantom.cbv[white].mean() < 0.2


def test_signal_drops_as_deep_as_in_patients(phantom):
    signal = phantom.series(noise=False).signal
    for where, least, most in (
        (phantom.fractions[Tissue.CORTEX] > 0.95, 0.30, 0.50),
        (phantom.nawm, 0.15, 0.25),
    ):
        drop = 1 - signal[6:, where].min(axis=0) / signal[BASELINE][:, where].mean(axis=0)
        assert least <= np.median(drop) <= most


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
    neighbor = noises[0][:, 4][:, inside].ravel()
    limit = 5 / np.sqrt(one.size)
    assert abs(np.corrcoef(one, other)[0, 1]) < limit
    assert abs(np.corrcoef(one, neighbor)[0, 1]) < limit


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
    center = (position.grid.ijk_to_ras @ np.stack([i, j, k, np.ones_like(i)]))[:3]
    np.testing.assert_allclose(np.average(center, axis=1, weights=weights), 0, atol=1.0)
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
    assert not plain.fractions[Tissue.EDEMA].any()
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
    center = [np.average(np.arange(25), weights=curves[:25, where].mean(axis=1)) for where in (artery, cortex, vein)]
    assert center[0] < center[1] - 0.5
    assert center[2] > center[0] + 2


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
    ratios = np.array([person.gray_cbv / person.white_cbv for person in drawn])
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
        milliliters = phantom.tumor.sum() * phantom.grid.spacing.prod() / 1000
        assert 1 < milliliters < 120
        assert (phantom.tumor & phantom.mask).sum() > 0.8 * phantom.tumor.sum()


def test_bad_tumors_and_doses_are_refused(head, phantom):
    with pytest.raises(InputError, match="is no mask"):
        make_phantom(head, tumor="big")
    with pytest.raises(InputError, match="shape"):
        make_phantom(head, tumor=np.zeros((3, 3, 3), bool))
    for dose in (0, -1, 3):
        with pytest.raises(InputError, match="dose"):
            phantom.series(dose)


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
