"""The training loop in its simplest form: Adam with its defaults on the L2 loss (the paper, section 3)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from stunet_perfusion.errors import InputError
from stunet_perfusion.networks.layout import use_channels_last
from stunet_perfusion.progress import CheckCancelled, Progress, never_cancelled, no_progress


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to.

    :param epoch: its number, from 0
    :param loss: mean L2 loss over the brain, in squared standard deviations of CBV
    :param strips: strips seen
    :param seconds: time it took, making of the data left out
    """

    epoch: int
    loss: float
    strips: int
    seconds: float


def brain_l2(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean squared difference over the brain. Outside it the target is not blood but noise over noise.

    :param prediction: (N, Y, X), as are the others
    :param weight: 1 in the brain, 0 elsewhere
    """
    return (weight * (prediction - target) ** 2).sum() / weight.sum().clamp(min=1)


def train(
    network: nn.Module,
    strips_of_epoch: Callable[[int], Dataset],
    epochs: int,
    *,
    batch: int = 8,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: str = "cpu",
    after_epoch: Callable[[EpochResult], None] = lambda result: None,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> list[EpochResult]:
    """Train a network in place.

    The learning rate is Adam's default and falls to nothing along half a cosine over the epochs.

    :param strips_of_epoch: the strips of an epoch, given its number; asked for once an epoch
    :param after_epoch: called after each epoch, with the network in evaluation mode
    :raises InputError: no strip to train on, or a loss that is no number any more
    """
    use_channels_last(network.to(device))
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    generator = torch.Generator().manual_seed(seed)
    results = []
    for epoch in range(epochs):
        strips = strips_of_epoch(epoch)
        if not len(strips):
            raise InputError("training", "no strip holds enough brain", "check the masks of the cases")
        loader = DataLoader(strips, batch, shuffle=True, generator=generator, drop_last=len(strips) > batch)
        results.append(
            _train_epoch(network, loader, optimizer, learning_rate, epoch, epochs, progress, check_cancelled)
        )
        network.eval()
        after_epoch(results[-1])
    return results


def _train_epoch(
    network: nn.Module,
    loader: DataLoader,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    epoch: int,
    epochs: int,
    progress: Progress,
    check_cancelled: CheckCancelled,
) -> EpochResult:
    network.train()
    device = next(network.parameters()).device
    start, total, strips = time.monotonic(), 0.0, 0
    for step, (signal, target, weight) in enumerate(loader):
        check_cancelled()
        share_done = (epoch + step / len(loader)) / epochs
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (1 + math.cos(math.pi * share_done)) / 2
        loss = brain_l2(network(signal.to(device)), target.to(device), weight.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        strips += len(signal)
        if not math.isfinite(total):
            raise InputError("training", "the loss is no number any more", "use a smaller learning rate")
        progress(share_done, f"Epoch {epoch + 1} of {epochs}, loss {total / (step + 1):.4f}")
    return EpochResult(epoch, total / len(loader), strips, time.monotonic() - start)
