"""Scores of the evaluation against values that are known before: edges, hot spots, intervals, ranks, agreement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stunet_perfusion.evaluation.cohort_metrics import agreement, area_under_curve
from stunet_perfusion.evaluation.map_metrics import LEVELS, coverage, edge_sharpness, hot_spot

SHAPE = (3, 60, 60)


@pytest.fixture
def waves():
    """Ten waves across a slice: each Gaussian filter damps them by a factor that is known."""
    column = np.sin(2 * np.pi * np.arange(60) / 12)
    return np.broadcast_to(column, SHAPE).astype(float)


def test_edges_of_the_truth_are_as_steep_as_the_truth(waves):
    everywhere = np.ones(SHAPE, bool)
    assert edge_sharpness(waves, waves, everywhere) == pytest.approx(1.0)
    assert edge_sharpness(0.25 * waves + 7, waves, everywhere) == pytest.approx(0.25)
    assert np.isnan(edge_sharpness(waves, np.ones(SHAPE), everywhere))


def test_blur_damps_a_wave_by_its_transfer_function(waves):
    """exp(-2 (pi sigma / wavelength)^2) for a Gaussian of standard deviation sigma."""
    sigma = 2.0
    blurred = ndimage.gaussian_filter(waves, (0, sigma, sigma), mode="wrap")
    expected = np.exp(-2 * (np.pi * sigma / 12) ** 2)
    assert edge_sharpness(blurred, waves, np.ones(SHAPE, bool)) == pytest.approx(expected, rel=0.01)


def test_noise_is_no_sharpness(waves):
    noisy = waves + np.random.default_rng(0).normal(0, 0.5, (3, 60, 60))
    assert edge_sharpness(noisy, waves, np.ones(SHAPE, bool)) == pytest.approx(1.0, abs=0.08)


def test_edges_outside_of_the_mask_do_not_count(waves):
    mask = np.zeros(SHAPE, bool)
    mask[:, 20:40, 20:40] = True
    spoiled = np.where(mask, waves, 1e6)
    assert edge_sharpness(spoiled, waves, mask) == pytest.approx(1.0)


def test_hot_spot_is_the_largest_mean_of_nine_pixels_in_the_tumor():
    values = np.zeros((2, 12, 12))
    values[0, 2, 2] = 90.0  # alone: 10 on average over nine
    values[1, 5:8, 5:8] = 20.0
    values[1, 10, 10] = 1e6  # outside
    tumor = np.zeros(values.shape, bool)
    tumor[:, 1:9, 1:9] = True
    assert hot_spot(values, tumor) == pytest.approx(20.0)
    line = np.zeros_like(tumor)
    line[0, 2, :] = True
    assert hot_spot(values, line) == 90.0  # no square fits: the largest pixel


def test_coverage_of_errors_that_are_as_large_as_they_say():
    generator = np.random.default_rng(2)
    truth = np.zeros((10, 100, 100))
    values = generator.normal(0, 0.3, truth.shape)
    shares = coverage(values, np.full(truth.shape, 0.3), truth, np.ones(truth.shape, bool))
    assert tuple(shares) == LEVELS
    for level, share in shares.items():
        assert share == pytest.approx(level, abs=0.01)
    # half as sure as it says: what covers 95 % has to be twice as wide, so 1.96 / 2 standard deviations cover 67.3 %
    assert coverage(values, np.full(truth.shape, 0.15), truth, np.ones(truth.shape, bool))[0.95] == pytest.approx(
        0.673, abs=0.01
    )


def test_area_under_curve_counts_pairs():
    assert area_under_curve([1, 2, 3], [4, 5]) == 1.0
    assert area_under_curve([4, 5], [1, 2, 3]) == 0.0
    assert area_under_curve([1, 3], [2, 3]) == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert area_under_curve([1, np.nan], [2]) == 1.0
    assert np.isnan(area_under_curve([], [1.0]))


def test_agreement_leaves_out_whom_it_does_not_know():
    found = agreement([1.0, 2.0, np.nan, 4.0], [2.0, 3.0, 3.0, 5.0])
    assert found.count == 3
    assert (found.limits.bias, found.limits.low, found.limits.high) == pytest.approx((-1, -1, -1))
    variance = np.var([1, 2, 4])
    assert found.concordance == pytest.approx(2 * variance / (2 * variance + 1))
    assert agreement([1.0], [1.0]).limits is None
