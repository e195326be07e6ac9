"""How large a network's error is: two factors that are known before they are fitted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from science.synthetic import head_of, make_series
from stunet_perfusion.cli import main
from stunet_perfusion.curve_fit.brain_sample import sample_brain
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass, first_pass_at_dose
from stunet_perfusion.inference.curves_and_fit_input import fit_unit, noise_slice
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.predict import apply_correction, plan_for
from stunet_perfusion.inference.strips import StripAverage, StripRule
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import CheckpointInfo, NetworkInput
from stunet_perfusion.networks.quantities import CORRECTION_TO_FIT, CURVES_AND_FIT
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.training.calibration import ErrorSample, coverage, fit_error

SHAPE = (3, 40, 36)
HEAD = head_of(SHAPE)
ARGUMENTS = {"widths": [2, 2, 2, 2], "error": True, "maps": 5}
INFO = CheckpointInfo(
    "stunet",
    ARGUMENTS,
    NetworkInput(size=64, quantity=CURVES_AND_FIT),
    StripRule(16, "context"),
    target=CORRECTION_TO_FIT,
    learned_error=0.5,
    noise_error=0.25,
)


def prepared_with(noise, peak=40.0, seed=3):
    series = make_series(frames=60, shape=SHAPE, noise=noise, peak=peak, seed=seed)
    return PreparedSeries(series, HEAD, Bolus(11, 14), 0)


def test_the_noise_at_a_lower_dose_is_found_in_a_sample():
    """Noise-matched: the signal's noise stays, and the bolus is a quarter."""
    prepared = prepared_with(2.0)
    full = find_first_pass(prepared)
    low = first_pass_at_dose(sample_brain(prepared), prepared.bolus, full, 0.25, "noise-matched", 0)
    assert full.noise == pytest.approx(2.0, rel=0.1)
    assert low.noise == pytest.approx(2.0, rel=0.1)


def test_the_expected_error_and_the_noise_add_up_as_squares():
    prepared = prepared_with(2.0)
    plan = plan_for(prepared, INFO)
    plan = replace(plan, first_pass=replace(plan.first_pass, correlated_noise=2 * plan.first_pass.fit.noise_gain))
    signal = prepared.series.signal[:, 1]
    zero = np.zeros((64, 64), np.float32)
    of_slice = slice_for_network(plan, signal, noise=True)
    average = apply_correction(StripAverage(zero, zero, zero + 0.4), INFO, of_slice)
    noise = noise_slice(plan, signal)
    np.testing.assert_allclose(average.error**2, (0.2 * fit_unit(plan)) ** 2 + (0.25 * noise) ** 2, rtol=1e-5)
    assert noise.max() > 0.01
    assert apply_correction(StripAverage(zero, zero), INFO, of_slice).error is None


def errors_of(generator, dose, factor=1.0, *, count):
    """A person whose errors are made by factors that are known: 0.6 and 0.8, times one of their own."""
    learned, noise = generator.uniform(0.1, 0.3, count), generator.uniform(0.05, 0.15, count) / dose
    error = factor * np.hypot(0.6 * learned, 0.8 * noise) * generator.standard_normal(count)
    return ErrorSample(error, learned, noise)


def test_the_factors_that_made_the_errors_are_found_again():
    generator = np.random.default_rng(0)
    samples = {dose: [errors_of(generator, dose, count=40_000)] for dose in (1.0, 0.5, 0.25)}
    learned, noise = fit_error(samples)
    assert learned == pytest.approx(0.6, abs=0.15)
    assert noise == pytest.approx(0.8, abs=0.06)
    assert all(coverage(of_dose, learned, noise) == pytest.approx(0.95, abs=0.005) for of_dose in samples.values())
    assert fit_error(samples, 0.8) == (pytest.approx(0.6, abs=0.05), 0.8)


def test_an_interval_holds_enough_in_three_persons_of_four():
    """Of persons whose errors are 0.8 to 1.2 times as large, the factors are those of 1.1."""
    generator = np.random.default_rng(0)
    persons = np.linspace(0.8, 1.2, 41)
    samples = {dose: [errors_of(generator, dose, factor, count=4000) for factor in persons] for dose in (1.0, 0.25)}
    learned, _ = fit_error(samples, 1.1 * 0.8)
    assert learned == pytest.approx(1.1 * 0.6, abs=0.06)
    held = np.array([person.coverage(learned, 1.1 * 0.8) for person in samples[1.0]])
    assert (held > 0.95).mean() == pytest.approx(0.75, abs=0.1)


def test_a_checkpoint_is_calibrated_on_phantoms(tmp_path, capsys):
    """One whose map is flat: its errors are the blood volume itself, and the interval is as wide as they are."""
    network = build_network("stunet", ARGUMENTS)
    for parameter in (network.head.weight, network.head.bias):
        nn.init.zeros_(parameter)
    nn.init.constant_(network.head.bias[1], float(np.log(0.8)))
    checkpoint.save(tmp_path / "raw.safetensors", network, replace(INFO, learned_error=1.0, noise_error=0.0))
    options = ["--anatomy", "mni", "--phantoms", "2", "--slice-step", "11"]
    files = [str(tmp_path / "raw.safetensors"), "-o", str(tmp_path / "b.safetensors")]
    assert main(["calibrate", *files, *options, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(share == pytest.approx(0.95, abs=0.02) for share in told["coverage"].values())
    after = checkpoint.load(tmp_path / "b.safetensors")
    assert (after.info.learned_error, after.info.noise_error) == (told["learned_error"], told["noise_error"])
    assert after.info.training["calibrated_on"] == "2 phantoms of 1 heads"


def test_a_network_that_does_not_say_its_error_is_refused(tmp_path, capsys):
    info = replace(INFO, arguments={"widths": [2, 2, 2, 2], "maps": 5})
    checkpoint.save(tmp_path / "a.safetensors", build_network("stunet", info.arguments), info)
    words = ["calibrate", str(tmp_path / "a.safetensors"), "--anatomy", "mni", "--phantoms", "2"]
    assert main([*words, "-o", str(tmp_path / "b.safetensors")]) == 2
    assert "does not say its error" in capsys.readouterr().err
