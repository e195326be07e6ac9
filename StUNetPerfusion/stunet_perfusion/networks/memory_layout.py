"""The order of the weights in memory."""

from __future__ import annotations

import torch
from torch import nn


def use_channels_last(network: nn.Module) -> nn.Module:
    """Lay the weights of all convolutions out with channels last, in place.

    On CPUs the 3-D convolutions of these networks run about twice as fast that way, with the same result up to
    rounding. The features follow the weights' layout by themselves.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            layer.to(memory_format=torch.channels_last_3d)
        elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.to(memory_format=torch.channels_last)
    return network
