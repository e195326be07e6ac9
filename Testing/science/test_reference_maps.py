"""Reference maps of whole series: what belongs to which voxel, odd voxels, units, the baseline."""

from __future__ import annotations

import numpy as np
import pytest

from science.synthetic import gamma_variate, head_of, make_series
from stunet_perfusion.kinetics.concentration import baseline_signal, concentration
from stunet_perfusion.kinetics.reference import (
    ReferenceMaps,
    absolute_maps,
    baseline_frames,
    first_pass_cbv,
    oscillation_index_cbf,
    reference_cbv,
    reference_maps,
)
from stunet_perfusion.kinetics.reference import maps as maps_module
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Cancelled

BOLUS = Bolus(arrival=10, peak=14)


def arterial(series: DscSeries, peak: float = 400.0) -> np.ndarray:
    """The AIF whose shape is that of `make_series`' tissue."""
    return peak * gamma_variate(series.times, 16.0, 5.0)


def series_of(curves: np.ndarray) -> DscSeries:
    """One row of voxels with these signals, (T, V)."""
    signal = curves[:, None, None, :].astype(np.float32)
    return DscSeries(signal, 1.5 * np.arange(len(curves)), Grid(signal.shape[1:], np.eye(4)), 0.03)


def test_cbv_is_the_ratio_of_areas_in_every_voxel():
    """Tissue has the artery's shape: delta R2* = 40 side(x) over 400, so CBV is 0.1 side(x) exactly."""
    series = make_series()
    cbv = reference_cbv(series, 8, arterial(series))
    side = np.broadcast_to(0.75 - 0.25 * np.linspace(-1, 1, cbv.shape[2]), cbv.shape)
    np.testing.assert_allclose(cbv[head_of(cbv.shape)], 0.1 * side[head_of(cbv.shape)], rtol=1e-4)
    assert not cbv[~head_of(cbv.shape)].any()


def test_maps_of_a_series_are_those_of_its_voxels():
    series = make_series(noise=6.0, shape=(3, 20, 18))
    mask, aif = head_of((3, 20, 18)), arterial(series)
    maps = reference_maps(series, 8, aif, mask)
    curves = concentration(series.signal, baseline_signal(series.signal, 8), series.echo_time)[:, mask]
    np.testing.assert_allclose(maps.cbf[mask], oscillation_index_cbf(curves, aif, 1.5).astype(np.float32))
    np.testing.assert_allclose(maps.cbv[mask], curves.sum(axis=0) / aif.sum(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps.mtt[mask] * maps.cbf[mask], maps.cbv[mask], rtol=1e-5)
    np.testing.assert_array_equal(maps.cbv, reference_cbv(series, 8, aif))
    assert not maps.cbf[~mask].any()
    assert not maps.mtt[~mask].any()
    assert all(image.dtype == np.float32 and image.shape == (3, 20, 18) for image in vars(maps).values())


def test_unknown_echo_time_gives_the_same_maps():
    """CBV, CBF and MTT are ratios: tissue and artery in TE * delta R2* do as well."""
    known, unknown = make_series(noise=6.0), make_series(noise=6.0, echo_time=None)
    mask, aif = head_of(known.grid.shape), arterial(known)
    with_te, without = reference_maps(known, 8, aif, mask), reference_maps(unknown, 8, 0.03 * aif, mask)
    np.testing.assert_allclose(without.cbv, with_te.cbv, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.median(without.cbf[mask]), np.median(with_te.cbf[mask]), rtol=1e-3)


def test_odd_voxels():
    """As the original does it, but for NaN and infinity, where its CBV is NaN and ours is 0."""
    times = 1.5 * np.arange(50)
    normal = 500 * np.exp(-0.03 * 30 * gamma_variate(times, 16.0, 5.0))
    voxels = {
        "normal": normal,
        "constant": np.full(50, 300.0),
        "zero": np.zeros(50),
        "first frame zero": np.where(np.arange(50) == 0, 0, normal),
        "one NaN": np.where(np.arange(50) == 20, np.nan, normal),
        "one infinity": np.where(np.arange(50) == 20, np.inf, normal),
        "one zero": np.where(np.arange(50) == 14, 0, normal),
        "first frame high": np.where(np.arange(50) == 0, 1.1 * normal, normal),
        "enhancing": 500 * (1 + 0.4 * (times > 20)),
        "negative": -normal,
    }
    series = series_of(np.stack(list(voxels.values()), axis=1))
    aif = 400 * gamma_variate(times, 16.0, 5.0)
    maps = reference_maps(series, 1, aif, np.ones(series.grid.shape, bool))
    found = {name: (maps.cbv[0, 0, i], maps.cbf[0, 0, i], maps.mtt[0, 0, i]) for i, name in enumerate(voxels)}
    assert all(np.isfinite(values).all() for values in found.values())
    for name in ("constant", "zero", "first frame zero", "one NaN", "one infinity"):
        assert found[name] == (0, 0, 0), name
    cbv, cbf, mtt = found["normal"]
    assert cbv == pytest.approx(30 / 400, rel=1e-4)
    assert mtt == pytest.approx(cbv / cbf)
    # A voxel without logarithm in one frame loses the area of this frame: C = -q / TE = 0 there.
    frame = 30 * gamma_variate(times, 16.0, 5.0)[14]
    assert found["one zero"][0] == pytest.approx(cbv - frame / aif.sum(), rel=1e-3)
    # ln 1.1 / TE more in 49 frames.
    assert found["first frame high"][0] == pytest.approx(cbv + 49 * np.log(1.1) / 0.03 / aif.sum(), rel=1e-3)
    # -ln 1.4 / TE in the frames after 20 s; negative CBV is kept.
    assert found["enhancing"][0] == pytest.approx(-(times > 20).sum() * np.log(1.4) / 0.03 / aif.sum(), rel=1e-3)
    assert found["negative"][0] == pytest.approx(cbv, rel=1e-4)


def test_absolute_scaling():
    """k_H = 0.55 / 0.75, rho = 1.04 g/ml: 0.705128 ml/100 g for each percent."""
    maps = ReferenceMaps(*(np.full((1, 1, 1), value, np.float32) for value in (0.04, 0.01, 4.0, 1.5)))
    absolute = absolute_maps(maps)
    assert absolute.cbv.item() == pytest.approx(4 * 0.705128, rel=1e-5)
    assert absolute.cbf.item() == pytest.approx(60 * 0.705128, rel=1e-5)
    assert absolute.mtt.item() == 4


@pytest.mark.parametrize(("choice", "frames"), [("first", 1), ("auto", 10), (1, 1), (7, 7), (10, 10)])
def test_baseline_frames(choice, frames):
    assert baseline_frames(choice, BOLUS) == frames


@pytest.mark.parametrize("choice", [0, -3, 11, 14, "all"])
def test_baseline_that_is_none(choice):
    with pytest.raises(InputError, match=r"^baseline: "):
        baseline_frames(choice, BOLUS)


def test_baseline_over_more_frames_is_less_noisy():
    """CBV of voxels without contrast: its variance is that of the sum of T noisy frames and of T times S0."""
    signal = 500 + 5 * np.random.default_rng(0).standard_normal((50, 4000))
    series, aif = series_of(signal), 400 * gamma_variate(1.5 * np.arange(50), 16.0, 5.0)
    spreads = {frames: reference_cbv(series, frames, aif).std() for frames in (1, 10)}
    unit = 0.01 / 0.03 / aif.sum()
    assert spreads[1] == pytest.approx(unit * np.sqrt(49 + 49**2), rel=0.05)
    assert spreads[10] == pytest.approx(unit * np.sqrt(40 + 10 * 4**2), rel=0.05)


@pytest.mark.parametrize("aif", [np.zeros(40), -np.ones(40), np.full(40, np.nan), np.ones(39)])
def test_refuses_what_is_no_aif(aif):
    series = make_series(shape=(1, 8, 8))
    with pytest.raises(InputError, match="AIF"):
        reference_cbv(series, 5, aif)
    with pytest.raises(InputError, match="AIF"):
        reference_maps(series, 5, aif, head_of((1, 8, 8)))


def test_goes_through_a_large_series_slab_by_slab(monkeypatch):
    """Two slices at a time, the last alone, give what all at once give; and it stops between two when asked."""
    series = make_series(noise=6.0, shape=(5, 16, 14))
    mask, aif, seen = head_of(series.grid.shape), arterial(series), []
    at_once = reference_maps(series, 8, aif, mask)
    monkeypatch.setattr(maps_module, "_VALUES_AT_ONCE", 2 * series.signal[:, 0].size)
    in_slabs = reference_maps(series, 8, aif, mask, progress=lambda *report: seen.append(report))
    for name, image in vars(at_once).items():
        np.testing.assert_array_equal(getattr(in_slabs, name), image)
    np.testing.assert_array_equal(reference_cbv(series, 8, aif), at_once.cbv)
    assert seen == [
        (0.0, "Deconvolving slices 1 to 2 of 5"),
        (0.4, "Deconvolving slices 3 to 4 of 5"),
        (0.8, "Deconvolving slices 5 to 5 of 5"),
    ]

    def stop_in_the_second() -> None:
        if len(seen) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        reference_maps(
            series, 8, aif, mask, progress=lambda *report: seen.append(report), check_cancelled=stop_in_the_second
        )
    assert len(seen) == 4


def test_does_not_touch_the_signal():
    series = make_series(noise=6.0)
    before = series.signal.copy()
    reference_maps(series, 8, arterial(series), head_of(series.grid.shape))
    np.testing.assert_array_equal(series.signal, before)


@pytest.mark.parametrize("drift", [-0.01, 0.01])
def test_the_first_pass_keeps_its_zero_where_the_signal_drifts(drift):
    """A voxel without blood: over T frames a drift of the signal by `drift` sums to about -drift T / 2 / TE.

    The closed form of all frames is off by that; the first pass, of fewer frames, by the square of their share.
    """
    series = make_series(frames=80, shape=(1, 40, 36))
    empty = np.zeros(series.grid.shape, bool)
    empty[0, 18:22, 16:20] = True
    series.signal[:, empty] = 500
    series.signal[:] *= (1 + drift * np.linspace(0, 1, 80, dtype=np.float32))[:, None, None, None]
    curve = arterial(series)
    of_all = reference_cbv(series, BOLUS.arrival, curve)[empty].mean()
    of_first_pass = first_pass_cbv(series, BOLUS, curve)[empty].mean()
    expected = -drift * (80 - 1 - 9) / 2 / series.echo_time / curve.sum()
    assert of_all == pytest.approx(expected, rel=0.05)
    assert abs(of_first_pass) < 0.15 * abs(of_all)


def test_the_first_pass_has_the_ratios_of_the_whole_where_nothing_recirculates():
    series = make_series(frames=80, shape=(1, 40, 36))
    head = head_of((1, 40, 36))
    whole = reference_cbv(series, BOLUS.arrival, arterial(series))[head]
    part = first_pass_cbv(series, BOLUS, arterial(series))[head]
    np.testing.assert_allclose(part / part.mean(), whole / whole.mean(), rtol=1e-3)
