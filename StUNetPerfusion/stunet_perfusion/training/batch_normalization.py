"""Batch normalization over the strips of all processes, so that several train as one with the whole batch would.

torch has it for NVIDIA GPUs only (`SyncBatchNorm`); this one also runs on CPUs, where it can be tested.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """Sum over processes. What one process's value changes in all of them comes back to it summed up likewise."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class BatchNormalizationOverProcesses(_BatchNorm):
    """As `BatchNorm2d` and `BatchNorm3d`, with mean and variance over all processes while training."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """:param features: (N, C, ...), the same shape in every process but for N"""
        if not self.training:
            return super().forward(features)
        axes = (0, *range(2, features.dim()))
        channels = (1, -1, *(1 for _ in axes[1:]))
        values = features.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = _Sum.apply(torch.cat([values.sum(axes), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centered = values - mean.view(channels)
        variance = _Sum.apply(centered.square().sum(axes)) / total
        self._track(mean, variance, total)
        gain = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * gain.view(channels) + self.bias.view(channels)).to(features.dtype)

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, variance: torch.Tensor, total: torch.Tensor) -> None:
        unbiased = variance * (total / (total - 1).clamp(min=1))
        running_mean, running_var, batches = self.running_mean, self.running_var, self.num_batches_tracked
        if running_mean is None or running_var is None or batches is None or self.momentum is None:
            raise ValueError("a normalization that keeps no running statistics does not train over processes")
        batches.add_(1)
        running_mean.lerp_(mean.to(running_mean), self.momentum)
        running_var.lerp_(unbiased.to(running_var), self.momentum)

    def _check_input_dim(self, features: torch.Tensor) -> None:
        """Any number of dimensions."""


def normalize_over_processes(network: nn.Module) -> nn.Module:
    """Replace every batch normalization of a network, in place; names and weights stay."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                joined = BatchNormalizationOverProcesses(child.num_features, child.eps, child.momentum)
                joined.weight, joined.bias = child.weight, child.bias
                joined.running_mean, joined.running_var = child.running_mean, child.running_var
                joined.num_batches_tracked = child.num_batches_tracked
                setattr(parent, name, joined)
    return network
