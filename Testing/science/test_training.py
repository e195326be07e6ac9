"""The training loop and what it is fed."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from science.synthetic import make_series
from stunet_perfusion import checkpoint
from stunet_perfusion.cli import main
from stunet_perfusion.errors import InputError
from stunet_perfusion.networks import build_network
from stunet_perfusion.preparation import prepare
from stunet_perfusion.standardize import CLIP, cbv_scale, into_box, plan_standardization, standardize_slice
from stunet_perfusion.training.loop import brain_l2, train
from stunet_perfusion.training.phantom_cases import PhantomSource, image_files, random_phantom
from stunet_perfusion.training.strip_dataset import StripDataset, TrainingSlices, training_slices


def test_the_loss_is_the_mean_square_over_the_brain_only():
    prediction = torch.tensor([[[1.0, 2.0], [3.0, 100.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    assert brain_l2(prediction, torch.zeros_like(prediction), weight) == pytest.approx((1 + 4 + 9) / 3)
    assert brain_l2(prediction, torch.zeros_like(prediction), torch.zeros_like(weight)) == 0


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


def linear_strips(epoch):
    generator = torch.Generator().manual_seed(epoch)
    signal = torch.randn(64, 4, 8, 8, generator=generator)
    weight = (torch.rand(64, 8, 8, generator=generator) > 0.3).float()
    return TensorDataset(signal, 3 * signal[:, 0] + 1000 * (1 - weight), weight)


def test_training_finds_the_l2_optimum_and_tells_of_every_epoch():
    network, told = Scale(), []
    results = train(network, linear_strips, 40, learning_rate=0.2, after_epoch=told.append)
    assert network.factor.item() == pytest.approx(3, abs=0.02)
    assert [result.epoch for result in told] == list(range(40))
    assert results[-1].loss < 1e-2 < results[0].loss


def test_the_same_seed_trains_the_same_network():
    factors = []
    for seed in (1, 1, 2):
        network = Scale()
        train(network, linear_strips, 2, seed=seed, learning_rate=0.05)
        factors.append(network.factor.item())
    assert factors[0] == factors[1] != factors[2]


def test_a_loss_that_is_no_number_stops_the_training():
    def broken(epoch):
        return TensorDataset(torch.full((8, 4, 8, 8), float("nan")), torch.zeros(8, 8, 8), torch.ones(8, 8, 8))

    with pytest.raises(InputError, match="the loss is no number any more"):
        train(Scale(), broken, 1)
    with pytest.raises(InputError, match="no strip holds enough brain"):
        train(Scale(), lambda epoch: StripDataset([]), 1)


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
    results = train(network, lambda epoch: strips, 100, batch=4, learning_rate=1e-2)
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
