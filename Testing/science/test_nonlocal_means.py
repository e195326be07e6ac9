"""The average of like neighbors against its own formula, and against what averaging does to noise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.nonlocal_means import NonlocalMeans
from stunet_perfusion.networks.quantities import (
    ARRIVAL_GAIN,
    FIT_OVER_NOISE_GAIN,
    LEAST_NOISE_RATIO,
    SMALLEST_FIT_NOISE,
)

#: What a correction is said in, and what the fit is divided by: the fit's noise, with its least.
UNIT = 0.4

LEVELS = (0.01, 0.1, 0.3, 1.0, 3.0)


def maps_of(fit, noise, baseline, early=0.0):
    """The five maps of a slice: (1, 5, Y, X)."""
    log_noise = np.log(np.maximum(noise / SMALLEST_FIT_NOISE, LEAST_NOISE_RATIO))
    early = np.broadcast_to(early, fit.shape) * ARRIVAL_GAIN
    return torch.from_numpy(np.stack([fit, fit * FIT_OVER_NOISE_GAIN / UNIT, log_noise, baseline, early])[None]).float()


def averaged(fit, noise, baseline, early=0.0):
    difference, around = NonlocalMeans()(maps_of(fit, noise, baseline, early))
    np.testing.assert_allclose(around[0, 0], fit + UNIT * difference[0].numpy(), atol=2e-5)
    np.testing.assert_allclose(around[0, 1], around[0, 0] * FIT_OVER_NOISE_GAIN / UNIT, atol=2e-5)
    return around[0, 0].numpy(), around[0, 2].exp().numpy()


def by_formula(fit, noise, baseline, early):
    """Pixel by pixel in double precision, as the class says it: nothing of it is shared."""
    rows, columns = fit.shape
    tissue = (noise > SMALLEST_FIT_NOISE * LEAST_NOISE_RATIO) & (baseline > 0)

    def pixels_around(row, column, reach):
        for y in range(max(row - reach, 0), min(row + reach + 1, rows)):
            for x in range(max(column - reach, 0), min(column + reach + 1, columns)):
                if tissue[y, x]:
                    yield y, x, (y - row) ** 2 + (x - column) ** 2

    def smoothed(values):
        smooth = np.zeros(fit.shape)
        for row, column in np.argwhere(tissue):
            found = [(np.exp(-apart / (2 * 0.4**2)), values[y, x]) for y, x, apart in pixels_around(row, column, 1)]
            smooth[row, column] = sum(w * v for w, v in found) / sum(w for w, _ in found)
        return smooth

    smooth, smooth_early = smoothed(fit), smoothed(early)
    result = fit.copy()
    for row, column in np.argwhere(tissue):
        total = weights = 0.0
        for y, x, apart in pixels_around(row, column, 3):
            exponent = apart / (2 * 2.0**2)
            exponent += (baseline[y, x] - baseline[row, column]) ** 2 / (2 * 0.2**2)
            exponent += (smooth[y, x] - smooth[row, column]) ** 2 / (2 * (2.0 * noise[row, column]) ** 2)
            exponent += (smooth_early[y, x] - smooth_early[row, column]) ** 2 / (2 * 2.0**2)
            weight = np.exp(-exponent) / noise[y, x] ** 2
            total, weights = total + weight * fit[y, x], weights + weight
        result[row, column] = total / weights
    return result


@given(seed=st.integers(0, 2**32 - 1), level=st.sampled_from([0.01, 0.1, 0.5, 2.0]))
@settings(max_examples=8, deadline=None)
def test_the_average_is_that_of_its_formula(seed, level):
    generator = np.random.default_rng(seed)
    fit, baseline = generator.normal(2, 1, (11, 14)), generator.normal(1, 0.6, (11, 14))
    noise = level * generator.uniform(0.5, 2, fit.shape)
    noise[generator.random(fit.shape) < 0.1] = 0
    early = generator.normal(0, 3, fit.shape)
    result, _ = averaged(fit, noise, baseline, early)
    np.testing.assert_allclose(result, by_formula(fit, noise, baseline, early), atol=1e-4)


def test_noise_of_one_tissue_falls_by_the_pixels_that_are_averaged():
    """In one tissue of much noise the weights are nearly those of distance alone: a normal of 2 pixels, cut at 3."""
    generator = np.random.default_rng(0)
    fit = 2 + generator.normal(0, 0.3, (96, 96))
    result, pixels = averaged(fit, np.full(fit.shape, 3.0), np.ones(fit.shape))
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 2.0**2))
    kept = (taps**2).sum() / taps.sum() ** 2
    inner = np.s_[4:-4, 4:-4]
    assert result[inner].std() == pytest.approx(0.3 * kept, rel=0.1)
    assert result.mean() == pytest.approx(2, abs=0.01)
    assert pixels[48, 48] == pytest.approx(taps.sum() ** 2, rel=0.02)


def test_neither_an_edge_of_the_baseline_nor_one_of_the_fit_is_smoothed():
    left = np.arange(40) < 20
    fit = np.where(left, 1.0, 3.0) * np.ones((40, 1))
    noise = np.full(fit.shape, 0.2)
    for baseline in (np.where(left, 0.5, 2.5) * np.ones((40, 1)), np.ones(fit.shape)):
        # The column at the edge is nearer to the other side by what the comparison's own smoothing does.
        np.testing.assert_allclose(averaged(fit, noise, baseline)[0], fit, atol=0.01)
    drowned, _ = averaged(fit, np.full(fit.shape, 4.0), np.ones(fit.shape))
    assert 1.3 < drowned[20, 19] < 2.7, "an edge that noise would hide is none to it"


def test_neighbors_whose_curves_come_earlier_are_another_tissue_however_alike_they_are_otherwise():
    """Two sides that noise would hide from each other, of which one is fed ten standard deviations earlier."""
    left = np.arange(40) < 20
    fit, noise = np.where(left, 1.0, 3.0) * np.ones((40, 1)), np.full((40, 40), 4.0)
    early = np.where(left, 5.0, -5.0) * np.ones((40, 1))
    together, _ = averaged(fit, noise, np.ones(fit.shape))
    apart, _ = averaged(fit, noise, np.ones(fit.shape), early)
    assert np.abs(together - fit).max() > 0.7
    np.testing.assert_allclose(apart, fit, atol=0.01)


def test_noise_of_when_curves_come_costs_few_neighbors():
    """Of two values with noise of variance v the weight is 1 / sqrt(1 + 2v / 2^2) on average."""
    fit, early = np.ones((96, 96)), np.random.default_rng(5).standard_normal((96, 96))
    _, pixels = averaged(fit, np.ones(fit.shape), fit, early)
    _, most = averaged(fit, np.ones(fit.shape), fit)
    beside = np.exp(-1 / (2 * 0.4**2))
    variance = ((1 + 2 * beside**2) / (1 + 2 * beside) ** 2) ** 2
    inner = np.s_[4:-4, 4:-4]
    # A pixel counts for itself wholly, and those beside it have some of its noise.
    assert pixels[inner].mean() == pytest.approx(1 + (most[48, 48] - 1) / np.sqrt(1 + variance / 2), rel=0.03)


def test_what_differs_by_far_more_than_the_noise_stays_as_it_is():
    fit = 0.05 * np.arange(32) + 0.37 * np.arange(32)[:, None]
    result, pixels = averaged(fit, np.full(fit.shape, 0.005), np.ones(fit.shape))
    np.testing.assert_allclose(result, fit, atol=1e-4)
    np.testing.assert_allclose(pixels, 1, atol=1e-3)


def test_the_more_noise_is_known_of_the_more_is_averaged():
    fit = np.random.default_rng(4).normal(2, 1, (32, 32))
    changes = [np.abs(averaged(fit, np.full(fit.shape, noise), np.ones(fit.shape))[0] - fit).mean() for noise in LEVELS]
    assert np.all(np.diff(changes) > 0)


def test_air_and_what_is_beyond_the_slice_count_for_nothing():
    generator = np.random.default_rng(2)
    fit, noise, baseline = generator.normal(2, 1, (24, 24)), np.full((24, 24), 0.5), np.ones((24, 24))
    noise[:, 12:], baseline[:, 12:], fit[:, 12:] = 0, 0.01, 50
    result, pixels = averaged(fit, noise, baseline)
    np.testing.assert_array_equal(result[:, 12:], np.float32(50))
    np.testing.assert_allclose(pixels[:, 12:], 1)
    np.testing.assert_allclose(result[:, :12], averaged(fit[:, :12], noise[:, :12], baseline[:, :12])[0], atol=1e-5)
    framed = torch.nn.functional.pad(maps_of(fit, noise, baseline), (8, 8, 8, 8))
    inside = NonlocalMeans()(framed)[0][0, 8:-8, 8:-8]
    np.testing.assert_allclose(inside, NonlocalMeans()(maps_of(fit, noise, baseline))[0][0], atol=1e-5)


def test_an_untrained_network_says_the_average_and_sees_as_far_as_it_tells():
    arguments = {"widths": (2, 2, 3, 3), "maps": 5, "refine": (1, 2), "refine_width": 4, "guided": True, "error": True}
    network = build_network("stunet", arguments).eval()
    assert network.refinement.reach == 3 + 4
    generator = np.random.default_rng(3)
    maps = maps_of(generator.normal(2, 1, (32, 32)), np.full((32, 32), 0.5), generator.normal(1, 0.2, (32, 32)))
    strips = torch.cat([torch.randn(1, 64, 32, 32), maps], dim=1)
    with torch.inference_mode():
        said = network(strips)
        assert torch.equal(said[:, 0], NonlocalMeans()(maps)[0])
        assert not said[:, 1].any()
        maps[0, 0, 16, 16] += 1
        rows, columns = (NonlocalMeans()(maps)[0][0] != said[0, 0]).nonzero(as_tuple=True)
    assert max(abs(rows - 16).max(), abs(columns - 16).max()) <= NonlocalMeans.reach
