"""What a stU-Net says of a slice's maps alone, without looking at its curves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stunet_perfusion.networks.blocks import begin_at_zero
from stunet_perfusion.networks.nonlocal_means import NonlocalMeans
from stunet_perfusion.networks.quantities import CURVES_AND_FIT, MAPS

#: How many maps the guided average takes.
NONLOCAL_MAPS = MAPS[CURVES_AND_FIT]


class MapRefinement(nn.Module):
    """2-D convolutions of maps alone, with neither reductions nor batch normalization: in maps the scale of the noise,
    which normalization would take away, says how much to smooth. Untrained, it says 0; or, where it is guided, what the
    guided average differs from the fit by.

    :param maps: channels in
    :param width: channels between
    :param outputs: channels out
    :param dilations: of the convolutions, one after another
    :param guided: give them the guided average, too, and add what they say to it
    """

    def __init__(self, maps: int, width: int, outputs: int, dilations: Sequence[int], guided: bool = False) -> None:
        super().__init__()
        self.average = NonlocalMeans() if guided else None
        #: Rows beyond an output row, on either side, that can change it.
        self.reach = sum(dilations) + (NonlocalMeans.reach if guided else 0)
        channels = maps + (NonlocalMeans.outputs if guided else 0)
        layers: list[nn.Module] = []
        for dilation in dilations:
            layer = nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation)
            # Without normalization torch's own weights, by which each layer shrinks what it is given, would leave
            # hardly anything to learn from after a few.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU(inplace=True)]
            channels = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(width, outputs, 1)
        begin_at_zero(self.head)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """:param maps: (N, maps, Y, X)
        :returns: (N, outputs, Y, X)
        """
        if self.average is None:
            return self.head(self.body(maps))
        difference, averaged = self.average(maps)
        correction = self.head(self.body(torch.cat([maps, averaged.to(maps.dtype)], dim=1)))
        return torch.cat([correction[:, :1] + difference.unsqueeze(1), correction[:, 1:]], dim=1)
