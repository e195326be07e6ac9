"""What training makes small, as sums over the brain, so that they can be added up over processes."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: From prediction, target and weight, all (N, Y, X), to the loss as (sum over the brain, weight of the brain). The
#: weight is 1 in the brain and 0 elsewhere: outside of it the target is not blood but noise over noise.
LossSums = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def l2_sums(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared differences, the paper's loss."""
    return (weight * (prediction - target) ** 2).sum(), weight.sum()


def edge_sums(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, edge_weight: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Absolute differences, and `edge_weight` times those of the gradients along rows and columns.

    An L2 loss prefers a soft edge to one that is a pixel off; the L1 norm of the gradient does not. Gradients count
    between two pixels of the brain.
    """
    difference = prediction - target
    total = (weight * difference.abs()).sum()
    for axis in (1, 2):
        both = weight.narrow(axis, 1, weight.shape[axis] - 1) * weight.narrow(axis, 0, weight.shape[axis] - 1)
        total = total + edge_weight * (both * difference.diff(dim=axis).abs()).sum()
    return total, weight.sum()


def loss_sums(name: str, edge_weight: float = 1.0) -> LossSums:
    """A loss by its name.

    :param name: `l2` or `edges`
    """
    if name == "l2":
        return l2_sums
    return lambda prediction, target, weight: edge_sums(prediction, target, weight, edge_weight)
