"""Normal white matter: found in phantoms whose tissue is known, and refused with a sentence where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.phantom import Phantom, drawn_anatomy, make_phantom
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.sample import PHYSIOLOGY, PROTOCOL, SEED, _tumor
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.regions.blood_volume_unit import (
    WHITE_MATTER_OVER_BRAIN,
    blood_volume_unit,
    describe_unit,
)
from stunet_perfusion.regions.symmetry import find_symmetry_plane
from stunet_perfusion.regions.tissue_classes import FLUID, GRAY, WHITE, classify_tissue
from stunet_perfusion.regions.white_matter import (
    _blood_volume_and_signal,
    asymmetric_lesion,
    find_white_matter,
    white_matter_of,
)
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.voxels import trimmed_mean


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """The sample's head with every third slice."""
    head = drawn_anatomy(SEED)
    return make_phantom(
        head, tumor=_tumor(head), physiology=PHYSIOLOGY, protocol=PROTOCOL, seed=SEED, slices=range(2, 16, 3)
    )


@pytest.fixture(scope="module")
def prepared(phantom: Phantom) -> PreparedSeries:
    return prepare(phantom.series(), mask=phantom.mask)


def test_white_matter_is_found_with_its_blood_volume(phantom: Phantom, prepared: PreparedSeries) -> None:
    found = find_white_matter(prepared)
    white = phantom.fractions[Tissue.WHITE_LEFT] + phantom.fractions[Tissue.WHITE_RIGHT]
    assert (white[found.region] > 0.5).mean() > 0.85
    assert not (found.region & phantom.tumor).any()
    assert phantom.cbv[found.region].mean() == pytest.approx(phantom.cbv[phantom.nawm].mean(), rel=0.05)
    assert found.note.startswith("Normal white matter was found automatically: ")


def test_the_unit_makes_white_matter_one_and_knows_no_scale(phantom: Phantom, prepared: PreparedSeries) -> None:
    unit = blood_volume_unit(prepared)
    assert unit.source == "automatic"
    for scale in (1.0, 13.0):
        ncbv = scale * phantom.cbv / unit.of(scale * phantom.cbv, phantom.mask)
        assert ncbv[phantom.nawm].mean() == pytest.approx(1, abs=0.05)
    assert describe_unit(unit, 0.02, 0.1)["milliliters"] == pytest.approx(0.1 * unit.region.sum(), abs=0.01)


def test_a_region_that_is_given_is_taken_as_it_is(phantom: Phantom, prepared: PreparedSeries) -> None:
    unit = blood_volume_unit(prepared, phantom.nawm)
    assert unit.source == "given"
    assert unit.of(phantom.cbv, phantom.mask) == pytest.approx(phantom.cbv[phantom.nawm & phantom.mask].mean())


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        (np.zeros((4, 24, 20), bool), "white matter: is empty"),
        (np.eye(20, dtype=bool)[None, :1].repeat(24, 1).repeat(4, 0), "white matter: lies outside the brain"),
        (np.ones((4, 24, 21), bool), "white matter: has (4, 24, 21) voxels"),
    ],
)
def test_a_region_that_cannot_be_used_is_refused(region: np.ndarray, sentence: str) -> None:
    prepared = prepare(make_series(noise=4.0))
    with pytest.raises(InputError) as refusal:
        blood_volume_unit(prepared, region)
    assert str(refusal.value).startswith(sentence)


def test_where_there_is_no_white_matter_the_brain_stands_for_it() -> None:
    """Tissue of one kind; a slice of nothing but cortex looks like that."""
    series = make_series(noise=4.0, peak=40.0)
    head = head_of(series.grid.shape)
    series.signal[:, head] = series.signal[:, head].mean(axis=1, keepdims=True)
    series.signal[:, head] += np.random.default_rng(5).normal(0, 4, (series.frames, head.sum())).astype(np.float32)
    prepared = prepare(series, mask=head)
    with pytest.raises(InputError, match="mark normal white matter by hand"):
        find_white_matter(prepared)
    unit = blood_volume_unit(prepared)
    assert (unit.region, unit.source) == (None, "estimated")
    assert unit.note.startswith("Normal white matter was not found (")
    cbv = np.random.default_rng(0).uniform(1, 2, prepared.brain.shape)
    assert unit.of(cbv, prepared.brain) == pytest.approx(WHITE_MATTER_OVER_BRAIN * trimmed_mean(cbv[prepared.brain]))


def test_no_ratio_to_white_matter_without_blood(phantom: Phantom, prepared: PreparedSeries) -> None:
    unit = blood_volume_unit(prepared, phantom.nawm)
    with pytest.raises(InputError, match="holds a CBV of 0 on average, so there is no ratio to it"):
        unit.of(np.zeros_like(phantom.cbv), phantom.mask)


def nested_ellipses(shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) labels: gray outside, white inside, fluid in the middle, -1 around."""
    _, y, x = (
        np.linspace(-1, 1, n)[(slice(None), *(None,) * place)] for n, place in zip(shape, (2, 1, 0), strict=True)
    )
    radius = np.broadcast_to(np.sqrt((y / 0.9) ** 2 + (x / 0.75) ** 2), shape)
    return np.select([radius < 0.2, radius < 0.75, radius < 1], [FLUID, WHITE, GRAY], -1)


@pytest.mark.parametrize("brightness", [(0.3, 0.0, 0.15), (-0.2, 0.0, -0.1), (0.3, 0.0, 0.0)])
def test_tissues_are_told_apart_whichever_is_brighter(brightness: tuple[float, float, float]) -> None:
    """Known means, noise, and a coil that is 30 % brighter on one side."""
    shape = (4, 80, 70)
    labels = nested_ellipses(shape)
    brain, generator = labels >= 0, np.random.default_rng(1)
    volume = np.choose(np.maximum(labels, 0), (0.1, 0.7, 1.5)) + 0.08 * generator.standard_normal(shape)
    coil = 0.3 * np.linspace(-0.5, 0.5, shape[2])
    signal = 500 * np.exp(
        np.choose(np.maximum(labels, 0), brightness) + coil + 0.015 * generator.standard_normal(shape)
    )
    classes = classify_tissue(volume, signal, brain, np.array([2.0, 2.0, 5.0]))
    np.testing.assert_allclose(classes.volume, (0.1, 0.7, 1.5), atol=0.06)
    white = (classes.share[WHITE] > 0.68) & brain
    assert (labels[white] == WHITE).mean() > 0.98
    assert white.sum() > 0.7 * (labels == WHITE).sum()
    np.testing.assert_allclose(classes.contrast - classes.contrast[WHITE], np.array(brightness), atol=0.05)
    assert not classes.probability[:, ~brain].any()


def test_a_bright_place_on_one_side_is_a_lesion_and_its_side_is_left_out() -> None:
    shape = (4, 80, 70)
    grid = Grid(shape, np.diag([2.0, 2.0, 5.0, 1.0]))
    labels = nested_ellipses(shape)
    brain, generator = labels >= 0, np.random.default_rng(2)
    volume = np.choose(np.maximum(labels, 0), (0.1, 0.7, 1.5)) + 0.05 * generator.standard_normal(shape)
    brightness = np.choose(np.maximum(labels, 0), (0.3, 0.0, 0.15)) + 0.02 * generator.standard_normal(shape)
    lump = np.zeros(shape, bool)
    lump[:, 30:42, 48:58] = True
    volume[lump], brightness[lump] = 3.0, 0.35
    plane = find_symmetry_plane(np.where(brain, np.exp(brightness), 0), brain, grid)
    lesion = asymmetric_lesion(volume, brightness, brain, grid, plane)
    assert lesion[lump].mean() > 0.9
    assert lesion.sum() < 2 * lump.sum()


def test_noise_and_tilt_do_not_matter(phantom: Phantom, prepared: PreparedSeries) -> None:
    """The same voxels on an oblique grid: the same white matter, at most its sides are named otherwise."""
    grid = oblique_grid(prepared.series.grid.shape, tuple(prepared.series.grid.spacing))
    turned = replace(prepared, series=replace(prepared.series, grid=grid))
    one, other = find_white_matter(prepared).region, find_white_matter(turned).region
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.9


def test_small_pixels_are_joined_before_white_matter_is_sought(phantom: Phantom, prepared: PreparedSeries) -> None:
    """Every pixel four times, at half the size: the same white matter."""
    volume, signal = _blood_volume_and_signal(prepared)
    grid, twice = prepared.series.grid, lambda image: image.repeat(2, axis=1).repeat(2, axis=2)
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :2] /= 2
    matrix[:3, 3] -= matrix[:3, :2].sum(axis=1) / 2
    fine = Grid((grid.shape[0], 2 * grid.shape[1], 2 * grid.shape[2]), matrix)
    expected = white_matter_of(volume, signal, prepared.brain, grid)
    found = white_matter_of(twice(volume), twice(signal), twice(prepared.brain), fine)
    np.testing.assert_array_equal(found.region, twice(expected.region))
