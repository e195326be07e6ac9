"""The stU-Net: a 3-D encoder over rows, columns and time, and a 2-D decoder (the paper, section 3 and Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stunet_perfusion.networks.blocks import (
    Convolution,
    begin_at_zero,
    check_multiple,
    maximum_over_time,
    mean_and_maximum_over_time,
)
from stunet_perfusion.networks.map_refinement import NONLOCAL_MAPS, MapRefinement
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.support.errors import InputError

#: The paper's kernels, written (time, rows, columns). A reduction's stride is its kernel.
ENCODER_KERNEL = (7, 3, 3)
REDUCTION = (4, 2, 2)
DECODER_KERNEL = 5
EXPANSION = 2

#: What a skip connection makes of time.
SKIPS = {"maximum": maximum_over_time, "mean-and-maximum": mean_and_maximum_over_time}


class StUNet(CbvNetwork):
    """Predicts strips of a CBV map from strips of a DSC series.

    Each level of the encoder convolves 3x3x7 and reduces 2x2x4, until one frame is left of 64. Each level of the
    decoder expands 2x2, joins the encoder's features of that level (their maximum over time) and convolves 5x5.

    :param widths: channels of the levels, finest first; the paper leaves them open
    :param convolutions: convolutions a level, in the encoder and in the decoder
    :param skip: what skip connections make of time: the paper's `maximum`, or `mean-and-maximum`. Blood volume is an
        area under a curve, which a maximum does not know.
    :param error: also say how large the error of each pixel is
    :param maps: that follow the frames of a strip, and stand beside every frame of it as channels
    :param join_maps: let the maps join the finest skip, too, where they need not pass through the encoder
    :param decoder: channels of the decoder's levels, finest first; those of the encoder where it is empty
    :param refine: dilations of further 3x3 convolutions that see nothing but the maps, and whose result is added to the
        decoder's. They reduce no rows, so that what they say of a pixel is the same in every strip with context.
    :param refine_width: their channels
    :param guided: begin the refinement with the `NonlocalMeans` of the maps, which are those of `CURVES_AND_FIT`
    :raises InputError: an unknown skip, or another number of levels in the decoder than in the encoder
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128),
        convolutions: int = 1,
        skip: str = "maximum",
        error: bool = False,
        maps: int = 0,
        join_maps: bool = False,
        decoder: Sequence[int] = (),
        refine: Sequence[int] = (),
        refine_width: int = 32,
        guided: bool = False,
    ) -> None:
        super().__init__()
        if skip not in SKIPS:
            raise InputError("stU-Net", f"'{skip}' is no kind of skip", f"use {' or '.join(SKIPS)}")
        self.widths = tuple(widths)
        self.decoder_widths = tuple(decoder) or self.widths[:-1]
        if len(self.decoder_widths) != len(self.widths) - 1:
            fact = f"{len(self.decoder_widths)} widths of the decoder do not fit {len(self.widths)} of the encoder"
            raise InputError("stU-Net", fact, f"give {len(self.widths) - 1} of them")
        if refine and not maps:
            raise InputError("stU-Net", "has no maps to refine", "give it maps, or leave 'refine' out")
        if guided and not (refine and maps == NONLOCAL_MAPS):
            fact = f"filters {NONLOCAL_MAPS} maps by non-local means, and refines them"
            raise InputError("stU-Net", fact, "give it the input 'curves-and-fit' and 'refine', or leave 'guided' out")
        self.convolutions = convolutions
        self.skip = skip
        self.says_error = error
        self.maps = maps
        self.joined_maps = maps if join_maps else 0
        finer_to_coarser = list(zip(self.widths, self.widths[1:], strict=False))

        self.encoder = nn.ModuleList([self._encoder_level(1 + maps, self.widths[0])])
        self.encoder.extend(self._encoder_level(width, width) for width in self.widths[1:])
        self.reductions = nn.ModuleList(
            Convolution(nn.Conv3d, finer, coarser, REDUCTION, stride=REDUCTION) for finer, coarser in finer_to_coarser
        )
        coarser = (*self.decoder_widths[1:], self.widths[-1])
        self.expansions = nn.ModuleList(
            Convolution(nn.ConvTranspose2d, below, width, EXPANSION, stride=EXPANSION)
            for below, width in zip(coarser, self.decoder_widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            self._decoder_level(level, width + self._skip_width(level), width)
            for level, width in enumerate(self.decoder_widths)
        )
        self.head = nn.Conv2d(self.decoder_widths[0] if self.decoder_widths else self.widths[0], 1 + error, 1)
        self.refinement = MapRefinement(maps, refine_width, 1 + error, refine, guided) if refine else None
        #: In training: nothing but the refinement is computed.
        self.learns_refinement_alone = False
        if refine:
            # The refinement's part is learned first: what the decoder says before it knows anything would be noise.
            begin_at_zero(self.head)

    def forward(self, strips: torch.Tensor) -> torch.Tensor:
        """:param strips: (N, T, Y, X) standardized signal; with maps (N, T + maps, Y, X)
        :returns: (N, Y, X) standardized CBV; of a network that says its error, (N, 2, Y, X): CBV and the logarithm of
            the error's standard deviation
        """
        if self.training and self.learns_refinement_alone and self.refinement is not None:
            return self.refinement(strips[:, -self.maps :]).squeeze(1)
        features = self.encoder[0](with_maps(strips, self.maps))
        skips: list[torch.Tensor] = []
        for reduction, level in zip(self.reductions, self.encoder[1:], strict=True):
            skip = SKIPS[self.skip](features)
            if self.joined_maps and not skips:
                skip = torch.cat([skip, strips[:, -self.joined_maps :]], dim=1)
            skips.append(skip)
            features = level(reduction(features))
        features = maximum_over_time(features)
        for expansion, level, skip in reversed(list(zip(self.expansions, self.decoder, skips, strict=True))):
            features = level(torch.cat([expansion(features), skip], dim=1))
        prediction = self.head(features)
        if self.refinement is not None:
            prediction = prediction + self.refinement(strips[:, -self.maps :])
        return prediction.squeeze(1)

    def check_strip(self, frames: int, rows: int, columns: int) -> None:
        """Refuse strips that the reductions do not divide.

        :raises InputError: frames no multiple of 4 per reduction, rows or columns none of 2 per reduction
        """
        reductions = len(self.reductions)
        check_multiple("frames", frames, REDUCTION[0] ** reductions, "stU-Net")
        check_multiple("rows", rows, self.row_step, "stU-Net")
        check_multiple("columns", columns, REDUCTION[2] ** reductions, "stU-Net")

    @property
    def row_step(self) -> int:
        """Two strips whose first rows are this many rows apart see the same pairing of rows in every reduction."""
        return REDUCTION[1] ** len(self.reductions)

    @property
    def row_reach(self) -> int:
        """Rows beyond an output row, on either side, that can change it; a multiple of `row_step`."""
        encoder, decoder = (ENCODER_KERNEL[1] // 2) * self.convolutions, (DECODER_KERNEL // 2) * self.convolutions
        levels = range(len(self.widths))
        reach = sum(encoder * 2**level for level in levels) + sum(decoder * 2**level for level in levels[:-1])
        # The pairing of rows in the reductions looks up to row_step - 1 rows further.
        reach += self.row_step - 1
        if self.refinement is not None:
            reach = max(reach, self.refinement.reach)
        return -(-reach // self.row_step) * self.row_step

    def _encoder_level(self, channels: int, width: int) -> nn.Sequential:
        padding = tuple(size // 2 for size in ENCODER_KERNEL)
        return nn.Sequential(
            *(
                Convolution(nn.Conv3d, channels if first else width, width, ENCODER_KERNEL, padding=padding)
                for first in _first_of(self.convolutions)
            )
        )

    def _skip_width(self, level: int) -> int:
        """Channels of what the encoder gives to a level of the decoder."""
        width = self.widths[level] * (2 if self.skip == "mean-and-maximum" else 1)
        return width if level else width + self.joined_maps

    def _decoder_level(self, level: int, channels: int, width: int) -> nn.Sequential:
        return nn.Sequential(
            *(
                Convolution(nn.Conv2d, channels if first else width, width, DECODER_KERNEL, padding=DECODER_KERNEL // 2)
                for first in _first_of(self.convolutions)
            )
        )


def with_maps(strips: torch.Tensor, maps: int) -> torch.Tensor:
    """Put the maps that follow the frames beside every frame: (N, T + maps, Y, X) -> (N, 1 + maps, T, Y, X)."""
    frames = strips.shape[1] - maps
    signal = strips[:, :frames].unsqueeze(1)
    if not maps:
        return signal
    return torch.cat([signal, strips[:, frames:].unsqueeze(2).expand(-1, -1, frames, -1, -1)], dim=1)


def _first_of(count: int) -> list[bool]:
    """True, False, False, ...: the first convolution of a level is the one that changes the channels."""
    return [index == 0 for index in range(count)]
