"""The network of Hess et al., MICCAI BrainLes 2018: a 1-D sequence encoder, then 2-D spatial correlation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from stunet_perfusion.networks.blocks import Convolution, check_multiple, maximum_over_time
from stunet_perfusion.networks.network import CbvNetwork

SEQUENCE_KERNEL = (7, 1, 1)
SEQUENCE_REDUCTION = (4, 1, 1)
SPATIAL_KERNEL = 3


class TimeConvolution(nn.Conv3d):
    """A convolution over time alone, computed in two dimensions, time by pixels: four times as fast on a CPU."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """:param features: (N, C, T, Y, X)"""
        padding = [int(size) for size in self.padding[:2]]
        result = functional.conv2d(features.flatten(3), self.weight.squeeze(-1), self.bias, self.stride[:2], padding)
        return result.unflatten(3, features.shape[3:])


class Hess(CbvNetwork):
    """Convolves each voxel's curve in time until one frame is left of 64, then the features in the plane.

    :param sequence_widths: channels before, between and after the three reductions in time
    :param spatial_convolutions: 3x3 convolutions of the "spatial correlation" part
    """

    def __init__(self, sequence_widths: tuple[int, ...] = (16, 32, 64, 64), spatial_convolutions: int = 3) -> None:
        super().__init__()
        self.sequence_widths = tuple(sequence_widths)
        self.spatial_convolutions = spatial_convolutions
        layers: list[nn.Module] = []
        channels = 1
        for width, reduced in zip(self.sequence_widths, self.sequence_widths[1:], strict=False):
            padding = tuple(size // 2 for size in SEQUENCE_KERNEL)
            layers.append(Convolution(TimeConvolution, channels, width, SEQUENCE_KERNEL, padding=padding))
            layers.append(Convolution(TimeConvolution, width, reduced, SEQUENCE_REDUCTION, stride=SEQUENCE_REDUCTION))
            channels = reduced
        self.sequence_encoder = nn.Sequential(*layers)
        self.spatial_correlation = nn.Sequential(
            *(
                Convolution(nn.Conv2d, channels, channels, SPATIAL_KERNEL, padding=SPATIAL_KERNEL // 2)
                for _ in range(spatial_convolutions)
            )
        )
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        """:param strips: (N, T, Y, X) standardized signal
        :returns: (N, Y, X) standardized CBV
        """
        features = maximum_over_time(self.sequence_encoder(strips.unsqueeze(1)))
        return self.head(self.spatial_correlation(features)).squeeze(1)

    def check_strip(self, frames: int, rows: int, columns: int) -> None:
        """Refuse strips that do not fit.

        :raises InputError: frames no multiple of 4 per reduction in time, or no row or column at all
        """
        check_multiple("frames", frames, SEQUENCE_REDUCTION[0] ** (len(self.sequence_widths) - 1), "Hess")
        check_multiple("rows", rows, 1, "Hess")
        check_multiple("columns", columns, 1, "Hess")

    @property
    def row_step(self) -> int:
        """1: nothing is reduced in the plane."""
        return 1

    @property
    def row_reach(self) -> int:
        """Rows beyond an output row, on either side, that can change it."""
        return (SPATIAL_KERNEL // 2) * self.spatial_convolutions
