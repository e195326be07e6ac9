"""What a network is given and what it says besides the paper's: measured by the series itself, blind to its dose."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from torch import nn

from science.slices import standardize_slice
from science.synthetic import head_of, make_series
from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass, first_pass_at_dose
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.dose.simulate import simulate_slice
from stunet_perfusion.inference.box import into_box
from stunet_perfusion.inference.curves_and_fit_input import CURVE_CLIP, CURVE_GAIN, fit_unit
from stunet_perfusion.inference.input_kinds import input_kind
from stunet_perfusion.inference.predict import PredictionSettings, plan_for, predict_case, predict_standardized
from stunet_perfusion.inference.preview import (
    aif_at_dose,
    plan_at_dose,
    preview_slices,
    slices_at_dose,
)
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.inference.strips import StripRule
from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.cbv_scale import CLIP, closed_form_scale
from stunet_perfusion.kinetics.concentration import concentration_curves
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import Checkpoint, CheckpointInfo, NetworkInput
from stunet_perfusion.networks.quantities import (
    AROUND_BOLUS,
    BOXES,
    CORRECTION_TO_FIT,
    CURVES_AND_FIT,
    FROM_FIRST,
    IN_WORDS,
    INPUTS,
    MAPS,
    PIXELS,
    SIGNAL,
    TARGET_OF,
    TIGHT,
    Z_SCORE,
)
from stunet_perfusion.phantom import Protocol, make_phantom, mni_anatomy
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.support.voxels import trimmed_mean

SHAPE = (3, 40, 36)
HEAD = head_of(SHAPE)


def prepared_at(peak: float, noise: float = 0.0, frame_interval: float = 1.5, echo_time: float = 0.03):
    """A head whose curves are known: `peak` is proportional to the dose."""
    series = make_series(
        frames=round(90 / frame_interval),
        shape=SHAPE,
        noise=noise,
        peak=peak,
        frame_interval=frame_interval,
        echo_time=echo_time,
        seed=3,
    )
    arrival, peak_frame = round(16.0 / frame_interval), round(21.0 / frame_interval)
    return PreparedSeries(series, HEAD, Bolus(arrival, peak_frame), 0)


def inside(plan, margin=5):
    """The box's pixels that no resampling mixes with air."""
    brain = into_box(plan.box, ndimage.binary_erosion(HEAD[1], np.ones((3, 3))).astype(np.float32)) > 0.999
    return ndimage.binary_erosion(brain, iterations=margin)


@pytest.mark.parametrize("dose", [0.5, 0.25])
def test_the_input_does_not_know_the_dose(dose):
    """Without noise, curves scale with the dose exactly, and the brain's mean with them: the input is the same."""
    full, low = prepared_at(40.0), prepared_at(40.0 * dose)
    plans = [plan_standardization(each, quantity=CURVES_AND_FIT) for each in (full, low)]
    curves = [
        standardize_slice(plan, each.series.signal[:, 1])[:64] for plan, each in zip(plans, (full, low), strict=True)
    ]
    np.testing.assert_allclose(curves[0], curves[1], atol=2e-3)
    assert curves[0].max() > 0.8
    paper = [plan_standardization(each) for each in (full, low)]
    signals = [standardize_slice(plan, each.series.signal[:, 1]) for plan, each in zip(paper, (full, low), strict=True)]
    assert np.abs(signals[0] - signals[1]).max() > 0.5, "the paper's input does"


def test_each_curve_sums_up_to_its_share_of_blood_at_any_frame_interval():
    """Peak and area of delta R2* are proportional to `side` (`make_series`): so is what the curves sum up to."""
    sums = []
    for frame_interval in (1.0, 1.5, 2.0):
        prepared = prepared_at(40.0, frame_interval=frame_interval)
        found = find_first_pass(prepared)
        volume = SliceCurves.of(prepared.series.signal[:, 1], found).blood_volume()
        assert trimmed_mean(volume[HEAD[1]]) == pytest.approx(1, abs=0.02)
        plan = plan_standardization(prepared, quantity=CURVES_AND_FIT)
        curves = standardize_slice(plan, prepared.series.signal[:, 1])[:64]
        last = np.searchsorted(plan.window, found.stop)
        middle = inside(plan)
        expected = into_box(plan.box, volume)[middle]
        np.testing.assert_allclose(curves[:last].sum(axis=0)[middle], CURVE_GAIN * expected, rtol=1e-3)
        sums.append(volume[HEAD[1]])
    np.testing.assert_allclose(sums[0], sums[1], rtol=0.02)
    np.testing.assert_allclose(sums[0], sums[2], rtol=0.02)


def test_the_closed_form_is_the_first_pass_up_to_the_arterial_factor_and_air_holds_none():
    prepared = prepared_at(40.0, noise=4.0)
    found = find_first_pass(prepared)
    aif = np.linspace(1, 2, prepared.series.frames)
    cbv = first_pass_cbv(prepared.series, prepared.bolus, aif)
    ours = np.stack(
        [SliceCurves.of(plane, found).blood_volume() for plane in np.moveaxis(prepared.series.signal, 1, 0)]
    )
    factor = cbv[HEAD].astype(np.float64) @ ours[HEAD] / (ours[HEAD].astype(np.float64) ** 2).sum()
    np.testing.assert_allclose(cbv[HEAD], factor * ours[HEAD], rtol=1e-3, atol=1e-5)
    assert not ours[~HEAD].any()
    assert not SliceCurves.of(prepared.series.signal[:, 1], found).curves[:, ~HEAD[1]].any()


def test_the_curves_of_a_slice_are_those_of_the_reference_over_the_brains_mean():
    prepared = prepared_at(40.0, noise=4.0)
    found, signal = find_first_pass(prepared), prepared.series.signal[:, 1].copy()
    signal[20, 20, 18], signal[21, 20, 18] = 0, -2
    of_slice = SliceCurves.of(signal, found)
    expected = concentration_curves(signal, found.baseline_frames, None) / found.brain_area
    tissue = of_slice.baseline > found.air
    np.testing.assert_allclose(of_slice.curves[:, tissue], expected[:, tissue], rtol=1e-5, atol=1e-6)
    assert not of_slice.curves[:, ~tissue].any()
    np.testing.assert_array_equal(of_slice.blood_volume(), SliceCurves.of(signal, found, found.stop).blood_volume())


def test_input_is_cut_where_only_arteries_are():
    prepared = prepared_at(40.0)
    signal = prepared.series.signal[:, 1].copy()
    signal[found_peak(prepared)] *= 1e-6
    plan = plan_standardization(prepared, quantity=CURVES_AND_FIT)
    assert standardize_slice(plan, signal).max() == pytest.approx(CURVE_CLIP)
    assert input_kind(plan.quantity).clip == CURVE_CLIP
    assert input_kind(plan_standardization(prepared).quantity).clip == CLIP


def found_peak(prepared):
    return prepared.bolus.peak


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_the_brains_mean_at_a_dose_is_found_in_a_sample(method):
    prepared = prepared_at(40.0, noise=4.0)
    full = find_first_pass(prepared)
    sample = sample_brain(prepared)
    assert first_pass_at_dose(sample, prepared.bolus, full, 1.0, method, 0) is full
    planes = [
        simulate_slice(plane, prepared.bolus.arrival, 0.5, method, np.random.default_rng(z))
        for z, plane in enumerate(np.moveaxis(prepared.series.signal, 1, 0))
    ]
    lowered = replace(prepared, series=replace(prepared.series, signal=np.stack(planes, axis=1)))
    expected = find_first_pass(lowered).brain_area
    found = first_pass_at_dose(sample, prepared.bolus, full, 0.5, method, 7)
    assert found.brain_area == pytest.approx(expected, rel=0.01)
    if method == "noise-matched":
        assert found.brain_area == pytest.approx(0.5 * full.brain_area, rel=0.02)


def test_a_series_without_contrast_is_refused():
    prepared = prepared_at(40.0)
    flat = replace(prepared.series, signal=np.ones_like(prepared.series.signal))
    with pytest.raises(InputError, match="takes up no contrast over the brain as a whole"):
        find_first_pass(replace(prepared, series=flat))


def untrained(quantity=CURVES_AND_FIT) -> Checkpoint:
    """A stU-Net whose last layer says 0 everywhere."""
    arguments = {"widths": [2, 2, 2, 2], "maps": MAPS[quantity]}
    network = build_network("stunet", arguments).eval()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    info = CheckpointInfo(
        "stunet", arguments, NetworkInput(size=64, quantity=quantity), StripRule(16), target=TARGET_OF[quantity]
    )
    return Checkpoint(info, network, "untrained")


def test_a_phantoms_untrained_correction_is_its_closed_form_and_the_truths_scale_fits():
    """On a phantom with vessels, noise and a low dose, the closed form in its own unit follows the truth in its own."""
    phantom = make_phantom(mni_anatomy(), protocol=Protocol(), seed=0, slices=[9, 11])
    for dose in (1.0, 0.25):
        prepared = prepare(phantom.series(dose), mask=phantom.mask)
        predicted = predict_standardized(prepared, untrained(), stride=16).mean
        truth = closed_form_scale(phantom.cbv, phantom.mask)
        expected = (phantom.cbv - truth.mean) / truth.sd
        inner = ndimage.binary_erosion(phantom.nawm, np.ones((1, 3, 3)))
        assert predicted[inner].mean() == pytest.approx(expected[inner].mean(), abs=0.2)
        slope = np.polyfit(expected[phantom.mask], np.clip(predicted[phantom.mask], -5, 5), 1)[0]
        assert slope == pytest.approx(1, abs=0.25)


def test_a_preview_of_all_slices_at_full_dose_is_the_case():
    known = untrained()
    network = known.network
    nn.init.normal_(network.head.weight)
    prepared = prepare(prepared_at(40.0, noise=1.0).series, mask=HEAD, drop_frames=0)
    aif = automatic_aif(prepared)
    plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT)
    sample = sample_brain(prepared)
    lowered = slices_at_dose(prepared, range(3), 1.0, "equation1", 0)
    at_full = plan_at_dose(plan, sample, prepared.bolus, 1.0, "equation1", 0)
    *_, last = preview_slices(lowered, network, known.info, at_full, aif.curve)
    case = predict_case(prepared.series, known, PredictionSettings(drop_frames=0), mask=HEAD)
    np.testing.assert_allclose(last.map.cbv, case.map.cbv, rtol=1e-4, atol=1e-6)


def test_a_preview_at_a_low_dose_is_nearly_the_slice_of_the_case():
    known = untrained()
    prepared = prepare(prepared_at(40.0, noise=0.5).series, mask=HEAD, drop_frames=0)
    settings = PredictionSettings(dose=0.5, method="noise-matched", seed=5, drop_frames=0)
    case = predict_case(replace(prepared.series, signal=prepared.series.signal.copy()), known, settings, mask=HEAD)
    plan = plan_standardization(prepared, 64, 64, CURVES_AND_FIT)
    at_half = plan_at_dose(plan, sample_brain(prepared), prepared.bolus, 0.5, "noise-matched", 5)
    lowered = slices_at_dose(prepared, [1], 0.5, "noise-matched", 5)
    curve = aif_at_dose(prepared, automatic_aif(prepared), 0.5, "noise-matched", 5).curve
    *_, last = preview_slices(lowered, known.network, known.info, at_half, curve)
    inner = ndimage.binary_erosion(HEAD[1], np.ones((5, 5)))
    np.testing.assert_allclose(last.map.cbv[0][inner], case.map.cbv[1][inner], rtol=0.05)
    assert at_half.first_pass.brain_area == pytest.approx(0.5 * plan.first_pass.brain_area, rel=0.02)


def test_a_checkpoint_remembers_what_its_network_is_given_and_says(tmp_path):
    for quantity, box in itertools.product(INPUTS, BOXES):
        known = untrained(quantity)
        info = replace(known.info, input=replace(known.info.input, box=box))
        checkpoint.save(tmp_path / "a.safetensors", known.network, info)
        loaded = checkpoint.load(tmp_path / "a.safetensors").info
        assert (loaded.input.quantity, loaded.target, loaded.input.box) == (quantity, TARGET_OF[quantity], box)
        late = replace(info, input=replace(info.input, window=FROM_FIRST))
        checkpoint.save(tmp_path / "b.safetensors", known.network, late)
        assert checkpoint.load(tmp_path / "b.safetensors").info.input.window == FROM_FIRST
    paper = CheckpointInfo("hess", {})
    assert paper.input.window == AROUND_BOLUS, "files that do not tell are older than the choice"
    assert (paper.input.quantity, paper.input.box, paper.target) == (SIGNAL, TIGHT, Z_SCORE)


@pytest.mark.parametrize(
    ("info", "fact"),
    [
        (CheckpointInfo("hess", {}, NetworkInput(quantity="delta R1")), r"needs another input \('delta R1'\)"),
        (CheckpointInfo("hess", {}, NetworkInput(box="round")), r"needs another box around the brain \('round'\)"),
        (CheckpointInfo("hess", {}, NetworkInput(window="last")), r"needs other frames \('last'\)"),
        (
            CheckpointInfo("hess", {}, NetworkInput(quantity=CURVES_AND_FIT), target=CORRECTION_TO_FIT),
            "takes 0 maps and is given 5",
        ),
        (CheckpointInfo("hess", {}, target="CBF"), r"predicts something else \('CBF'\)"),
    ],
)
def test_what_this_version_does_not_know_is_refused(tmp_path, info, fact):
    checkpoint.save(tmp_path / "a.safetensors", build_network("hess", {}), info)
    with pytest.raises(InputError, match=fact):
        checkpoint.load(tmp_path / "a.safetensors")


def test_the_fourth_map_beside_the_curves_is_the_baseline():
    """The signal before the bolus, over the brain's standard deviation."""
    prepared = prepared_at(40.0, noise=1.0)
    signal = prepared.series.signal[:, 1]
    plan = plan_standardization(prepared, quantity=CURVES_AND_FIT)
    given = standardize_slice(plan, signal)
    assert given.shape == (64 + MAPS[CURVES_AND_FIT], 256, 256)
    baseline, middle = given[67], inside(plan)
    before = into_box(plan.box, signal[: prepared.bolus.arrival].mean(axis=0))
    expected = before / plan.signal_sd
    # Brighter pixels are cut before they are resampled.
    far_from_cut = middle & (ndimage.maximum_filter(expected, 15) < CURVE_CLIP)
    np.testing.assert_allclose(baseline[far_from_cut], expected[far_from_cut], rtol=1e-4)
    assert far_from_cut.sum() > 1000
    assert baseline.max() == pytest.approx(CURVE_CLIP)


def test_a_checkpoint_of_before_whose_header_holds_sentences_is_read(tmp_path):
    """What version 0.1.0 wrote where identifiers stand now, word for word."""
    known = untrained()
    curves = (
        "-ln(S/S0) with a mean baseline, over the brain's mean area of the first pass; then as maps the fit of the "
        "brain's mean curve, the same over its noise, the logarithm of that noise, the baseline over the brain's SD, "
        "and how early the curve comes over the noise of that"
    )
    box = "pixels of the series where the brain fits, else tight around the brain"
    target = "CBV: correction to the fit of the brain's mean curve, in units of its noise"
    former = replace(known.info, input=NetworkInput(size=64, quantity=curves, box=box), target=target)
    checkpoint.save(tmp_path / "a.safetensors", known.network, former)
    loaded = checkpoint.load(tmp_path / "a.safetensors").info
    assert (loaded.input.quantity, loaded.target, loaded.input.box) == ("curves-and-fit", "correction-to-fit", "pixels")
    paper = NetworkInput(quantity="signal: z-score of the brain in the first five steady frames", box=box)
    former = CheckpointInfo("hess", {}, paper, target="CBV: z-score over the brain")
    checkpoint.save(tmp_path / "b.safetensors", build_network("hess", {}), former)
    loaded = checkpoint.load(tmp_path / "b.safetensors").info
    assert (loaded.input.quantity, loaded.target) == ("signal", "z-score")


@pytest.mark.parametrize("name", ["stunet", "paper-stunet"])
def test_what_is_stored_is_identifiers(name):
    info = checkpoint.read_info(shipped_checkpoint(name))
    assert info.input.quantity in INPUTS
    assert info.input.box in BOXES
    assert info.target == TARGET_OF[info.input.quantity]
    assert IN_WORDS.keys() >= {info.input.quantity, info.input.box, info.target}


def test_the_uncertainty_is_what_the_network_expects_its_error_to_be():
    """A head whose second output is a number everywhere: that error, in the unit that blood volume has."""
    arguments = {"widths": [2, 2, 2, 2], "error": True, "skip": "mean-and-maximum", "maps": 5}
    network = build_network("stunet", arguments).eval()
    nn.init.zeros_(network.head.weight[1])
    nn.init.constant_(network.head.bias[1], float(np.log(0.3)))
    info = CheckpointInfo(
        "stunet",
        arguments,
        NetworkInput(size=64, quantity=CURVES_AND_FIT, box=PIXELS),
        StripRule(16, "context"),
        target=CORRECTION_TO_FIT,
    )
    prepared = prepared_at(40.0, noise=1.0)
    settings = PredictionSettings(stride=8, drop_frames=0)
    case = predict_case(prepared.series, Checkpoint(info, network, "sure"), settings, mask=HEAD)
    unit = closed_form_scale(case.closed_form, HEAD).sd * fit_unit(plan_for(case.prepared, info))
    inner = ndimage.binary_erosion(HEAD, np.ones((1, 3, 3)))
    np.testing.assert_allclose(case.map.uncertainty[inner], 0.3 * unit, rtol=1e-4)
    assert not case.map.uncertainty[~HEAD].any()
