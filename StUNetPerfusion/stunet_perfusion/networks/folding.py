"""Batch normalization folded into the convolution before it, for evaluation."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stunet_perfusion.networks.blocks import Convolution


def fold_batch_normalization(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode, with every normalization folded into its convolution.

    In evaluation a batch normalization is a gain and an offset a channel, which the convolution's weights and a bias
    can hold: the map is the same up to rounding, and each block passes over its features once less. What is folded
    already stays as it is.
    """
    folded = copy.deepcopy(network).eval()
    for block in folded.modules():
        if isinstance(block, Convolution) and not isinstance(block[1], nn.Identity):
            transposed = isinstance(block[0], nn.ConvTranspose2d)
            block[0], block[1] = fuse_conv_bn_eval(block[0], block[1], transpose=transposed), nn.Identity()
    return folded
