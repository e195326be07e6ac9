"""The two building blocks that the three networks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from stunet_perfusion.support.errors import InputError

ConvolutionLayer = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d


class Convolution(nn.Sequential):
    """A convolution, batch normalization and ReLU. The convolution's bias would be redundant and is left out.

    :param convolution: the layer class, such as `nn.Conv3d`
    :param arguments: what that class takes: channels in, channels out, kernel, ...
    """

    def __init__(self, convolution: Callable[..., ConvolutionLayer], *arguments: Any, **options: Any) -> None:
        layer = convolution(*arguments, bias=False, **options)
        normalization = nn.BatchNorm3d if isinstance(layer, nn.Conv3d) else nn.BatchNorm2d
        super().__init__(layer, normalization(layer.out_channels), nn.ReLU(inplace=True))

    @property
    def layer(self) -> ConvolutionLayer:
        """The convolution itself."""
        return cast(ConvolutionLayer, self[0])


def begin_at_zero(layer: ConvolutionLayer) -> None:
    """Let a layer that has learned nothing yet predict 0."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def maximum_over_time(features: torch.Tensor) -> torch.Tensor:
    """(N, C, T, Y, X) -> (N, C, Y, X): the paper's skip connections, which take time out by a maximum.

    `max` rather than `amax`: its gradient goes to one frame instead of comparing all of them again, which makes a
    training step a quarter faster.
    """
    return features.max(dim=2).values


def mean_and_maximum_over_time(features: torch.Tensor) -> torch.Tensor:
    """(N, C, T, Y, X) -> (N, 2 C, Y, X): the mean over time, which an area under a curve is, before the maximum."""
    return torch.cat([features.mean(dim=2), maximum_over_time(features)], dim=1)


def check_multiple(what: str, number: int, step: int, network: str) -> None:
    """Refuse a strip that the network's reductions do not divide.

    :raises InputError: `number` is not a positive multiple of `step`
    """
    if number <= 0 or number % step:
        nearest = max(step, round(number / step) * step)
        raise InputError(
            network, f"a strip of {number} {what} does not fit its reductions by {step}", f"use {nearest} {what}"
        )
