"""Anatomy under a map: found after a known turn and shift, resampled exactly, refused where it does not belong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.regions.symmetry import places
from stunet_perfusion.registration.anatomy import (
    AnatomyRegistration,
    as_the_headers_say,
    check_anatomy,
    on_anatomy,
    register_anatomy,
)
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_json, write_map


def grid_of(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """A grid around the origin."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -(np.array(shape[::-1]) - 1) / 2 * spacing
    return Grid(shape, matrix)


SERIES = grid_of((12, 56, 52), (3.5, 3.5, 6.0))
ANATOMY = grid_of((24, 90, 84), (2.2, 2.2, 3.0))


def tissue(points: np.ndarray, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(n,) of one number that differs from place to place as tissue does, and whether a place is in the head."""
    generator = np.random.default_rng(seed)
    centers, widths = generator.uniform(-55, 55, (40, 3)), generator.uniform(8, 18, 40)
    centers[:, 2] *= 0.5
    squares = ((points[:, None] - centers) ** 2).sum(axis=-1)
    value = (np.exp(-squares / (2 * widths**2)) * generator.choice([-1, 1], 40)).sum(axis=1)
    inside = (points[:, 0] / 68) ** 2 + (points[:, 1] / 82) ** 2 + (points[:, 2] / 55) ** 2 < 1
    return value, inside


def rigid(turn: float, shift: tuple[float, float, float]) -> np.ndarray:
    """(4, 4) a turn about the body's axis, tilted half as much, and a shift."""
    a, b = np.deg2rad([turn, turn / 2])
    about_body = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilted = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = about_body @ tilted, shift
    return matrix


def scene(to_anatomy: np.ndarray, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Baseline and brain on the series' grid, and an anatomy of other contrast that has moved."""
    value, inside = tissue(places(SERIES).reshape(-1, 3))
    noise = np.random.default_rng(0).standard_normal(len(value))
    baseline = np.where(inside, 500 + 150 * value + 10 * noise, 0).reshape(SERIES.shape)
    brain = ndimage.binary_erosion(inside.reshape(SERIES.shape), np.ones((1, 3, 3)))
    there = places(ANATOMY).reshape(-1, 3)
    back = np.linalg.inv(to_anatomy)
    value, inside = tissue(there @ back[:3, :3].T + back[:3, 3], seed)
    anatomy = np.where(inside, 900 - 250 * value + 80 * value**2, 20).reshape(ANATOMY.shape)
    return baseline.astype(np.float32), brain, anatomy.astype(np.float32)


@pytest.mark.parametrize(("turn", "shift"), [(0.0, (0, 0, 0)), (5.0, (4, -6, 3)), (-4.0, (-7, 3, -4))])
def test_an_anatomy_that_has_moved_is_found(turn: float, shift: tuple[float, float, float]) -> None:
    truth = rigid(turn, shift)
    baseline, brain, anatomy = scene(truth)
    found = register_anatomy(baseline, brain, SERIES, anatomy, ANATOMY)
    points = np.c_[places(SERIES)[brain], np.ones(brain.sum())]
    away = np.linalg.norm((points @ (found.to_anatomy - truth).T)[:, :3], axis=1)
    assert away.mean() < 1.0
    assert found.similarity[0] > 1.5 * found.similarity[1]
    np.testing.assert_allclose(found.to_anatomy[:3, :3] @ found.to_anatomy[:3, :3].T, np.eye(3), atol=1e-9)
    assert found.note.startswith("The anatomy was registered: turned by ")


def test_an_image_that_shows_something_else_is_refused() -> None:
    baseline, brain, _ = scene(np.eye(4))
    generator = np.random.default_rng(2)
    other = ndimage.gaussian_filter(generator.standard_normal(ANATOMY.shape), 3).astype(np.float32)
    with pytest.raises(InputError, match="anatomy: matches the series"):
        register_anatomy(baseline, brain, SERIES, 1000 + 5000 * other, ANATOMY)


def test_a_map_goes_where_it_belongs() -> None:
    """A map that is linear in space comes out as the same line, seen from the anatomy."""
    points = places(SERIES)
    values = 1.0 + 0.01 * points[..., 0] - 0.02 * points[..., 1] + 0.03 * points[..., 2]
    moved = rigid(6.0, (3, -2, 4))
    found = on_anatomy(values, SERIES, AnatomyRegistration(moved, 0, 0, (0, 0), ""), ANATOMY)
    back = np.linalg.inv(moved)
    there = places(ANATOMY) @ back[:3, :3].T + back[:3, 3]
    expected = 1.0 + 0.01 * there[..., 0] - 0.02 * there[..., 1] + 0.03 * there[..., 2]
    ijk = np.linalg.inv(SERIES.ijk_to_ras)
    voxel = there @ ijk[:3, :3].T + ijk[:3, 3]
    size = np.array(SERIES.shape[::-1])
    well_inside = ((voxel > 0.5) & (voxel < size - 1.5)).all(axis=-1)
    outside = ((voxel < -1) | (voxel > size)).any(axis=-1)
    np.testing.assert_allclose(found[well_inside], expected[well_inside], atol=1e-4)
    assert not found[outside].any()
    assert outside.any()


def test_a_mask_on_its_own_grid_stays_as_it_is() -> None:
    mask = np.random.default_rng(1).random(SERIES.shape) > 0.6
    np.testing.assert_array_equal(on_anatomy(mask, SERIES, as_the_headers_say(), SERIES, nearest=True) > 0.5, mask)


def test_what_cannot_be_laid_under_a_map_is_one_sentence() -> None:
    _, brain, anatomy = scene(np.eye(4))
    one = Grid((1, *ANATOMY.shape[1:]), ANATOMY.ijk_to_ras)
    with pytest.raises(InputError, match="t1: has 1 slice, and 3 are needed; give a volume"):
        check_anatomy(brain, SERIES, anatomy[:1], one, "t1")
    with pytest.raises(InputError, match="t1: is the same everywhere"):
        check_anatomy(brain, SERIES, np.ones_like(anatomy), ANATOMY, "t1")
    far = ANATOMY.ijk_to_ras.copy()
    far[:3, 3] += 500
    with pytest.raises(InputError, match="t1: covers 0 % of the brain in the series"):
        check_anatomy(brain, SERIES, anatomy, Grid(ANATOMY.shape, far), "t1")


def test_the_command_writes_every_map_on_the_anatomy(tmp_path, capsys) -> None:
    baseline, brain, anatomy = scene(rigid(3.0, (2, -3, 1)))
    ncbv = np.where(brain, 1 + 0.01 * places(SERIES)[..., 0], 0)
    for name, values in (("ncbv", ncbv), ("cbv", 0.1 * ncbv), ("baseline", baseline), ("nawm", ncbv > 1.3)):
        write_map(tmp_path / "run" / f"{name}.nii.gz", values, SERIES)
    maps = {name: {"file": f"{name}.nii.gz", "unit": ""} for name in ("ncbv", "cbv")}
    document = {"maps": maps, "images": {"baseline": {"file": "baseline.nii.gz"}}}
    write_json(tmp_path / "run" / "report.json", document | {"regions": {"nawm": {"file": "nawm.nii.gz"}}})
    write_map(tmp_path / "t1.nii.gz", anatomy, ANATOMY)
    words = ["anatomy", str(tmp_path / "run"), str(tmp_path / "t1.nii.gz"), "--output", str(tmp_path / "out")]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["registration"]["turn_degrees"] == pytest.approx(np.hypot(3, 1.5), abs=0.6)
    assert sorted(answer["files"]) == ["cbv", "nawm", "ncbv"]
    for name in answer["files"].values():
        assert read_map(tmp_path / "out" / name)[1].matches(ANATOMY)
    assert json.loads((tmp_path / "out" / "registration.json").read_text()) == answer
    assert main([*words, "--as-headers-say", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["registration"]["turn_degrees"] == 0
    (tmp_path / "run" / "baseline.nii.gz").unlink()
    assert main(words) == 2
    assert "holds no image of the baseline; run 'predict' or 'reference' again" in capsys.readouterr().err
