"""How large a network is, and how much it computes for one strip."""

from __future__ import annotations

import copy
from math import prod

import torch
from torch import nn

from stunet_perfusion.networks.network import CbvNetwork


def parameter_count(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_accumulates(network: CbvNetwork, frames: int, rows: int, columns: int) -> int:
    """Multiply-accumulate operations of all convolutions for one strip, counting taps on padding as well.

    Nothing is computed: the shapes are followed on torch's meta device.

    :param frames: of the strip, without the maps that may follow them

    :raises InputError: a strip size that the network does not take
    """
    network.check_strip(frames, rows, columns)
    shadow = copy.deepcopy(network).to("meta").eval()
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if not isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)):
            return
        # A transposed convolution uses each input value once per tap; a convolution makes each output value from them.
        transposed = isinstance(layer, nn.ConvTranspose2d)
        values, channels = (
            (inputs[0].numel(), layer.out_channels) if transposed else (output.numel(), layer.in_channels)
        )
        counts.append(values * channels * prod(layer.kernel_size))

    for layer in shadow.modules():
        layer.register_forward_hook(count)
    shadow(torch.empty(1, frames + getattr(network, "maps", 0), rows, columns, device="meta"))
    return sum(counts)
