"""What training makes small, as sums over the brain, so that they can be added up over processes."""

from __future__ import annotations

from collections.abc import Callable

import torch

from stunet_perfusion.networks.quantities import LOG_ERROR_LIMITS

#: Of the robust loss, in the target's unit: for corrections to the fit, standard deviations of its noise.
ROBUST_LIMIT = 4.0

#: Expected standard deviations.
SURPRISE_LIMIT = 3.0

#: From prediction, target and weight, all (N, Y, X), to the loss as (sum over the brain, weight of the brain). The
#: weight is 1 in the brain and 0 elsewhere: outside of it the target is not blood but noise over noise.
LossSums = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def l2_sums(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared differences, the paper's loss."""
    return (weight * (prediction - target) ** 2).sum(), weight.sum()


def robust_sums(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared differences up to `ROBUST_LIMIT`, and from there on straight lines (Huber 1964): a few voxels that no
    network can get right, in vessels and where agent leaks, do not drown what all the others teach.
    """
    difference = (prediction - target).abs()
    inner = difference.clamp(max=ROBUST_LIMIT)
    return (weight * inner * (2 * difference - inner)).sum(), weight.sum()


def error_sums(
    difference: torch.Tensor, log_error: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How badly an expected error fits the difference: minus the logarithm of a normal density, without its constant.

    It is smallest where the expected standard deviation is that of the differences. These are taken as they are, so
    that a pixel which is hard to predict does not count for less in the prediction itself. Beyond `SURPRISE_LIMIT`
    expected deviations the parabola goes on as its tangent: one vessel, many deviations off, would otherwise teach the
    features that map and error share more than all the brain does.

    :param difference: (N, Y, X) prediction less target
    :param log_error: (N, Y, X) logarithm of the expected standard deviation
    """
    log_error = log_error.clamp(*LOG_ERROR_LIMITS)
    deviations = difference.detach().abs() * torch.exp(-log_error)
    inner = deviations.clamp(max=SURPRISE_LIMIT)
    surprise = log_error + inner * (deviations - 0.5 * inner)
    return (weight * surprise).sum(), weight.sum()


def loss_sums(name: str, error_weight: float = 0.1) -> LossSums:
    """A loss by its name. Of a network that says its error, (N, 2, Y, X), that is taught besides.

    :param name: `l2` or `robust`
    :param error_weight: of the expected error
    """
    sums_of = {"l2": l2_sums, "robust": robust_sums}[name]

    def sums(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cbv = prediction if prediction.ndim == 3 else prediction[:, 0]
        total, brain = sums_of(cbv, target, weight)
        if prediction.ndim == 4:
            total = total + error_weight * error_sums(cbv - target, prediction[:, 1], weight)[0]
        return total, brain

    return sums
