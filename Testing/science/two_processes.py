"""Trains a small network on this process's half of four strips, under torchrun. Imported by the test for the whole."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.utils.data import Subset, TensorDataset

from stunet_perfusion.networks.build import build_network
from stunet_perfusion.training.loop import EpochStrips, make_optimizer, train
from stunet_perfusion.training.processes import OneProcess, Processes, start_processes
from stunet_perfusion.training.settings import ComputingSettings, Optimization

#: Adam divides each gradient by its own size, so that rounding alone would move weights whose gradient is nearly 0.
#: The epsilon is what makes it continuous there.
EPSILON = 1e-3


def four_strips() -> TensorDataset:
    """Strips with more and less brain in them, so that no process has half of it."""
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(4, 64, 16, 16, generator=generator)
    weight = (torch.rand(4, 16, 16, generator=generator) < torch.tensor([1.0, 0.1, 0.6, 0.3])[:, None, None]).float()
    return TensorDataset(signal, signal.amin(dim=1), weight)


def train_three_steps(processes: Processes, loss: str) -> dict[str, torch.Tensor]:
    """Three steps on all four strips together.

    :returns: the weights, with the gradients of the last step
    """
    torch.manual_seed(0)
    network = build_network("stunet", {"widths": (2, 4, 4, 4)})
    optimization = Optimization(epochs=3, batch=4, loss=loss)
    optimizer = make_optimizer(network, optimization)
    for group in optimizer.param_groups:
        group["eps"] = EPSILON
    called, optimizer = processes.setup(network, optimizer)
    own = Subset(four_strips(), range(processes.rank, 4, processes.count))
    results = train(called, optimizer, lambda epoch: EpochStrips([own]), optimization, processes=processes)
    assert all(result.strips == 4 for result in results)
    gradients = {f"gradient of {name}": weight.grad for name, weight in network.named_parameters()}
    losses = {"losses": torch.tensor([result.loss for result in results])}
    return {name: value.detach().clone() for name, value in {**network.state_dict(), **gradients, **losses}.items()}


def alone(loss: str) -> dict[str, torch.Tensor]:
    """The same in one process."""
    return train_three_steps(OneProcess(), loss)


if __name__ == "__main__":
    torch.set_num_threads(1)
    together = start_processes(ComputingSettings(device="cpu", devices=2))
    assert together.count == 2
    found = {loss: train_three_steps(together, loss) for loss in ("l2", "robust")}
    torch.save(found, Path(sys.argv[1]) / f"{together.rank}.pt")
