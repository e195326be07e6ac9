"""Scores of maps, against closed forms, worked examples and a loop that takes SSIM's definition literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stunet_perfusion import metrics
from stunet_perfusion.support.errors import InputError

EVERYWHERE = np.ones((1, 1, 3), bool)


def cbv_like(seed: int, shape: tuple[int, int, int] = (3, 40, 36)) -> tuple[np.ndarray, np.ndarray]:
    """A smooth positive map in an ellipse, and the ellipse."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[2]), indexing="ij")
    mask = np.broadcast_to(x**2 + y**2 < 0.8, shape)
    generator = np.random.default_rng(seed)
    waves = 1 + 0.4 * np.sin(7 * x + 3 * y) + 0.1 * generator.standard_normal(shape)
    return (0.03 * waves).astype(np.float32), np.ascontiguousarray(mask)


def test_identical_maps_score_perfectly():
    cbv, mask = cbv_like(0)
    tumor, nawm = np.zeros_like(mask), np.zeros_like(mask)
    tumor[1, 15:20, 15:20], nawm[1, 22:26, 15:20] = True, True

    scores = metrics.compare_maps(cbv, cbv, mask, tumor, nawm)

    for zero in ("l1", "l2", "tumor_l1", "tumor_l2", "nrmse", "bias", "limit_low", "limit_high", "nrcbv_error"):
        assert scores[zero] == 0, zero
    for one in ("ssim", "pearson", "concordance"):
        assert scores[one] == pytest.approx(1, abs=1e-12), one
    assert scores["nrcbv"] == pytest.approx(float(cbv[tumor].mean() / cbv[nawm].mean()), rel=1e-6)
    assert all(type(value) is float for value in scores.values())


def test_offset_and_scale_vanish_when_standardized_but_not_from_agreement():
    cbv, mask = cbv_like(1)
    doubled = 2 * cbv + np.float32(0.01)

    scores = metrics.compare_maps(doubled, cbv, mask)

    assert scores["l1"] == pytest.approx(0, abs=1e-5)
    assert scores["ssim"] == pytest.approx(1, abs=1e-6)
    assert scores["pearson"] == pytest.approx(1, abs=1e-6)
    mean, variance = cbv[mask].mean(dtype=float), cbv[mask].var(dtype=float)
    assert scores["bias"] == pytest.approx(mean + 0.01, rel=1e-5)
    # cov = 2 var, variances 4 var and var, means apart by mean + 0.01
    assert scores["concordance"] == pytest.approx(4 * variance / (5 * variance + (mean + 0.01) ** 2), rel=1e-4)


def test_constant_offset_on_physical_maps():
    cbv, mask = cbv_like(2)
    shifted = cbv.astype(np.float64) + 0.25

    scores = metrics.compare_maps(shifted, cbv.astype(np.float64), mask, standardize=False)

    assert scores["l1"] == pytest.approx(0.25)
    assert scores["l2"] == pytest.approx(0.0625)
    assert scores["bias"] == pytest.approx(0.25)
    assert scores["limit_low"] == pytest.approx(0.25)
    assert scores["limit_high"] == pytest.approx(0.25)
    assert scores["ssim_range"] == pytest.approx(float(np.ptp(cbv[mask])))


def test_l1_and_l2_count_only_the_region():
    values, reference = np.zeros((1, 2, 2)), np.array([[[1.0, -3.0], [100.0, 100.0]]])
    where = np.array([[[True, True], [False, False]]])
    assert metrics.l1(values, reference, where) == 2
    assert metrics.l2(values, reference, where) == 5


def test_concordance_of_lins_definition_by_hand():
    # variances 2/3, covariance 2/3, means 2 and 3: 2 (2/3) / (2/3 + 2/3 + 1) = 4/7
    values, reference = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[2.0, 3.0, 4.0]]])
    assert metrics.concordance(values, reference, EVERYWHERE) == pytest.approx(4 / 7)
    assert metrics.pearson(values, reference, EVERYWHERE) == pytest.approx(1)


def test_bland_altman_by_hand():
    # differences 1, 2, 3: mean 2, standard deviation (n - 1) 1
    values, reference = np.array([[[2.0, 4.0, 6.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    agreement = metrics.bland_altman(values, reference, EVERYWHERE)
    assert agreement == metrics.Agreement(pytest.approx(2), pytest.approx(0.04), pytest.approx(3.96))


def test_nrmse_by_hand():
    values, reference = np.array([[[4.0, 3.0, 0.0]]]), np.array([[[4.0, 0.0, 0.0]]])
    assert metrics.nrmse(values, reference, EVERYWHERE) == pytest.approx(3 / 4)


def literal_ssim(values: np.ndarray, reference: np.ndarray, where: np.ndarray, value_range: float) -> float:
    """Wang 2004, equations 13 to 16, pixel by pixel, with mirrored borders."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * value_range) ** 2, (0.03 * value_range) ** 2
    scores = []
    for z in range(len(values)):
        x, y = (np.pad(np.where(where[z], image[z], 0.0), 5, mode="symmetric") for image in (values, reference))
        for row, column in np.argwhere(where[z]):
            a, b = (image[row : row + 11, column : column + 11] for image in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            scores.append(luminance * (2 * covariance + c2) / (var_a + var_b + c2))
    return float(np.mean(scores))


def test_ssim_is_wangs_definition():
    generator = np.random.default_rng(3)
    values, reference = generator.normal(0, 2, (2, 2, 24, 19)).clip(-5, 5)
    reference += 0.5 * values
    where = generator.random((2, 24, 19)) < 0.7
    where[1, 10:] = False
    found = metrics.ssim(values, reference, where, 10.0)
    assert found == pytest.approx(literal_ssim(values, reference, where, 10.0), abs=1e-9)
    assert 0.05 < found < 0.95


def test_ssim_does_not_see_what_is_outside_the_brain():
    cbv, mask = cbv_like(4)
    noisy = cbv + 0.004 * np.random.default_rng(5).standard_normal(cbv.shape).astype(np.float32)
    scribbled = np.where(mask, noisy, np.nan)
    assert metrics.compare_maps(scribbled, cbv, mask) == metrics.compare_maps(noisy, cbv, mask)


def test_standardized_has_zero_mean_unit_deviation_and_is_clipped():
    cbv, mask = cbv_like(6)
    z_scores = metrics.standardized(cbv, mask)
    assert z_scores[mask].mean() == pytest.approx(0, abs=1e-5)
    assert z_scores[mask].std() == pytest.approx(1, abs=1e-5)
    vessel = cbv.copy()
    vessel[1, 20, 18] = 50
    assert metrics.standardized(vessel, mask)[1, 20, 18] == 5


def test_nrcbv_is_a_ratio_of_means():
    values = np.array([[[3.0, 5.0, 2.0]]])
    tumor, nawm = np.array([[[True, True, False]]]), np.array([[[False, False, True]]])
    assert metrics.nrcbv(values, tumor, nawm) == 2
    with pytest.raises(InputError, match="standardized map"):
        metrics.nrcbv(values - 2, tumor, nawm)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.01, 1000),
    offset=st.floats(-10, 10),
    seed=st.integers(0, 1000),
)
def test_scores_of_the_paper_do_not_depend_on_unit_or_zero(scale, offset, seed):
    reference, mask = cbv_like(seed, (1, 16, 14))
    reference = reference.astype(np.float64)
    values = reference + 0.01 * np.random.default_rng(seed + 1).standard_normal(reference.shape)
    before = metrics.compare_maps(values, reference, mask)
    after = metrics.compare_maps(scale * values + offset, reference, mask)
    for key in ("l1", "l2", "ssim", "pearson"):
        assert after[key] == pytest.approx(before[key], abs=1e-4), key


def rounded_constant(like: np.ndarray) -> np.ndarray:
    """0.1 in every voxel, but for the last digits that sums in another order leave."""
    steps = np.random.default_rng(0).integers(-4, 5, like.shape).astype(np.float32)
    return np.float32(0.1) + steps * np.spacing(np.float32(0.1))


def test_rounding_of_a_constant_has_no_correlation():
    cbv, mask = cbv_like(7)
    values = rounded_constant(cbv)
    assert np.ptp(values[mask]) > 0
    with pytest.raises(InputError, match="is constant"):
        metrics.pearson(values, cbv, mask)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda cbv, mask: (np.full_like(cbv, 0.1), mask), "same value"),
        (lambda cbv, mask: (rounded_constant(cbv), mask), "same value"),
        (lambda cbv, mask: (np.where(mask, np.nan, cbv), mask), "not numbers"),
        (lambda cbv, mask: (cbv, np.zeros_like(mask)), "0 voxels"),
        (lambda cbv, mask: (cbv[:, :8], mask[:, :8]), "smaller than the SSIM window"),
    ],
)
def test_what_cannot_be_scored_is_refused(change, sentence):
    cbv, mask = cbv_like(7)
    values, changed_mask = change(cbv, mask)
    reference = cbv_like(8)[0][:, : values.shape[1]]
    with pytest.raises(InputError, match=sentence):
        metrics.compare_maps(values, reference, changed_mask)


def test_ssim_of_parts_adds_up_to_that_of_the_whole():
    """A tumor's pixels are compared with windows that see the brain around it."""
    cbv, mask = cbv_like(3)
    other = cbv + np.where(np.arange(cbv.shape[2]) > cbv.shape[2] // 2, 0.02, 0).astype(np.float32)
    tumor = np.zeros_like(mask)
    tumor[1, 15:25, 15:30] = True
    tumor &= mask
    rest = mask & ~tumor

    of_tumor, of_rest = (metrics.ssim(other, cbv, mask, 0.1, averaged_over=part) for part in (tumor, rest))

    whole = metrics.ssim(other, cbv, mask, 0.1)
    assert of_tumor * tumor.sum() + of_rest * rest.sum() == pytest.approx(whole * mask.sum(), rel=1e-9)
    assert abs(of_tumor - of_rest) > 1e-3
    scores = metrics.compare_maps(other, cbv, mask, tumor, standardize=False, value_range=0.1)
    assert scores["tumor_ssim"] == pytest.approx(of_tumor, rel=1e-9)
