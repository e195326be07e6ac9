"""Leakage in both directions: curves made by the model's own law come back, at any rate of coming back."""

from __future__ import annotations

import numpy as np
import pytest

from science.synthetic import gamma_variate, head_of, make_series
from stunet_perfusion.kinetics.reference.all_maps import BOLUS_MAPS, LEAKAGE_MAPS, extra_maps
from stunet_perfusion.kinetics.reference.bidirectional_leakage import RATES, BidirectionalModel
from stunet_perfusion.kinetics.reference.leakage import correct_leakage
from stunet_perfusion.kinetics.reference.maps import reference_cbv
from stunet_perfusion.preprocessing.preparation import prepare

TIMES = np.arange(80) * 1.5
RBAR = 12 * gamma_variate(TIMES, 20, 6) + 0.8 * np.clip((TIMES - 25) / 30, 0, 1)


def leaked(rate: float) -> np.ndarray:
    """(T,) the integral of Rbar on its way out and back, on a grid thirty times as fine."""
    fine = np.arange(0, TIMES[-1] + 1e-9, 0.05)
    curve = np.interp(fine, TIMES, RBAR)
    convolved = np.convolve(curve, np.exp(-rate * fine))[: len(fine)] * 0.05
    return np.interp(TIMES, fine, convolved)


@pytest.mark.parametrize("rate", [0.0, 0.003, 0.012, 0.03])
@pytest.mark.parametrize("k2", [0.02, -0.008])
def test_k2_and_the_corrected_area_come_back(rate: float, k2: float) -> None:
    model = BidirectionalModel.of(RBAR, TIMES)
    curve = 2.5 * RBAR - k2 * leaked(rate)
    found, found_rate, added = model.fit(curve[:, None].astype(np.float32))
    assert found[0] == pytest.approx(k2, rel=0.12)
    assert abs(np.searchsorted(RATES, found_rate[0]) - np.searchsorted(RATES, rate)) <= 1
    assert curve.sum() + added[0] == pytest.approx(2.5 * RBAR.sum(), rel=0.02)


def test_without_leakage_nothing_is_added() -> None:
    model = BidirectionalModel.of(RBAR, TIMES)
    found, _, added = model.fit((0.7 * RBAR)[:, None].astype(np.float32))
    assert abs(found[0]) < 1e-4
    assert abs(added[0]) < 1e-3 * RBAR.sum()


def test_at_a_rate_of_0_it_is_the_correction_of_boxerman() -> None:
    series = make_series(noise=4.0, frames=60)
    head = head_of(series.grid.shape)
    prepared = prepare(series, mask=head)
    arrival = prepared.bolus.arrival
    artery = 400 * gamma_variate(series.times, 16, 5)
    found = extra_maps(prepared, arrival, artery)
    cbv = reference_cbv(series, arrival, artery)
    expected = correct_leakage(cbv, series, arrival, artery, head, arrival)
    np.testing.assert_allclose(found.maps["k2"], expected.k2, atol=1e-6)
    np.testing.assert_allclose(found.maps["cbv_corrected"][head], expected.cbv[head], rtol=2e-4, atol=1e-6)


def test_all_maps_have_units_and_are_0_outside_the_brain() -> None:
    series = make_series(noise=4.0, frames=60)
    head = head_of(series.grid.shape)
    found = extra_maps(prepare(series, mask=head), 10, 400 * gamma_variate(series.times, 16, 5))
    assert found.maps.keys() == found.units.keys() == (BOLUS_MAPS | LEAKAGE_MAPS).keys()
    assert found.notes == ()
    for values in found.maps.values():
        assert values.dtype == np.float32
        assert not values[~head].any()
        assert np.isfinite(values).all()
    inside = {name: np.median(values[head]) for name, values in found.maps.items()}
    assert inside["bat"] + inside["ttp"] == pytest.approx(21, abs=0.6)
    assert inside["peak_height"] == pytest.approx(30, rel=0.05)
    assert inside["psr"] == pytest.approx(100, abs=3)


def test_without_voxels_that_do_not_enhance_leakage_is_left_out_with_a_sentence() -> None:
    series = make_series(frames=60)
    series.signal[-10:] *= 1.3
    found = extra_maps(prepare(series, mask=head_of(series.grid.shape)), 10, 400 * gamma_variate(series.times, 16, 5))
    assert found.maps.keys() == BOLUS_MAPS.keys()
    assert found.notes[0].startswith("Leakage is not mapped: synthetic has no voxel in the brain that does not enhance")
