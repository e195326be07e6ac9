"""The order of the weights in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

_Network = TypeVar("_Network", bound=nn.Module)


def use_channels_last(network: _Network) -> _Network:
    """Lay the weights of all convolutions out with channels last, in place.

    On CPUs the 3-D convolutions of these networks run about twice as fast that way, with the same result up to
    rounding. The features follow the weights' layout by themselves.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            _lay_out(layer, torch.channels_last_3d)
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            _lay_out(layer, torch.channels_last)
    return network


def _lay_out(layer: nn.Module, order: torch.memory_format) -> None:
    # torch's types leave this argument out.
    layer.to(memory_format=order)  # type: ignore[call-overload]
