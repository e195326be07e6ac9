"""Hot spot, tumor burden, intervals, histogram and late tissue, against numbers that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from stunet_perfusion.regions.delayed_tissue import delayed_tissue
from stunet_perfusion.regions.histogram import histogram
from stunet_perfusion.regions.hot_spot import disk_of, hot_spot
from stunet_perfusion.regions.region_error import NORMAL_95, SHARED, mean_of_region
from stunet_perfusion.regions.region_numbers import region_numbers
from stunet_perfusion.regions.tumor_burden import tumor_burden
from stunet_perfusion.support.errors import InputError

SHAPE = (4, 30, 28)


def box(*slices: slice) -> np.ndarray:
    """(Z, Y, X) bool."""
    region = np.zeros(SHAPE, bool)
    region[slices] = True
    return region


@pytest.mark.parametrize(("diameter", "pixels"), [(1, 1), (2, 5), (3, 9), (5, 21)])
def test_disks(diameter: float, pixels: int) -> None:
    assert disk_of(diameter).sum() == pixels


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.0, 3.0]))
def test_the_hot_spot_is_what_trying_every_disk_finds(seed: int, diameter: float) -> None:
    generator = np.random.default_rng(seed)
    values = generator.random(SHAPE)
    region = box(slice(1, 3), slice(5, 20), slice(6, 15))
    shape, best = disk_of(diameter), -np.inf
    reach = len(shape) // 2
    for z, y, x in np.argwhere(region):
        square = (z, slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
        if region[square][shape > 0].all():
            best = max(best, values[square][shape > 0].mean())
    found = hot_spot(values, region, diameter)
    assert found.mean == pytest.approx(best)
    assert values[found.disk].mean() == pytest.approx(best)
    assert not (found.disk & ~region).any()
    assert found.disk[found.center]


def test_a_region_that_is_thinner_than_the_disk_has_a_hot_spot_too() -> None:
    region = box(slice(2, 3), slice(4, 5), slice(4, 12))
    values = np.zeros(SHAPE)
    values[2, 4, 6:9] = [3, 6, 3]
    found = hot_spot(values, region, 3)
    assert found.mean == pytest.approx(4)
    assert found.center == (2, 4, 7)


def test_what_is_above_the_threshold_is_counted_in_classes() -> None:
    region = box(slice(0, 1), slice(0, 10), slice(0, 10))
    ncbv = np.full(SHAPE, 9.0)
    ncbv[0, :2, :10], ncbv[0, 2:5, :10], ncbv[0, 5:10, :10] = 0.5, 1.2, 3.0
    found = tumor_burden(ncbv, region)
    assert [share.value for share in found.shares] == pytest.approx([0.2, 0.3, 0.5])
    assert [share.low for share in found.shares] == [None] * 3
    np.testing.assert_array_equal(np.unique(found.labels[~region]), [0])
    np.testing.assert_array_equal(found.labels[region].reshape(10, 10)[:, 0], [1, 1, 2, 2, 2, 3, 3, 3, 3, 3])


def test_a_voxel_on_a_threshold_is_in_the_class_above() -> None:
    region = box(slice(0, 1), slice(0, 1), slice(0, 2))
    ncbv = np.zeros(SHAPE)
    ncbv[0, 0, :2] = [1.0, 1.75]
    assert tumor_burden(ncbv, region).labels[0, 0, :2].tolist() == [2, 3]


def test_the_interval_of_a_share_is_that_of_common_errors() -> None:
    """All voxels alike: half is above where the common error moves the mean by what is lacking."""
    region = box(slice(0, 2), slice(0, 10), slice(0, 10))
    ncbv, sigma = np.full(SHAPE, 2.0), np.full(SHAPE, 0.2)
    found = tumor_burden(ncbv, region, sigma, [1.75]).shares[1]
    assert found.value == 1
    assert found.high == pytest.approx(1, abs=0.02)
    assert found.low == pytest.approx(ndtr((2.0 - NORMAL_95 * SHARED * 0.2 - 1.75) / 0.2), abs=0.02)
    certain = tumor_burden(ncbv, region, np.full(SHAPE, 1e-4), [1.75]).shares[1]
    assert certain.low == pytest.approx(1)


def test_the_mean_of_a_region_has_the_interval_of_its_voxels() -> None:
    region = box(slice(0, 2), slice(3, 6), slice(3, 6))
    found = mean_of_region(np.full(SHAPE, 3.0), region, np.full(SHAPE, 0.25))
    assert found.value == 3
    assert found.high - found.value == pytest.approx(NORMAL_95 * SHARED * 0.25)
    assert found.value - found.low == pytest.approx(NORMAL_95 * SHARED * 0.25)
    assert mean_of_region(np.full(SHAPE, 3.0), region).low is None


def test_histograms_add_up_to_one_on_a_common_scale() -> None:
    values = np.random.default_rng(0).uniform(-1, 12, SHAPE)
    found = histogram(values, {"a": box(slice(0, 2)), "b": box(slice(2, 4))})
    for shares in found.shares.values():
        assert shares.sum() == pytest.approx(1)
    assert found.shares["a"][-1] == pytest.approx((values[:2] > 7.75).mean())
    assert found.shares["a"][0] == pytest.approx((values[:2] < 0.25).mean())


def test_late_tissue_and_its_core() -> None:
    """Voxels of 0.1 ml: 60 late voxels, a third of them without flow, and a speck that is too small to count."""
    tmax, cbf, brain = np.ones(SHAPE), np.full(SHAPE, 50.0), np.ones(SHAPE, bool)
    late = box(slice(1, 2), slice(5, 15), slice(5, 11))
    tmax[late], cbf[box(slice(1, 2), slice(5, 15), slice(5, 7))] = 8, 10
    tmax[3, 20, 20:23] = 9
    found = delayed_tissue(tmax, cbf, brain, np.array([5.0, 4.0, 5.0]))
    assert (found.late_ml, found.core_ml, found.mismatch_ml) == pytest.approx((6.0, 2.0, 4.0))
    assert found.as_json()["mismatch_ratio"] == pytest.approx(3)
    assert not found.late[3].any()
    nothing = delayed_tissue(np.ones(SHAPE), cbf, brain, np.array([5.0, 4.0, 5.0]))
    assert nothing.as_json()["mismatch_ratio"] is None


def test_all_numbers_of_a_region() -> None:
    region, other = box(slice(1, 3), slice(8, 14), slice(4, 9)), box(slice(1, 3), slice(8, 14), slice(19, 24))
    ncbv = np.ones(SHAPE)
    ncbv[region] = 4
    ncbv[2, 10:13, 5:8] = 7
    maps = {"ncbv": ncbv, "psr": np.full(SHAPE, 80.0), "ncbv_uncertainty": np.full(SHAPE, 0.1)}
    found = region_numbers(maps, region, 0.02, mirror=other).as_json()
    assert found["milliliters"] == pytest.approx(0.02 * region.sum())
    assert found["hot_spot"]["value"] == pytest.approx(7)
    assert (found["hot_spot"]["slice"], found["hot_spot"]["row"], found["hot_spot"]["column"]) == (2, 11, 6)
    assert found["ncbv"]["value"] == pytest.approx((4 * 51 + 7 * 9) / 60)
    assert found["mirror"]["ncbv"]["value"] == pytest.approx(1)
    assert found["means"] == {"psr": pytest.approx(80)}
    assert [(entry["from"], entry["to"]) for entry in found["tumor_burden"]] == [
        ("0", "1"),
        ("1", "1.75"),
        ("1.75", "inf"),
    ]


def test_what_cannot_be_measured_is_one_sentence() -> None:
    nothing, values = np.zeros(SHAPE, bool), np.ones(SHAPE)
    with pytest.raises(InputError, match="region: is empty"):
        hot_spot(values, nothing)
    with pytest.raises(InputError, match="region: is empty"):
        tumor_burden(values, nothing)
    with pytest.raises(InputError, match=r"thresholds: .* do not rise"):
        tumor_burden(values, ~nothing, thresholds=[2.0, 1.0])
    with pytest.raises(InputError, match="hot spot: cannot be a disk of 0 voxels"):
        hot_spot(values, ~nothing, 0)
