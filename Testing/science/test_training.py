"""The training loop and what it is fed."""

import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

from science.slices import corrected_slice, standardize_slice
from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.evaluation.classical import fitted_cbv
from stunet_perfusion.inference.box import into_box
from stunet_perfusion.inference.curves_and_fit_input import CURVE_CLIP, fit_unit
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.kinetics.cbv_scale import CLIP, cbv_scale, closed_form_scale
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import NetworkInput
from stunet_perfusion.networks.quantities import CURVES_AND_FIT, PIXELS
from stunet_perfusion.phantom import image_files
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.loop import EpochStrips, learning_rate_at, make_optimizer, train
from stunet_perfusion.training.losses import error_sums, l2_sums, loss_sums, robust_sums
from stunet_perfusion.training.phantom_cases import PhantomSource, random_phantom
from stunet_perfusion.training.seen_again import SeenAgain
from stunet_perfusion.training.settings import Optimization
from stunet_perfusion.training.strip_dataset import (
    StripDataset,
    TrainingSlices,
    in_unit_of_fit,
    training_slices,
)


def test_the_loss_is_the_mean_square_over_the_brain_only():
    prediction = torch.tensor([[[1.0, 2.0], [3.0, 100.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    total, brain = l2_sums(prediction, torch.zeros_like(prediction), weight)
    assert (total, brain) == (1 + 4 + 9, 3)


def test_the_robust_loss_is_the_square_up_to_its_limit_and_its_tangent_beyond():
    """Twice Huber's function: 4^2 and a slope of 2 x 4 at the limit of 4."""
    prediction = torch.tensor([[[1.0, -4.0], [10.0, 100.0]]], requires_grad=True)
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    total, brain = robust_sums(prediction, torch.zeros(1, 2, 2), weight)
    assert (total.item(), brain) == (1 + 16 + 16 + 8 * (10 - 4), 3)
    total.backward()
    assert prediction.grad.tolist() == [[[2.0, -8.0], [8.0, 0.0]]]
    assert loss_sums("robust")(prediction, torch.zeros(1, 2, 2), weight)[0] == total


@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_a_correction_is_taught_what_the_map_has_beyond_the_fit(dose):
    """Fit plus target, in the fit's unit, is the map in units of half its own mean, whatever the dose of the series."""
    series = make_series(frames=50, shape=(3, 40, 36), noise=0.5, peak=40.0 * dose, seed=1)
    brain = np.zeros(series.grid.shape, bool)
    brain[1:, 6:34, 5:31] = True
    prepared = prepare(series, mask=brain, drop_frames=0)
    cbv = np.random.default_rng(0).gamma(3, 0.01, size=brain.shape).astype(np.float32)
    slices = training_slices(prepared, cbv, brain, NetworkInput(size=128, quantity=CURVES_AND_FIT, box=PIXELS))
    plan = plan_standardization(prepared, 64, 128, CURVES_AND_FIT, PIXELS)
    own = closed_form_scale(cbv, brain)
    expected = np.stack([(into_box(plan.box, cbv[z]) - own.mean) / own.sd for z in (1, 2)])
    fit = np.stack([corrected_slice(plan, series.signal[:, z]) for z in (1, 2)])
    taught = slices.targets * fit_unit(plan) + fit
    known = in_unit_of_fit(expected, fit, slices.brain)
    np.testing.assert_allclose(taught[slices.brain], known[slices.brain], atol=1e-4)
    assert slices.clip == CURVE_CLIP


@settings(deadline=None)
@given(st.floats(0.8, 1.25), st.floats(0, 1), st.integers(0, 99))
def test_the_truth_is_brought_into_the_fits_unit_which_noise_does_not_change(factor, noise, seed):
    generator = np.random.default_rng(seed)
    brain = np.ones((2, 64, 64), bool)
    brain[:, 40:] = False
    blood = generator.uniform(0.4, 3.9, brain.shape).astype(np.float32)
    fit = factor * blood + noise * generator.normal(size=brain.shape)
    # Vessels, air, and what is no brain have a say in neither.
    blood[:, :4], fit[:, :4], fit[:, 4:8], blood[:, 4:8], fit[:, 40:] = 9, 0, 9, 0.1, 50
    inside = in_unit_of_fit(blood - 2, (fit - 2).astype(np.float32), brain) + 2
    # What noise leaves in the factor: its standard deviation over the root of the sum of squares of 4096 voxels.
    np.testing.assert_allclose(inside, factor * blood, atol=1e-5 + 9 * 5 * noise / np.sqrt(4096 * 5.6), rtol=1e-5)


def test_a_correction_to_the_fit_is_taught_no_unit():
    """A series whose brain, as it is found, has less blood than the true one: map and fit agree all the same."""
    series = make_series(frames=50, shape=(3, 40, 36), noise=0.5, peak=40.0, seed=1)
    found = np.zeros(series.grid.shape, bool)
    found[1:, 6:34, 5:31] = True
    prepared = prepare(series, mask=found, drop_frames=0)
    recipe = NetworkInput(size=128, quantity=CURVES_AND_FIT, box=PIXELS)
    cbv = fitted_cbv(prepared)
    richer = found & (cbv > np.median(cbv[found]))
    assert closed_form_scale(cbv, richer).mean > 1.2 * closed_form_scale(cbv, found).mean
    for brain in (found, richer):
        slices = training_slices(prepared, cbv, brain, recipe)
        # Vessels are cut elsewhere where there is more blood on average.
        assert np.quantile(np.abs(slices.targets[slices.brain]), 0.9) < 0.02


@settings(deadline=None)
@given(st.floats(0.01, 5), st.integers(1, 9))
def test_the_expected_error_that_fits_best_is_the_standard_deviation(sd, pixels):
    """For differences of +-sd, minus the log density of a normal law is smallest at sd."""
    difference = sd * torch.tensor([1.0, -1.0]).repeat(pixels)[None, None]
    weight = torch.ones_like(difference)

    def surprise(expected):
        return float(error_sums(difference, torch.full_like(difference, float(np.log(expected))), weight)[0])

    assert surprise(sd) < min(surprise(0.9 * sd), surprise(1.1 * sd))
    assert surprise(sd) == pytest.approx(2 * pixels * (np.log(sd) + 0.5), rel=1e-4, abs=1e-4)


def test_far_beyond_the_expected_error_a_pixel_pulls_by_a_tangent_and_not_by_its_square():
    """At 100 expected deviations: 3 (100 - 1.5) in place of 5000, and a pull of 3 x 100 in place of 10 000."""
    log_error = torch.zeros(1, 1, 1, requires_grad=True)
    total, _ = error_sums(torch.full((1, 1, 1), 100.0), log_error, torch.ones(1, 1, 1))
    assert total.item() == pytest.approx(3 * (100 - 1.5))
    total.backward()
    assert log_error.grad.item() == pytest.approx(1 - 3 * 100)


def test_the_expected_error_is_taught_without_changing_what_the_map_is_taught():
    prediction = torch.randn(2, 2, 5, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target, weight = torch.zeros(2, 5, 6), torch.ones(2, 5, 6)
    loss_sums("l2")(prediction, target, weight)[0].backward()
    both = prediction.grad.clone()
    prediction.grad = None
    l2_sums(prediction[:, 0], target, weight)[0].backward()
    np.testing.assert_array_equal(both[:, 0], prediction.grad[:, 0])
    assert (both[:, 1] != 0).float().mean() > 0.9


def test_slices_are_cut_at_each_pairing_of_rows_in_turn():
    rows = np.repeat(np.arange(1, 25, dtype=np.float32)[:, None], 8, axis=1) / 8
    slices = np.repeat(rows[None], 9, axis=0)
    signals = np.repeat(slices[:, None], 2, axis=1).astype(np.float16)
    strips = StripDataset([TrainingSlices(signals, slices, np.ones((9, 24, 8), bool))], 24, 24, phases=8)
    for number in range(9):
        signal, target, weight = strips[number]
        up = number % 8
        assert not signal[:, :up].any()
        assert not weight[:up].any()
        np.testing.assert_array_equal(signal[0, up:], rows[: 24 - up])
        np.testing.assert_array_equal(target[up:], rows[: 24 - up])


def test_settled_normalization_stays_as_it_is():
    """In the first half of the epochs its statistics follow the batches, in the second they do not."""

    class Normalizes(nn.Module):
        def __init__(self):
            super().__init__()
            self.normalization = nn.BatchNorm2d(1)

        def forward(self, strips):
            return self.normalization(strips).squeeze(1)

    network, seen = Normalizes(), []
    strips = TensorDataset(torch.randn(8, 1, 4, 4) + 3, torch.zeros(8, 4, 4), torch.ones(8, 4, 4))
    optimization = Optimization(epochs=4, batch=4, settled=0.5)
    train(
        network,
        make_optimizer(network, optimization),
        lambda epoch: EpochStrips([strips]),
        optimization,
        after_epoch=lambda result: seen.append(float(network.normalization.running_mean)),
    )
    assert seen[0] < seen[1] == seen[2] == seen[3]


def test_the_refinement_learns_first_and_then_the_whole_network():
    network = build_network("stunet", {"widths": (2, 2, 2, 2), "maps": 1, "refine": (1,), "refine_width": 2})
    strips = TensorDataset(torch.randn(4, 65, 8, 8), torch.ones(4, 8, 8), torch.ones(4, 8, 8))
    optimization = Optimization(epochs=4, batch=4, learning_rate=0.01, maps_first=0.5)
    looked_at = {"refinement": network.refinement.head.bias, "rest": network.head.bias}
    seen = []
    train(
        network,
        make_optimizer(network, optimization),
        lambda epoch: EpochStrips([strips]),
        optimization,
        after_epoch=lambda result: seen.append({name: value.item() for name, value in looked_at.items()}),
    )
    assert [each["rest"] for each in seen[:2]] == [0.0, 0.0]
    assert 0.0 != seen[2]["rest"] != seen[3]["rest"]
    assert len({each["refinement"] for each in seen}) == 4
    assert not network.learns_refinement_alone


@pytest.mark.parametrize("epochs", [1, 3])
def test_cases_are_seen_again_in_their_own_group(epochs):
    made = iter(range(100))
    groups = SeenAgain(made, [2, 1], epochs)
    seen = [list(groups.of_epoch()) for _ in range(4)]
    if epochs == 1:
        assert seen == [[[0, 1], [2]], [[3, 4], [5]], [[6, 7], [8]], [[9, 10], [11]]]
    else:
        assert seen[1] == [[3, 4, 0, 1], [5, 2]]
        assert seen[3] == [[9, 10, 6, 7, 3, 4], [11, 8, 5]]
    missed = epochs - 1
    later = SeenAgain(iter(range(3 * (3 - missed), 100)), [2, 1], epochs)
    later.catch_up(missed)
    assert list(later.of_epoch()) == seen[3], "going on is as if nothing had happened"


def test_strips_with_context_are_cut_with_the_rows_around_them():
    """The loss is over the strip alone; rows beyond the slice are zero, as when predicting."""
    rows = np.repeat(np.arange(1, 65, dtype=np.float32)[:, None], 8, axis=1) / 16
    case = TrainingSlices(np.zeros((1, 2, 64, 8), np.float16) + rows, rows[None], np.ones((1, 64, 8), bool))
    strips = StripDataset([case], rows=16, stride=16, margin=8)
    signal, target, weight = strips[0]
    assert (signal.shape, target.shape, weight.shape) == ((2, 32, 8), (16, 8), (16, 8))
    assert not signal[:, :8].any()
    np.testing.assert_allclose(signal[0, 8:], rows[:24])
    np.testing.assert_array_equal(target, rows[:16])
    seen = []

    class Looks(Scale):
        def forward(self, strips):
            seen.append(strips.shape)
            return super().forward(strips)

    network = Looks()
    run(network, [StripDataset([case], 16, 16, 8)], epochs=300, learning_rate=0.1, schedule="cosine")
    assert network.factor.item() == pytest.approx(1, abs=0.01), "what is predicted for the margin does not count"


def test_a_case_is_standardized_as_it_is_when_predicting():
    series = make_series(frames=50, shape=(3, 40, 36), noise=1.0, seed=1)
    brain = np.zeros(series.grid.shape, bool)
    brain[1:, 6:34, 5:31] = True
    prepared = prepare(series, mask=brain, drop_frames=0)
    target = np.random.default_rng(0).gamma(3, 0.01, size=brain.shape).astype(np.float32)
    slices = training_slices(prepared, target, brain)
    plan = plan_standardization(prepared)
    assert slices.signals.shape == (2, 64, 256, 256)
    np.testing.assert_allclose(slices.signals[0], standardize_slice(plan, series.signal[:, 1]), atol=2e-3)
    scale = cbv_scale(target, brain)
    expected = np.clip((into_box(plan.box, target[2]) - scale.mean) / scale.sd, -CLIP, CLIP)
    np.testing.assert_allclose(slices.targets[1], expected, atol=1e-5)
    np.testing.assert_array_equal(slices.brain[0], into_box(plan.box, brain[1].astype(np.float32)) > 0.5)


def test_strips_are_cut_every_eight_rows_where_there_is_brain():
    brain = np.zeros((1, 256, 256), bool)
    brain[0, 100:140, 50:200] = True
    rows = np.repeat(np.arange(256, dtype=np.float32)[:, None], 256, axis=1)
    case = TrainingSlices(np.zeros((1, 64, 256, 256), np.float16) + rows.astype(np.float16), rows[None], brain)
    strips = StripDataset([case, case])
    starts = [int(strips[n][1][0, 0]) for n in range(len(strips))]
    area = {start: brain[0, start : start + 32].mean() for start in range(0, 225, 8)}
    expected = [start for start, share in area.items() if share >= 0.05]
    assert starts == expected * 2
    signal, target, weight = strips[0]
    assert signal.shape == (64, 32, 256)
    assert signal.abs().max() <= CLIP
    np.testing.assert_array_equal(target.numpy(), rows[starts[0] : starts[0] + 32])
    np.testing.assert_array_equal(weight.numpy(), brain[0, starts[0] : starts[0] + 32])


class Scale(nn.Module):
    """Predicts one number times the first frame: the L2 optimum is known."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(1))

    def forward(self, strips):
        return self.factor * strips[:, 0]


def test_a_share_of_the_strips_is_drawn_anew():
    brain = np.ones((2, 64, 8), bool)
    case = TrainingSlices(np.zeros((2, 4, 64, 8), np.float16), np.zeros((2, 64, 8), np.float32), brain)
    whole = StripDataset([case], rows=32, stride=8)
    draws = [whole.some(0.3, np.random.default_rng(seed)).index for seed in range(20)]
    assert {len(draw) for draw in draws} == {3}
    assert all(len(set(draw)) == 3 for draw in draws)
    assert set().union(*draws) == set(whole.index)
    assert whole.some(1.0, np.random.default_rng(0)).index == whole.index
    assert len(whole.some(1e-6, np.random.default_rng(0))) == 1


def linear_strips(epoch):
    generator = torch.Generator().manual_seed(epoch)
    signal = torch.randn(64, 4, 8, 8, generator=generator)
    weight = (torch.rand(64, 8, 8, generator=generator) > 0.3).float()
    return TensorDataset(signal, 3 * signal[:, 0] + 1000 * (1 - weight), weight)


def linear_parts(epoch):
    return [linear_strips(epoch)]


def run(network, parts, first_epoch=0, after_epoch=lambda result: None, **options):
    """`train` on the same datasets, or on what a function gives, in every epoch."""
    optimization = Optimization(**options)

    def strips(epoch):
        given = parts(epoch) if callable(parts) else parts
        return EpochStrips(iter(given), len(given))

    optimizer = make_optimizer(network, optimization)
    return train(network, optimizer, strips, optimization, first_epoch=first_epoch, after_epoch=after_epoch)


def test_training_finds_the_l2_optimum_and_tells_of_every_epoch():
    network, told = Scale(), []
    results = run(network, linear_parts, epochs=40, learning_rate=0.2, schedule="cosine", after_epoch=told.append)
    assert network.factor.item() == pytest.approx(3, abs=0.02)
    assert [result.epoch for result in told] == list(range(40))
    assert results[-1].loss < 1e-2 < results[0].loss


def test_the_same_seed_trains_the_same_network():
    factors = []
    for seed in (1, 1, 2):
        network = Scale()
        run(network, linear_parts, epochs=2, seed=seed, learning_rate=0.05)
        factors.append(network.factor.item())
    assert factors[0] == factors[1] != factors[2]


def test_every_part_of_an_epoch_is_seen_and_the_time_of_waiting_is_told():
    """Two parts of 64 strips in steps of 8 are 16 steps of 8; a dataset that sleeps is waited for."""
    network, results = Scale(), []
    results = run(network, lambda epoch: [linear_strips(0), linear_strips(1)], epochs=1)
    assert results[0].strips == 128
    assert results[0].learning_rate == 1e-3
    assert 0 <= results[0].waited <= 1

    class Slow(torch.utils.data.Dataset):
        def __init__(self):
            self.strips = linear_strips(0)

        def __len__(self):
            return 16

        def __getitem__(self, item):
            time.sleep(0.02)
            return self.strips[item]

    assert run(network, [Slow()], epochs=1)[0].waited > 0.5


def test_the_learning_rate_is_the_papers_or_falls_along_half_a_cosine():
    assert learning_rate_at(Optimization(), 0.7) == 1e-3
    cosine = Optimization(schedule="cosine")
    rates = [learning_rate_at(cosine, share) for share in (0, 0.5, 1)]
    assert rates == pytest.approx([1e-3, 0.5e-3, 0], abs=1e-12)
    in_two_parts = Optimization(schedule="cosine", epochs=10, maps_first=0.6)
    rates = [learning_rate_at(in_two_parts, share) for share in (0, 0.3, 0.6, 0.8, 1)]
    assert rates == pytest.approx([1e-3, 0.5e-3, 1e-3, 0.5e-3, 0], abs=1e-12)
    nothing_but_maps = Optimization(schedule="cosine", epochs=10, maps_first=1)
    assert [learning_rate_at(nothing_but_maps, share) for share in (0.5, 1)] == pytest.approx([0.5e-3, 0], abs=1e-12)


def test_a_loss_that_is_no_number_stops_the_training():
    def broken(epoch):
        return [TensorDataset(torch.full((8, 4, 8, 8), float("nan")), torch.zeros(8, 8, 8), torch.ones(8, 8, 8))]

    with pytest.raises(InputError, match="the loss is no number any more"):
        run(Scale(), broken, epochs=1)
    with pytest.raises(InputError, match="no strip holds enough brain"):
        run(Scale(), [StripDataset([])], epochs=1)


def test_a_stunet_learns_the_blood_volume_of_eight_strips_by_heart():
    """A network that cannot fit 8 strips would not learn from thousands: the loss falls to a tenth of the variance."""
    torch.manual_seed(0)
    network = build_network("stunet", {"widths": (4, 4, 8, 8)})
    generator = torch.Generator().manual_seed(1)
    volume = nn.functional.interpolate(torch.rand(8, 1, 2, 3, generator=generator), scale_factor=8)[:, 0]
    bolus = torch.exp(-0.5 * ((torch.arange(64) - 24) / 4.0) ** 2)
    signal = 1 - volume[:, None] * bolus[None, :, None, None] + 0.02 * torch.randn(8, 64, 16, 24, generator=generator)
    target = (volume - volume.mean()) / volume.std()
    strips = TensorDataset(signal, target, torch.ones_like(target))
    results = run(network, [strips], epochs=100, batch=4, learning_rate=1e-2, schedule="cosine")
    assert results[-1].loss < 0.1


def test_heads_and_folders_are_found_and_missing_ones_named(tmp_path):
    (tmp_path / "heads").mkdir()
    for name in ("b.nii.gz", "a.nii.gz", "notes.txt"):
        (tmp_path / "heads" / name).touch()
    found = image_files([tmp_path / "heads", tmp_path / "heads" / "b.nii.gz"])
    assert [name.rsplit("/", 1)[-1] for name in found] == ["a.nii.gz", "b.nii.gz", "b.nii.gz"]
    with pytest.raises(InputError, match=r"nowhere: is no file, and no folder with NIfTI files"):
        image_files([tmp_path / "nowhere"])


def test_random_phantoms_are_repeatable_and_differ():
    source = PhantomSource(("mni",))
    first, _ = random_phantom(source, (0, 1, 2), slice_step=8)
    again, _ = random_phantom(source, (0, 1, 2), slice_step=8)
    other, _ = random_phantom(source, (0, 1, 3), slice_step=8)
    np.testing.assert_array_equal(first.cbv, again.cbv)
    assert first.protocol == again.protocol
    assert first.protocol != other.protocol


def test_a_head_is_not_both_trained_on_and_validated_on(tmp_path, capsys):
    words = ["train", "--anatomy", "mni", "--validation", "mni", "--output", str(tmp_path / "a.safetensors")]
    assert main(words) == 2
    assert "mni: is both trained on and validated on" in capsys.readouterr().err


def test_the_command_describes_a_checkpoint(tmp_path, capsys):
    path = tmp_path / "hess.safetensors"
    network = build_network("hess", {})
    info = checkpoint.CheckpointInfo("hess", {}, training={"epochs": 3}, scores={"r": 0.9})
    checkpoint.save(path, network, info)
    assert main(["checkpoint", str(path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    # 1 -> 16 (7), 16 -> 32 (4), 32 -> 32 (7), 32 -> 64 (4), 64 -> 64 (7), 64 -> 64 (4) in time; three 3x3; 1x1.
    time = [7 * 16, 4 * 16 * 32, 7 * 32 * 32, 4 * 32 * 64, 7 * 64 * 64, 4 * 64 * 64]
    widths = [16, 32, 32, 64, 64, 64]
    assert document["parameters"] == sum(time) + 3 * 9 * 64 * 64 + 2 * (sum(widths) + 3 * 64) + 64 + 1
    frames = [64, 16, 16, 4, 4, 1]
    per_pixel = sum(weights * count for weights, count in zip(time, frames, strict=True)) + 3 * 9 * 64 * 64 + 64
    assert document["multiply_accumulates_per_strip"] == per_pixel * 32 * 256
    assert document["training"] == {"epochs": 3}
    assert document["scores"] == {"r": 0.9}


def test_the_command_writes_a_checkpoint_of_half_the_size(tmp_path, capsys):
    whole, half = tmp_path / "hess.safetensors", tmp_path / "half.safetensors"
    torch.manual_seed(0)
    network = build_network("hess", {})
    info = checkpoint.CheckpointInfo("hess", {}, input=checkpoint.NetworkInput(window="from-first"))
    checkpoint.save(whole, network, info)
    assert main(["checkpoint", str(whole), "--half-precision", str(half), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(whole)
    assert half.stat().st_size < 0.52 * whole.stat().st_size
    loaded = checkpoint.load(half)
    assert loaded.info == info
    for name, weights in network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], weights, rtol=1e-3, atol=1e-6, msg=name)
