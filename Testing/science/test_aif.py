"""The arterial input function: where it is known beforehand which voxels and which curve it has to be."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from science.synthetic import gamma_variate, make_series, oblique_grid
from stunet_perfusion.kinetics import aif
from stunet_perfusion.kinetics.aif import (
    ArterialInput,
    aif_from_file,
    aif_from_vessels,
    automatic_aif,
)
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting

ECHO_TIME = 0.03
TIMES = 1.5 * np.arange(60)
ARTERIAL_PEAK = 60.0
BASELINE = 10


def arterial_curve(delay: float = 0.0) -> np.ndarray:
    """(T,) delta R2* in 1/s: arrival at 17 s, peak 4.5 s later, a second pass of an eighth."""
    first, second = gamma_variate(TIMES, 17.0 + delay, 4.5), gamma_variate(TIMES, 31.0 + delay, 9.0)
    return ARTERIAL_PEAK * (first + second / 8)


def through_tissue(artery: np.ndarray, transit_time: float) -> np.ndarray:
    """The curve after a tissue with an exponential residue function; of the same area."""
    residue = np.exp(-TIMES / transit_time)
    return np.convolve(artery, residue / residue.sum())[: len(TIMES)]


@cache
def head_with_vessels(noise: float = 15.0, seed: int = 0, echo_time: float | None = ECHO_TIME) -> tuple:
    """A series of tissue with 3 % of arteries and 3 % of veins, and where those are.

    Arteries have the arterial curve at once, veins 4 s later and dispersed; partial volume 50 to 100 %. Tissue has
    a fifth to a twelfth of the arterial area, transit times of 4 to 6 s and delays of up to 1.5 s.
    """
    generator = np.random.default_rng(seed)
    shape = (3, 40, 40)
    kind = generator.choice(3, size=shape, p=[0.94, 0.03, 0.03])
    curves = np.empty((60, *shape))
    for voxel in np.ndindex(shape):
        tissue = through_tissue(arterial_curve(generator.uniform(0, 1.5)), generator.uniform(4, 6))
        tissue *= generator.uniform(1 / 12, 1 / 5)
        share = 0.0 if kind[voxel] == 0 else generator.uniform(0.5, 1)
        vessel = arterial_curve() if kind[voxel] == 1 else through_tissue(arterial_curve(4.0), 2.0)
        curves[(slice(None), *voxel)] = share * vessel + (1 - share) * tissue
    signal = 1000 * np.exp(-ECHO_TIME * curves)
    signal = np.hypot(signal + noise * generator.standard_normal(signal.shape), noise)
    series = DscSeries(signal.astype(np.float32), TIMES, oblique_grid(shape), echo_time, "vessels")
    prepared = PreparedSeries(series, np.ones(shape, dtype=bool), Bolus(BASELINE, 15), 0)
    return prepared, kind == 1, kind == 2


@pytest.mark.parametrize("noise", [8.0, 15.0, 25.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_arteries_are_found_and_nothing_else(noise, seed):
    prepared, arteries, _ = head_with_vessels(noise, seed)
    found = automatic_aif(prepared)
    assert found.voxels is not None
    assert found.voxels.sum() >= 3
    assert not (found.voxels & ~arteries).any()
    # Partial volume scales the curve: half to all of the true one
    assert 0.5 * ARTERIAL_PEAK < found.curve.max() < 1.05 * ARTERIAL_PEAK
    # The tissue that shares the voxels peaks up to two frames later
    assert 0 <= found.curve.argmax() - arterial_curve().argmax() <= 1
    assert np.corrcoef(found.curve, arterial_curve())[0, 1] > 0.98


def test_the_same_series_gives_the_same_aif():
    prepared, *_ = head_with_vessels()
    once, again = automatic_aif(prepared), automatic_aif(prepared)
    assert np.array_equal(once.voxels, again.voxels)
    assert np.array_equal(once.curve, again.curve)


def test_the_curve_is_the_mean_concentration_of_the_marked_voxels():
    prepared, *_ = head_with_vessels()
    found = automatic_aif(prepared)
    same = aif_from_vessels(prepared, found.voxels)
    np.testing.assert_allclose(found.curve, same.curve, rtol=1e-5, atol=1e-4)
    assert f"{found.voxels.sum()} voxels" in found.source
    assert f"{found.voxels.sum()} voxels" in same.source


def test_without_te_the_curve_is_te_times_delta_r2star():
    known, *_ = head_with_vessels()
    unknown, *_ = head_with_vessels(echo_time=None)
    one, other = automatic_aif(known), automatic_aif(unknown)
    assert np.array_equal(one.voxels, other.voxels)
    np.testing.assert_allclose(other.curve, ECHO_TIME * one.curve, rtol=1e-5, atol=1e-5)


def test_voxels_whose_signal_is_gone_are_no_candidates():
    prepared, arteries, _ = head_with_vessels()
    lost = np.argwhere(arteries)[:10]
    signal = prepared.series.signal.copy()
    for z, y, x in lost:
        signal[14:17, z, y, x] = 0
    found = automatic_aif(replace(prepared, series=replace(prepared.series, signal=signal)))
    assert not any(found.voxels[tuple(voxel)] for voxel in lost)
    assert np.isfinite(found.curve).all()


def with_curve(prepared: PreparedSeries, voxels: np.ndarray, curve: np.ndarray) -> PreparedSeries:
    """The same series with another delta R2* in some voxels."""
    signal = prepared.series.signal.copy()
    signal[:, voxels] = (1000 * np.exp(-ECHO_TIME * curve)).astype(np.float32)[:, None]
    return replace(prepared, series=replace(prepared.series, signal=signal))


def test_a_small_area_excludes_a_perfect_curve():
    # The arterial curve at a twentieth of its height: less area than nine tenths of the brain
    prepared, *_ = head_with_vessels()
    weak = np.zeros_like(prepared.brain)
    weak[1, 10, 5:35] = True
    found = automatic_aif(with_curve(prepared, weak, arterial_curve() / 20))
    assert not (found.voxels & weak).any()


def test_an_irregular_curve_is_excluded_however_early_and_large():
    # Twice the arterial area, one frame earlier, but with a signal that jumps from frame to frame
    prepared, *_ = head_with_vessels()
    jumping = np.zeros_like(prepared.brain)
    jumping[1, 10, 5:35] = True
    curve = 2 * arterial_curve(-1.5)
    curve[10:] += 30 * (-1.0) ** np.arange(50)
    found = automatic_aif(with_curve(prepared, jumping, curve))
    assert not (found.voxels & jumping).any()
    early = automatic_aif(with_curve(prepared, jumping, 2 * arterial_curve(-1.5)))
    assert (early.voxels & jumping).any()


@pytest.mark.parametrize("voxels", [1, 2, 5, 12, 40])
def test_few_voxels(voxels):
    prepared, arteries, _ = head_with_vessels()
    few = np.zeros_like(prepared.brain)
    few.flat[np.flatnonzero(arteries)[:voxels]] = True
    found = automatic_aif(replace(prepared, brain=few))
    assert 1 <= found.voxels.sum() <= voxels
    assert not (found.voxels & ~few).any()
    assert np.corrcoef(found.curve, arterial_curve())[0, 1] > 0.95


def test_voxels_that_are_all_the_same():
    signal = 1000 * np.exp(-ECHO_TIME * arterial_curve())[:, None, None, None] * np.ones((1, 2, 20, 20))
    series = DscSeries(signal.astype(np.float32), TIMES, oblique_grid((2, 20, 20)), ECHO_TIME, "copies")
    prepared = PreparedSeries(series, np.ones((2, 20, 20), dtype=bool), Bolus(BASELINE, 15), 0)
    np.testing.assert_allclose(automatic_aif(prepared).curve, arterial_curve(), atol=1e-2)


def test_no_voxel_takes_up_contrast():
    prepared, *_ = head_with_vessels()
    rising = replace(prepared.series, signal=2000 - prepared.series.signal)
    with pytest.raises(InputError, match=r"vessels: has hardly a voxel in the brain that takes up contrast") as caught:
        automatic_aif(replace(prepared, series=rising))
    assert caught.value.settings == (Setting.VESSELS, Setting.AIF)


def test_only_the_candidates_concentrations_exist_at_once():
    series = make_series(frames=60, shape=(12, 64, 64), noise=8.0)
    prepared = prepare(series)
    tracemalloc.start()
    automatic_aif(prepared)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A tenth of the brain's voxels, some times over in double precision for k-means
    assert peak < 0.5 * series.signal.nbytes


# --- vessel mask -----------------------------------------------------------------------------------------------------


def test_vessel_mask_averages_concentrations_not_signals():
    # A bright and a dark artery of the same concentration, and one of half of it: the mean is 5/6.
    curve = arterial_curve()
    brightness, share = np.array([100.0, 2000.0, 500.0]), np.array([1.0, 1.0, 0.5])
    signal = (brightness * np.exp(-ECHO_TIME * curve[:, None] * share)).astype(np.float32)
    series = DscSeries(signal.reshape(60, 1, 1, 3), TIMES, oblique_grid((1, 1, 3)), ECHO_TIME, "three")
    prepared = PreparedSeries(series, np.ones((1, 1, 3), dtype=bool), Bolus(BASELINE, 15), 0)
    aif = aif_from_vessels(prepared, np.ones((1, 1, 3), dtype=bool))
    np.testing.assert_allclose(aif.curve, 5 / 6 * curve, atol=2e-4)


def test_vessel_voxels_without_signal_are_left_out():
    prepared, arteries, _ = head_with_vessels()
    dark = prepared.series.signal.copy()
    dark[:, 0] = 0
    found = aif_from_vessels(replace(prepared, series=replace(prepared.series, signal=dark)), arteries)
    arteries = arteries.copy()
    arteries[0] = False
    assert np.array_equal(found.voxels, arteries)
    np.testing.assert_allclose(found.curve, aif_from_vessels(prepared, arteries).curve, rtol=1e-12)


def test_baseline_frames_are_those_asked_for():
    prepared, arteries, _ = head_with_vessels()
    first = aif_from_vessels(prepared, arteries, baseline_frames=1)
    mean = aif_from_vessels(prepared, arteries)
    assert first.curve[0] == pytest.approx(0, abs=1e-6)
    assert mean.curve[0] != pytest.approx(0, abs=1e-6)
    assert mean.curve[:BASELINE].mean() == pytest.approx(0, abs=0.05)


def test_vessel_masks_that_do_not_do():
    prepared, *_ = head_with_vessels()
    with pytest.raises(InputError, match="on the grid of the series"):
        aif_from_vessels(prepared, np.ones((3, 40, 41), dtype=bool))
    with pytest.raises(InputError, match="vessel mask: has no voxel with signal"):
        aif_from_vessels(prepared, np.zeros((3, 40, 40), dtype=bool))
    rising = replace(prepared, series=replace(prepared.series, signal=2000 - prepared.series.signal))
    with pytest.raises(InputError, match="area is not positive"):
        aif_from_vessels(rising, np.ones((3, 40, 40), dtype=bool))


# --- text file -------------------------------------------------------------------------------------------------------


@pytest.fixture
def prepared() -> PreparedSeries:
    """40 frames of which the first 2 were left out."""
    return prepare(make_series(unsteady_frames=2, noise=5.0))


def written(folder, values, name="aif.txt", header=""):
    path = folder / name
    path.write_text(header + "\n".join(f"{value:.10g}" for value in values) + "\n", encoding="utf-8")
    return path


def curve_of(frames: int) -> np.ndarray:
    return 30 * gamma_variate(1.5 * np.arange(frames), 16.0, 5.0)


def test_a_file_of_all_frames_loses_the_first_ones(tmp_path, prepared):
    aif = aif_from_file(written(tmp_path, curve_of(40)), prepared)
    np.testing.assert_allclose(aif.curve, curve_of(40)[2:], rtol=1e-9)
    assert aif.voxels is None
    assert "aif.txt" in aif.source


def test_a_file_of_the_steady_frames_is_taken_as_it_is(tmp_path, prepared):
    path = written(tmp_path, curve_of(40)[2:], header="\ufeff# delta R2*\n\n")
    np.testing.assert_allclose(aif_from_file(path, prepared).curve, curve_of(40)[2:], rtol=1e-9)


@pytest.mark.parametrize("first", [0, 2])
def test_a_file_of_the_signal_is_turned_into_concentration(tmp_path, prepared, first):
    signal = 812.5 * np.exp(-prepared.series.echo_time * curve_of(40))
    signal[:2] *= 1.2
    aif = aif_from_file(written(tmp_path, signal[first:]), prepared, is_signal=True)
    np.testing.assert_allclose(aif.curve, curve_of(40)[2:], atol=1e-6)


def test_a_signal_without_te_is_in_the_unit_of_the_tissue(tmp_path, prepared):
    unknown = replace(prepared, series=replace(prepared.series, echo_time=None))
    signal = 812.5 * np.exp(-0.03 * curve_of(40))
    aif = aif_from_file(written(tmp_path, signal), unknown, is_signal=True)
    np.testing.assert_allclose(aif.curve, 0.03 * curve_of(40)[2:], atol=1e-7)


def test_a_concentration_file_needs_te(tmp_path, prepared):
    unknown = replace(prepared, series=replace(prepared.series, echo_time=None))
    with pytest.raises(InputError, match=r"^aif\.txt: .* without its TE; give the echo time") as caught:
        aif_from_file(written(tmp_path, curve_of(40)), unknown)
    assert caught.value.settings == (Setting.ECHO_TIME, Setting.AIF_IS_SIGNAL)


@pytest.mark.parametrize(
    ("line", "word"), [("0,5", "0,5"), ("nan", "nan"), ("inf", "inf"), ("1.0 2.0", "1.0 2.0"), ("TR = 1.5", "TR = 1.5")]
)
def test_a_line_that_is_no_number_is_named(tmp_path, prepared, line, word):
    lines = [f"{value:g}" for value in curve_of(40)]
    lines[17] = line
    path = tmp_path / "aif.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=rf"^aif\.txt: line 18 is no number: '{word}'"):
        aif_from_file(path, prepared)


@pytest.mark.parametrize("count", [0, 1, 37, 39, 41, 80])
def test_the_number_of_values_must_be_that_of_the_frames(tmp_path, prepared, count):
    with pytest.raises(InputError, match=rf"has {count} values, and synthetic has 40 \(38 steady\) frames"):
        aif_from_file(written(tmp_path, np.ones(count)), prepared)


def test_a_signal_that_is_given_as_concentration_is_noticed(tmp_path, prepared):
    signal = 800 * np.exp(-0.03 * curve_of(40))
    with pytest.raises(InputError, match=r"does not begin near zero.*are the signal") as caught:
        aif_from_file(written(tmp_path, signal), prepared)
    assert caught.value.settings == (Setting.AIF_IS_SIGNAL,)


def test_files_that_cannot_be_an_aif(tmp_path, prepared):
    with pytest.raises(InputError, match="does not exist"):
        aif_from_file(tmp_path / "none.txt", prepared)
    binary = tmp_path / "image.txt"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as text"):
        aif_from_file(binary, prepared)
    with pytest.raises(InputError, match="area is not positive"):
        aif_from_file(written(tmp_path, -curve_of(40)), prepared)
    with pytest.raises(InputError, match="area is not positive"):
        aif_from_file(written(tmp_path, np.zeros(40)), prepared)
    with pytest.raises(InputError, match="signal values that are not positive"):
        aif_from_file(written(tmp_path, curve_of(40)), prepared, is_signal=True)


def test_arterial_input_of_a_file_has_the_frames_of_the_series(tmp_path, prepared):
    aif = aif_from_file(written(tmp_path, curve_of(40)), prepared)
    assert isinstance(aif, ArterialInput)
    assert aif.curve.shape == (prepared.series.frames,)
    assert aif.curve.dtype == np.float64


def test_a_vessel_mask_on_air_is_no_artery():
    """A curve that is noise before the bolus and noise after it passes for no arterial input."""
    prepared, _, _ = head_with_vessels()
    air = replace(prepared.series, signal=prepared.series.signal.copy())
    generator = np.random.default_rng(0)
    air.signal[:, 0, :2, :2] = np.hypot(*(15 * generator.standard_normal((2, 60, 2, 2))))
    mask = np.zeros(air.grid.shape, dtype=bool)
    mask[0, 0, 0] = True
    with pytest.raises(InputError, match=r"does not rise out of its noise|area is not positive"):
        aif_from_vessels(replace(prepared, series=air), mask)


def test_a_subset_of_the_candidates_finds_the_same_arteries(monkeypatch):
    prepared, arteries, _ = head_with_vessels()
    whole = automatic_aif(prepared)
    monkeypatch.setattr(aif, "MOST_CANDIDATES", 60)
    part = automatic_aif(prepared)
    assert part.voxels is not None
    assert whole.voxels is not None
    assert 3 <= part.voxels.sum() < whole.voxels.sum()
    assert not (part.voxels & ~arteries).any()
    assert np.corrcoef(part.curve, whole.curve)[0, 1] > 0.98
