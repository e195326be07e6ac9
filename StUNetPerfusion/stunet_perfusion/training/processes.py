"""Where a training runs: in this process alone, or in several on one machine or on many, with Lightning Fabric."""

from __future__ import annotations

import os
import warnings
from typing import Any, Protocol

import torch
from torch import nn

from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.support.devices import choose_device
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.batch_normalization import normalize_over_processes
from stunet_perfusion.training.settings import ComputingSettings

_WAY_OUT = "install it with: pip install 'lightning>=2.4'"


class Processes(Protocol):
    """What training needs to know of the processes that train together.

    `count` of them, this being number `rank`, from 0.
    """

    count: int
    rank: int
    device: torch.device

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """The network as it is called, and the optimizer as it is stepped. The network itself is moved."""

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients, averaged over processes."""

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum over processes; no gradient passes."""

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in their order."""


class OneProcess:
    """This process alone.

    :param device: as torch names it
    """

    count = 1
    rank = 0

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        return use_channels_last(network.to(self.device)), optimizer

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return value.detach()

    def gather(self, value: Any) -> list[Any]:
        return [value]


class FabricProcesses:
    """Those that Lightning Fabric has started, with its precision.

    :param fabric: launched
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric
        self.count, self.rank, self.device = fabric.world_size, fabric.global_rank, fabric.device

    def setup(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        use_channels_last(network)
        if self.count > 1:
            normalize_over_processes(network)
            # Weights have their channels last, which costs a copy of the gradients and gains a step twice as fast.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        return self.fabric.setup(network, optimizer)

    def backward(self, loss: torch.Tensor) -> None:
        self.fabric.backward(loss)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return self.fabric.all_reduce(value.detach().clone(), reduce_op="sum")

    def gather(self, value: Any) -> list[Any]:
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(values, value)
        return values


def start_processes(settings: ComputingSettings) -> Processes:
    """Join the processes that train together, or start them.

    Under `fabric run` or `torchrun` the processes are there already and their number counts. Else Fabric starts this
    program again for every further device. Without Lightning one process trains in full precision.

    :raises InputError: a device that is not there, or more than one process without Lightning
    """
    device = choose_device(settings.device)
    launched = "TORCHELASTIC_RUN_ID" in os.environ or "LT_CLI_USED" in os.environ
    alone = settings.devices == settings.nodes == 1 and settings.precision == "32-true" and not launched
    try:
        from lightning.fabric import Fabric
    except ImportError:
        if alone:
            return OneProcess(device)
        fact = "is not installed, and several devices, several machines and mixed precision need it"
        raise InputError("lightning", fact, _WAY_OUT) from None
    accelerator, _, number = device.partition(":")
    devices: Any = settings.devices
    nodes = settings.nodes
    if launched:
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
        nodes = int(os.environ.get("WORLD_SIZE", devices * nodes)) // devices
    elif devices == 1 and accelerator == "cuda":
        devices = [int(number or 0)]
    several = nodes > 1 or (devices > 1 if isinstance(devices, int) else len(devices) > 1)
    wanted = {
        "accelerator": accelerator,
        "devices": devices,
        "num_nodes": nodes,
        "precision": settings.precision,
        "strategy": "ddp" if several else "auto",
    }
    # What `fabric run` was told comes by the environment, and must not be said twice.
    fabric = Fabric(**{name: value for name, value in wanted.items() if f"LT_{name.upper()}" not in os.environ})
    if "LT_CLI_USED" not in os.environ:
        fabric.launch()
    return FabricProcesses(fabric)
