"""The training loop: Adam with its defaults, strips of several cases shuffled together, on one process or on many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import nn
from torch.utils.data import default_collate

from stunet_perfusion.networks.stunet import StUNet
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
)
from stunet_perfusion.training.background import one_ahead
from stunet_perfusion.training.losses import LossSums, loss_sums
from stunet_perfusion.training.processes import OneProcess, Processes
from stunet_perfusion.training.settings import Optimization

#: A loss that is no number is noticed within so many steps. Each look makes a GPU wait.
_STEPS_BETWEEN_LOOKS = 16

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


_Item = TypeVar("_Item")


class Strips(Protocol):
    """Strips in an order of their own, as `StripDataset` holds them."""

    def __len__(self) -> int: ...

    def __getitem__(self, item: int, /) -> Batch: ...


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to, over all processes.

    :param epoch: its number, from 0
    :param loss: mean over the steps
    :param strips: strips seen
    :param seconds: time it took
    :param waited: share of that time in which the steps waited for strips
    :param learning_rate: of its last step
    """

    epoch: int
    loss: float
    strips: int
    seconds: float
    waited: float
    learning_rate: float


@dataclass(frozen=True)
class EpochStrips:
    """What an epoch is trained on.

    :param parts: datasets of strips, each shuffled within itself; asked for one by one, and taking as long as they do
    :param count: how many there are
    """

    parts: Iterable[Strips]
    count: int = 1


def make_optimizer(network: nn.Module, optimization: Optimization) -> torch.optim.Optimizer:
    """Adam with its default hyper-parameters, as in the paper."""
    return torch.optim.Adam(network.parameters(), lr=optimization.learning_rate)


def train(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    strips_of_epoch: Callable[[int], EpochStrips],
    optimization: Optimization,
    *,
    processes: Processes | None = None,
    first_epoch: int = 0,
    after_epoch: Callable[[EpochResult], None] = lambda result: None,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> list[EpochResult]:
    """Train a network in place.

    :param network: as `Processes.setup` returns it, and so is the optimizer
    :param strips_of_epoch: given the number of an epoch, what this process sees of it
    :param first_epoch: the one to begin with, where earlier ones are done
    :param after_epoch: called after each epoch, with the network in evaluation mode
    :returns: the epochs that were trained now
    :raises InputError: no strip to train on, or a loss that is no number any more
    """
    processes = processes or OneProcess()
    results = []
    for epoch in range(first_epoch, optimization.epochs):
        network.train()
        if epoch >= optimization.epochs * (1 - optimization.settled):
            settle_normalization(network)
        learn_refinement_alone(network, processes, epoch < epochs_of_refinement(optimization))
        results.append(
            _train_epoch(
                network, optimizer, strips_of_epoch(epoch), epoch, optimization, processes, progress, check_cancelled
            )
        )
        network.eval()
        after_epoch(results[-1])
    return results


def settle_normalization(network: nn.Module) -> None:
    """Let batch normalization use what it has gathered, in training too."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.eval()


def learn_refinement_alone(network: nn.Module, processes: Processes, alone: bool) -> None:
    """Whether training computes nothing but a stU-Net's refinement of its maps.

    :raises InputError: several processes, which wait for gradients of the whole network
    """
    if alone and processes.count > 1:
        way_out = "train on 1 device, or set it to 0"
        raise InputError("optimization.maps_first", "works with one process only", way_out, Setting.DEVICES)
    for layer in network.modules():
        if isinstance(layer, StUNet):
            layer.learns_refinement_alone = alone


def learning_rate_at(optimization: Optimization, share_done: float) -> float:
    """The learning rate when a share of all epochs is done. The whole network begins as its refinement did: it has as
    much to learn.
    """
    if optimization.schedule == "constant":
        return optimization.learning_rate
    alone = epochs_of_refinement(optimization) / optimization.epochs
    if share_done < alone or alone == 1:
        share_done /= alone
    else:
        share_done = (share_done - alone) / (1 - alone)
    return optimization.learning_rate * (1 + math.cos(math.pi * share_done)) / 2


def epochs_of_refinement(optimization: Optimization) -> int:
    """How many first epochs nothing but the refinement of the maps learns in."""
    return round(optimization.epochs * optimization.maps_first)


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    strips: EpochStrips,
    epoch: int,
    optimization: Optimization,
    processes: Processes,
    progress: Progress,
    check_cancelled: CheckCancelled,
) -> EpochResult:
    sums_of = loss_sums(optimization.loss, optimization.error_weight)
    start = time.monotonic()
    total = torch.zeros((), device=processes.device)
    seen, steps, waited, rate = 0, 0, 0.0, optimization.learning_rate
    parts = _timed(strips.parts)
    for number, (part, waited_for_part) in enumerate(parts):
        waited += waited_for_part
        per_process = max(optimization.batch // processes.count, 1)
        count = _common_steps(len(part), per_process, processes)
        generator = torch.Generator().manual_seed(_seed(optimization.seed, epoch, number, processes.rank))
        batches = _batches(part, per_process, count, generator, processes.device)
        if processes.device.type != "cpu":
            # On a CPU a thread beside the network's own would only take their processors away.
            batches = one_ahead(batches)
        for step, (batch, waited_for_batch) in enumerate(_timed(batches)):
            check_cancelled()
            waited += waited_for_batch
            share_done = (epoch + (number + step / count) / strips.count) / optimization.epochs
            rate = learning_rate_at(optimization, share_done)
            loss = _step(network, optimizer, batch, rate, sums_of, processes)
            total += loss
            seen += len(batch[0])
            steps += 1
            if steps % _STEPS_BETWEEN_LOOKS == 0 or step + 1 == count:
                mean = _checked(float(total)) / steps
                progress(share_done, f"Epoch {epoch + 1} of {optimization.epochs}, loss {mean:.4f}")
    if not steps:
        raise _no_strip()
    seconds = time.monotonic() - start
    everywhere = processes.gather((seen, waited, seconds))
    return EpochResult(
        epoch,
        float(total) / steps,
        sum(each[0] for each in everywhere),
        seconds,
        sum(each[1] for each in everywhere) / sum(each[2] for each in everywhere),
        rate,
    )


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    sums_of: LossSums,
    processes: Processes,
) -> torch.Tensor:
    """One step of all processes on their shares of a batch, as one process would make it on the whole.

    The loss is a sum over the batch's brain divided by how much brain there is. Gradients are averaged over
    processes, so that each counts its own sum, over the brain of all, as many times as there are processes.

    :returns: the loss of the whole batch
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    device = processes.device
    signal, target, weight = (each.to(device, non_blocking=True) for each in batch)
    prediction = network(signal).float()
    margin = (prediction.shape[-2] - target.shape[-2]) // 2
    sums, brain = sums_of(prediction[..., margin : margin + target.shape[-2], :], target, weight)
    own = sums / processes.total(brain).clamp(min=1)
    optimizer.zero_grad()
    processes.backward(own * processes.count)
    optimizer.step()
    return processes.total(own)


def _batches(part: Strips, size: int, count: int, generator: torch.Generator, device: torch.device) -> Iterator[Batch]:
    """Strips in random order, `count` batches of them."""
    order = torch.randperm(len(part), generator=generator).tolist()
    for first in range(0, count * size, size):
        batch = default_collate([part[item] for item in order[first : first + size]])
        yield tuple(each.pin_memory() for each in batch) if device.type == "cuda" else tuple(batch)


def _common_steps(strips: int, size: int, processes: Processes) -> int:
    """Full batches that every process has; one that is not full where there is no more."""
    fewest = min(processes.gather(strips))
    if not fewest:
        raise _no_strip()
    return max(fewest // size, 1)


def _timed(items: Iterable[_Item]) -> Iterator[tuple[_Item, float]]:
    """Each item with the seconds that it took to come."""
    iterator = iter(items)
    while True:
        start = time.monotonic()
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item, time.monotonic() - start


def _seed(*numbers: int) -> int:
    """One seed from several numbers, the same on every machine."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % 2**63
    return seed


def _checked(total: float) -> float:
    if not math.isfinite(total):
        raise InputError("training", "the loss is no number any more", "use a smaller learning rate")
    return total


def _no_strip() -> InputError:
    return InputError("training", "no strip holds enough brain", "check the masks of the cases")
