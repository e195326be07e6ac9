"""The network of Ulas et al., Frontiers in Neurology 2019: frames as channels, a local and a global path."""

from __future__ import annotations

import torch
from torch import nn

from stunet_perfusion.networks.blocks import Convolution, check_multiple
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.support.errors import InputError

KERNEL = 3
GLOBAL_DILATIONS = (1, 2, 4, 8)


class Ulas(CbvNetwork):
    """Treats each frame as a color channel; a path of plain and one of dilated convolutions look near and far.

    :param frames: frames of a strip; they are the channels of the first convolution, so the number is fixed
    :param width: channels of every convolution but the last of each path, which has half of them
    """

    def __init__(self, frames: int = 64, width: int = 64) -> None:
        super().__init__()
        self.frames = frames
        self.width = width
        path_widths = (width, width, width, width // 2)
        self.entry = self._convolution(frames, width)
        self.local_path = self._path(path_widths, dilations=(1, 1, 1, 1))
        self.global_path = self._path(path_widths, dilations=GLOBAL_DILATIONS)
        self.exit = nn.Sequential(self._convolution(2 * path_widths[-1], width), self._convolution(width, width))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        """:param strips: (N, T, Y, X) standardized signal
        :returns: (N, Y, X) standardized CBV
        """
        features = self.entry(strips)
        features = torch.cat([self.local_path(features), self.global_path(features)], dim=1)
        return self.head(self.exit(features)).squeeze(1)

    def check_strip(self, frames: int, rows: int, columns: int) -> None:
        """Refuse strips that do not fit.

        :raises InputError: another number of frames than the network was made for, or no row or column at all
        """
        if frames != self.frames:
            raise InputError("Ulas", f"was made for {self.frames} frames, not {frames}", f"use {self.frames} frames")
        check_multiple("rows", rows, 1, "Ulas")
        check_multiple("columns", columns, 1, "Ulas")

    @property
    def row_step(self) -> int:
        """1: nothing is reduced in the plane."""
        return 1

    @property
    def row_reach(self) -> int:
        """Rows beyond an output row, on either side, that can change it: along the dilated path."""
        return (KERNEL // 2) * (1 + sum(GLOBAL_DILATIONS) + 2)

    def _path(self, widths: tuple[int, ...], dilations: tuple[int, ...]) -> nn.Sequential:
        before = (self.width, *widths[:-1])
        return nn.Sequential(
            *(self._convolution(a, b, dilation) for a, b, dilation in zip(before, widths, dilations, strict=True))
        )

    @staticmethod
    def _convolution(channels: int, width: int, dilation: int = 1) -> Convolution:
        return Convolution(nn.Conv2d, channels, width, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation)
