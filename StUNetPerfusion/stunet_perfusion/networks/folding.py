"""Batch normalization folded into the convolution before it, for evaluation."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stunet_perfusion.networks.blocks import Convolution

_Network = TypeVar("_Network", bound=nn.Module)


def fold_batch_normalization(network: _Network) -> _Network:
    """A copy of a network in evaluation mode, with every normalization folded into its convolution.

    In evaluation a batch normalization is a gain and an offset a channel, which the convolution's weights and a bias
    can hold: the map is the same up to rounding, and each block passes over its features once less. What is folded
    already stays as it is.
    """
    folded = copy.deepcopy(network).eval()
    for block in folded.modules():
        if isinstance(block, Convolution) and isinstance(normalization := block[1], _BatchNorm):
            transposed = isinstance(block.layer, nn.ConvTranspose2d)
            block[0], block[1] = fuse_conv_bn_eval(block.layer, normalization, transpose=transposed), nn.Identity()
    return folded
