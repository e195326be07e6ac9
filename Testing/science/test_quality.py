"""What is seen in damaged series, what is mended, and what is refused with which cause."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from science.damaged_series import FRAMES, Head, make_head
from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.preprocessing.mending import MendSettings, bridge_weights, noise_factor, parse_mend
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.series import DscSeries, check_series
from stunet_perfusion.support.errors import InputError

OFF = MendSettings(False, False, False)


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head()


def ratio(prepared: PreparedSeries, head: Head) -> float:
    """Blood volume of the tumor over white matter, over the true ratio, in closed form."""
    cbv = first_pass_cbv(prepared.series, prepared.bolus, automatic_aif(prepared).curve)
    true = head.cbv[head.tumor].mean() / head.cbv[head.white].mean()
    return float(cbv[head.tumor].mean() / cbv[head.white].mean() / true)


def test_a_series_without_damage_is_what_prepare_makes_of_it(head):
    prepared, plain = prepare_scan(head.series), prepare(head.series)
    assert np.shares_memory(prepared.series.signal, head.series.signal)
    assert np.array_equal(prepared.series.signal, plain.series.signal)
    assert np.array_equal(prepared.brain, plain.brain)
    assert (prepared.bolus, prepared.dropped_frames) == (plain.bolus, plain.dropped_frames)
    assert prepared.series.notes == plain.series.notes
    assert prepared.doubt is None
    assert prepared.quality is not None
    assert prepared.quality.light == "green"
    assert not prepared.quality.mended
    json.dumps(prepared.quality.document(), allow_nan=False)


def damaged_frame(frame: int, factor: float):
    def change(signal):
        signal[frame] *= factor
        return signal

    return change


def damaged_slice(signal):
    signal[20, 1] *= 0.2
    return signal


def maps_at_end(signal):
    """The scanner's own maps, taken as three more frames."""
    signal[-3:] = 900 * np.abs(np.log(np.maximum(signal[19], 1) / np.maximum(signal[3:10].mean(0), 1)))
    return signal


def stripes(signal):
    signal[40] += 250 * np.sign(np.sin(np.arange(signal.shape[3]) / 2)) * (signal[40] > 100)
    return np.abs(signal)


def step_up(signal):
    signal[32:] *= 1.15
    return signal


def step_at_start(signal):
    signal[:5] *= 0.85
    return signal


def drift(last: float):
    return lambda signal: signal * np.linspace(1, last, len(signal))[:, None, None, None]


def moved(signal):
    signal[19:] = ndimage.shift(signal[19:], (0, 0, 0.9, 0.8), order=1)
    return signal


def two_boluses(signal):
    again = signal[5:] * np.clip(signal[-8:].mean(0) / np.maximum(signal[4:11].mean(0), 1), 0.3, 2)
    return np.concatenate([signal, again])


@pytest.mark.parametrize(
    ("change", "finding", "mended"),
    [
        (damaged_frame(8, 0.5), "damaged_frames", "frames"),
        (damaged_frame(45, 0.5), "damaged_frames", "frames"),
        (damaged_frame(30, 1.4), "damaged_frames", "frames"),
        (damaged_frame(-1, 0.0), "damaged_frames", "frames"),
        (damaged_frame(25, 0.0), "damaged_frames", "frames"),
        (damaged_slice, "damaged_frames", "frames"),
        (maps_at_end, "damaged_frames", "frames"),
        (stripes, "damaged_frames", "frames"),
        (step_up, "level", "level"),
        (step_at_start, "level", "level"),
        (drift(1.12), "level", "level"),
        (drift(0.88), "level", "level"),
        (moved, "motion", "motion"),
        (two_boluses, "injections", None),
    ],
)
def test_damage_is_seen_mended_and_said(head, change, finding, mended):
    series = head.changed(change)
    before = series.signal.copy()
    prepared = prepare_scan(series)
    quality = prepared.quality
    assert quality is not None
    seen = quality.finding(finding)
    assert seen is not None
    assert seen.light == "yellow"
    assert quality.light == "yellow"
    assert [each.name for each in quality.mended] == ([mended] if mended else [])
    assert ratio(prepared, head) == pytest.approx(1, abs=0.08)
    np.testing.assert_array_equal(series.signal, before)
    if mended:
        assert prepared.doubt is not None
        assert any(note.startswith("Mended: ") for note in prepared.series.notes)
        cbv, error = head.cbv.astype(np.float32), np.where(head.brain, 0.001, 0).astype(np.float32)
        wider = prepared.doubt.widened(error, cbv, 0.03)
        assert (wider >= error).all()
        assert wider.sum() > error.sum()
        assert not wider[~head.brain].any()


@pytest.mark.parametrize("change", [damaged_frame(45, 0.5), step_up, moved])
def test_what_may_not_be_mended_is_a_red_light(head, change):
    prepared = prepare_scan(head.changed(change), mend=OFF)
    assert prepared.quality is not None
    assert prepared.quality.light == "red"
    assert prepared.doubt is None
    assert any(note.startswith("Quality: ") for note in prepared.series.notes)


@pytest.mark.parametrize("wanted", [1, 2])
def test_the_bolus_can_be_chosen(head, wanted):
    prepared = prepare_scan(head.changed(two_boluses), bolus=wanted)
    peak = prepared.dropped_frames + prepared.bolus.peak
    assert abs(peak - (19 if wanted == 1 else 74)) <= 1
    assert prepared.dropped_frames + prepared.series.frames + prepared.dropped_last == 115
    assert ratio(prepared, head) == pytest.approx(1, abs=0.08)
    with pytest.raises(InputError, match="has 2 boluses, and not 3"):
        prepare_scan(head.changed(two_boluses), bolus=3)


def test_a_half_dose_before_the_full_one_is_the_preload(head):
    def half_then_full(signal):
        s0 = signal[3:11].mean(axis=0)
        half = np.sqrt(np.maximum(signal, 1) * s0)
        return np.concatenate([half, signal[4:] * np.clip(half[-6:].mean(0) / np.maximum(s0, 1), 0.3, 2)])

    prepared = prepare_scan(head.changed(half_then_full))
    assert prepared.dropped_frames + prepared.bolus.peak == pytest.approx(FRAMES + 15, abs=1)
    assert ratio(prepared, head) == pytest.approx(1, abs=0.08)


def rising(signal):
    return np.clip(2 * signal[2:11].mean(0) - signal, 0, None)


def relaxation_rate(signal):
    return np.clip(-np.log(np.maximum(signal, 1) / np.maximum(signal[:10].mean(0), 1)), 0, 5) * (signal.mean(0) > 100)


def divided_by_mean(signal):
    y, x = np.mgrid[: signal.shape[2], : signal.shape[3]]
    ring = ((y - 32) / 31) ** 2 + ((x - 32) / 26) ** 2
    signal = signal + np.where((ring < 1) & (ring > 0.8), 500, 0)
    return signal / signal.mean(axis=(1, 2, 3), keepdims=True) * 300


def phase(signal):
    generator = np.random.default_rng(0)
    return np.where(signal.mean(0) > 100, signal, generator.uniform(0, 4095, signal.shape))


def slopes_lost(signal):
    return signal / (1 + 0.01 * np.arange(len(signal)))[:, None, None, None]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda signal: signal[::-1], "in reverse order"),
        (lambda signal: signal[np.r_[0:FRAMES:2, 1:FRAMES:2]], "even frames first and odd ones after them"),
        (lambda signal: signal[np.r_[1:FRAMES:2, 0:FRAMES:2]], "odd frames first and even ones after them"),
        (lambda signal: signal[np.array(sorted(range(1, FRAMES + 1), key=str)) - 1], "by file name"),
        (lambda signal: signal[np.random.default_rng(0).permutation(FRAMES)], "in no order of time"),
        (rising, "rises by 2. % where a bolus lowers the signal"),
        (relaxation_rate, "holds concentrations, relaxation rates"),
        (divided_by_mean, "divided by their means"),
        (phase, "phase images"),
        (slopes_lost, "rescale slope was lost"),
    ],
)
def test_what_cannot_be_mended_is_refused_with_its_cause(head, change, cause):
    with pytest.raises(InputError, match=cause):
        prepare_scan(head.changed(change))


def test_the_repetition_time_of_one_slice_is_refused(head):
    series = replace(head.series, times=np.arange(FRAMES) * 0.065)
    with pytest.raises(InputError, match=r"0\.065 s is not the time between frames"):
        prepare_scan(series)


def test_grids_in_other_units_are_red(head):
    grid = head.series.grid
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, :3] /= 1000
    prepared = prepare_scan(replace(head.series, grid=replace(grid, ijk_to_ras=matrix)))
    assert prepared.quality is not None
    assert prepared.quality.finding("brain_volume").light == "red"


def test_scrambled_slices_are_red():
    head = make_head(slices=8)
    assert prepare_scan(head.series).quality.finding("slice_order").light == "green"
    scrambled = head.changed(lambda signal: signal[:, [0, 4, 1, 5, 2, 6, 3, 7]])
    assert prepare_scan(scrambled).quality.finding("slice_order").light == "red"


def test_saturated_and_smoothed_series_have_a_light(head):
    saturated = prepare_scan(head.changed(lambda signal: np.minimum(signal, 620))).quality
    assert saturated.finding("saturation").light == "red"
    smoothed = prepare_scan(head.changed(lambda s: ndimage.gaussian_filter(s, (0, 0, 1.2, 1.2)))).quality
    assert smoothed.finding("smoothing").light == "yellow"


def test_voxels_beyond_the_field_of_view_are_outside_of_it(head):
    def beyond(signal):
        signal[:, :, :6] = np.nan
        signal[10:, :, 6] = np.nan
        signal[40] = np.nan
        return signal

    series = check_series(head.changed(beyond))
    assert not series.signal[:, :, :7].any()
    assert not series.signal[40].any()
    assert any("outside of the field of view" in note for note in series.notes)
    assert ratio(prepare_scan(series), head) == pytest.approx(1, abs=0.08)


def test_a_bridge_is_exact_for_a_cubic_and_its_noise_is_counted():
    damaged = np.zeros(12, bool)
    damaged[[5, 6]] = True
    times = np.arange(12.0)
    cubic = 2 + times - 0.3 * times**2 + 0.02 * times**3
    for frame, (ends, weights) in bridge_weights(damaged).items():
        assert weights @ cubic[ends] == pytest.approx(cubic[frame])
    one = np.zeros((1, 12), bool)
    one[0, 6] = True
    weights = np.where(np.arange(12) < 4, -8 / 4, 1.0)
    new = weights.copy()
    new[[4, 5, 7, 8]] += np.array([-1, 4, 4, -1]) / 6
    new[6] = 0
    expected = np.sqrt((new**2).sum() / (weights**2).sum())
    assert noise_factor(one, 4, 12)[0] == pytest.approx(max(expected, np.sqrt(12 / 11)))


def test_mend_is_parsed():
    assert parse_mend("auto") == MendSettings()
    assert parse_mend("off") == OFF
    assert parse_mend("motion,level") == MendSettings(True, False, True)
    with pytest.raises(InputError, match="'drift' cannot be mended"):
        parse_mend("drift")


def test_short_noisy_and_scaled_series_are_not_refused():
    for frames, noise, factor in ((30, 20.0, 1.0), (60, 6.0, 1e-4), (60, 6.0, 1e4)):
        head = make_head(frames=frames, noise=noise)
        series: DscSeries = head.changed(lambda signal, by=factor: signal * by)
        assert prepare_scan(series).quality.light != "red"
