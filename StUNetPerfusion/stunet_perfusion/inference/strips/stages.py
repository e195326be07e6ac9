"""The stU-Net taken apart into stages that work on any rows of a slice.

Features are (N, rows, frames, columns, channels), contiguous: rows outermost, so that a band of them is one piece of
memory, and channels last, which is how CPUs convolve fastest. Convolutions do not pad rows; who calls them says what
lies beyond the rows at hand. Columns and frames are padded with zeros as in the network itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from stunet_perfusion.networks.blocks import Convolution, ConvolutionLayer
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.map_refinement import MapRefinement
from stunet_perfusion.networks.stunet import (
    DECODER_KERNEL,
    ENCODER_KERNEL,
    EXPANSION,
    REDUCTION,
    StUNet,
    with_maps,
)

#: Rows that a convolution of the encoder and of the decoder looks beyond its own, on either side.
ENCODER_HALO = ENCODER_KERNEL[1] // 2
DECODER_HALO = DECODER_KERNEL // 2

#: Rows of a slice that are refined in one go: more take more memory and save little.
REFINED_ROWS = 128


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights and bias of a convolution with its normalization folded in."""

    weight: torch.Tensor
    bias: torch.Tensor

    def convolve_frames(self, features: torch.Tensor, padded_rows: int = 0) -> torch.Tensor:
        """3-D convolution without ReLU: (N, Y, T, X, C) -> (N, Y + 2 * padded_rows - 2 * halo, T, X, C')."""
        padding = (padded_rows, self.weight.shape[3] // 2, self.weight.shape[4] // 2)
        return _convolve_frames(features, self.weight, self.bias, padding, (1, 1, 1))

    def reduce_frames(self, features: torch.Tensor) -> torch.Tensor:
        """3-D convolution whose stride is its kernel, without ReLU: (N, 2Y, 4T, 2X, C) -> (N, Y, T, X, C')."""
        rows, frames, columns = self.weight.shape[2:]
        return _convolve_frames(features, self.weight, self.bias, (0, 0, 0), (rows, frames, columns))

    def convolve_plane(self, features: torch.Tensor, padded_rows: int = 0) -> torch.Tensor:
        """2-D convolution without ReLU: (N, Y, X, C) -> (N, Y + 2 * padded_rows - 2 * halo, X, C')."""
        padding = (padded_rows, self.weight.shape[3] // 2)
        result = functional.conv2d(features.permute(0, 3, 1, 2), self.weight, self.bias, padding=padding)
        return result.permute(0, 2, 3, 1).contiguous()

    def expand_plane(self, features: torch.Tensor) -> torch.Tensor:
        """Transposed 2-D convolution and ReLU: (N, Y, X, C) -> (N, 2Y, 2X, C')."""
        result = functional.conv_transpose2d(features.permute(0, 3, 1, 2), self.weight, self.bias, stride=EXPANSION)
        return result.relu_().permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True, eq=False)
class FirstWithMaps:
    """The first convolution of a network that is given maps, which are the same beside every frame.

    So is what the convolution makes of them, but for the first and the last frames, where a part of its kernel lies
    beyond the series. It is computed once for all frames between and once for each of those, not once a frame.

    :param signal: weights that meet the signal, without bias
    :param maps: weights that meet the maps, summed over that part of the kernel which lies within the series: channels
        for one kind of frame after another
    :param lengths: how many frames are of each kind, in order
    """

    signal: Weights
    maps: Weights
    lengths: list[int]

    def convolve(self, signal: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Without ReLU: (N, Y, T, X, 1) and (N, Y, X, maps) -> (N, Y - 2 * halo, T, X, C')."""
        result = self.signal.convolve_frames(signal)
        of_maps = self.maps.convolve_plane(maps)
        kinds = of_maps.unflatten(-1, (len(self.lengths), -1)).movedim(-2, 2).split(1, dim=2)
        for frames, kind in zip(result.split(self.lengths, dim=2), kinds, strict=True):
            frames += kind
        return result


@dataclass(frozen=True, eq=False)
class RowProducts:
    """The products of an encoder convolution with the three rows of its kernel, the bias in the middle one.

    :param above: weights that meet the row before, and the row itself, in this order along the outputs
    :param below: weights that meet the row itself, and the row after
    :param all: weights that meet the row before, the row itself, and the row after
    :param width: channels out of the convolution
    """

    above: Weights
    below: Weights
    all: Weights
    width: int


@dataclass(frozen=True, eq=False)
class StUNetStages:
    """The weights of a stU-Net, stage by stage, laid out for features with the rows outermost.

    :param encoder: the convolutions of each level, finest first
    :param products: the same, split into products with single rows
    :param reductions: from each level to the next coarser one
    :param halves: the same, split into products with the first and the second row of a pair; the former has the bias
    :param expansions: to each level from the next coarser one
    :param decoder: the convolutions of each level but the coarsest; the first of a level is without its skip half
    :param skips: the other half of the first convolution of each level: what it makes of the skip features
    :param head: the last, 1x1
    :param skip: what skip connections make of time, one of `SKIPS`
    :param maps: that follow the frames of what the network is given
    :param joined_maps: those of them that join the finest skip, all or none
    :param refinement: of the maps, added to what the head says
    :param silent: the head says 0 of everything: what comes before it need not be computed
    :param first_with_maps: the first convolution, for maps that are not put beside every frame; None without maps
    """

    encoder: list[list[Weights]]
    products: list[list[RowProducts]]
    reductions: list[Weights]
    halves: list[tuple[Weights, Weights]]
    expansions: list[Weights]
    decoder: list[list[Weights]]
    skips: list[Weights]
    head: Weights
    skip: str = "maximum"
    maps: int = 0
    joined_maps: int = 0
    refinement: MapRefinement | None = None
    silent: bool = False
    first_with_maps: FirstWithMaps | None = None

    @property
    def levels(self) -> int:
        """Reductions, which is one less than there are resolutions."""
        return len(self.reductions)

    @property
    def convolutions(self) -> int:
        """Convolutions a level."""
        return len(self.encoder[0])

    def width(self, level: int) -> int:
        """Channels of a level."""
        return len(self.encoder[level][0].bias)

    @property
    def outputs(self) -> int:
        """1, or 2 where the network says its error, too."""
        return self.head.weight.shape[0]

    def skip_width(self, level: int) -> int:
        """Channels of what leaves a level of the encoder without time."""
        joins_mean = level < self.levels and self.skip == "mean-and-maximum"
        width = 2 * self.width(level) if joins_mean else self.width(level)
        return width + self.joined_maps if self.joins_maps(level) else width

    def joins_maps(self, level: int) -> bool:
        """Whether maps join the skip of a level."""
        return level == 0 and level < self.levels and self.joined_maps > 0

    def without_time(self, level: int, features: torch.Tensor, maps: torch.Tensor | None) -> torch.Tensor:
        """Take time out of (..., T, X, C), as the skip connection of a level does: (..., X, `skip_width`).

        :param maps: (..., X, maps) of the same rows, needed where maps join
        """
        parts = [features.amax(dim=-3)]
        if level < self.levels and self.skip == "mean-and-maximum":
            parts.insert(0, features.mean(dim=-3))
        if self.joins_maps(level):
            if maps is None:
                raise ValueError("maps join this skip, and none are given")
            parts.append(maps)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def features_of(self, frames: torch.Tensor) -> torch.Tensor:
        """A slice as the encoder takes it: (T + maps, Y, X) -> (1, Y, T, X, 1 + maps)."""
        return with_maps(frames[None], self.maps).permute(0, 3, 2, 4, 1).contiguous()

    def signal_and_maps(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The same with maps by themselves: (T + maps, Y, X) -> (1, Y, T, X, 1), and (1, Y, X, maps) or None."""
        signal, maps = frames.split([len(frames) - self.maps, self.maps])
        signal = signal.movedim(0, 1)[None, ..., None].contiguous()
        return signal, maps.movedim(0, -1)[None].contiguous() if self.maps else None

    def encode(self, level: int, features: torch.Tensor, maps: torch.Tensor | None = None) -> torch.Tensor:
        """The convolutions of a level: (N, Y, T, X, C) -> (N, Y - 2 * convolutions * halo, T, X, C').

        :param maps: (N, Y, X, maps) of the same rows, at the finest level of a network that has them
        """
        convolutions = self.encoder[level]
        if maps is not None and self.first_with_maps is not None:
            features = self.first_with_maps.convolve(features, maps).relu_()
            convolutions = convolutions[1:]
        for weights in convolutions:
            features = weights.convolve_frames(features).relu_()
        return features

    def values_a_row(self, level: int, features: torch.Tensor) -> int:
        """Values of one row of what `encode` makes of features (N, Y, T, X, C)."""
        n, _, frames, columns, _ = features.shape
        return n * frames * columns * self.width(level)

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """The head: (N, Y, X, C) -> (N, Y, X), or (N, 2, Y, X) of a network that says its error."""
        result = functional.linear(features, self.head.weight.flatten(1), self.head.bias)
        return result.squeeze(-1) if result.shape[-1] == 1 else result.permute(0, 3, 1, 2)


def refine_slice(refinement: MapRefinement, maps: torch.Tensor) -> torch.Tensor:
    """What the refinement says of a slice in which every row has its context: (maps, Y, X) -> (outputs, Y, X).

    Beyond the slice rows are zero, as in strips.
    """
    rows, reach = maps.shape[1], refinement.reach
    padded = functional.pad(maps, (0, 0, reach, reach))[None].contiguous(memory_format=torch.channels_last)
    blocks = []
    for start in range(0, rows, REFINED_ROWS):
        stop = min(start + REFINED_ROWS, rows)
        blocks.append(refinement(padded[:, :, start : stop + 2 * reach])[0, :, reach : reach + stop - start])
    return torch.cat(blocks, dim=1)


def stages_of(network: StUNet, frames: int) -> StUNetStages:
    """Take a network apart for strips of a number of frames.

    Batch normalization is folded into the weights. Taps of a kernel that at this number of frames only ever meet
    padding (all but the middle one of 7 where a single frame is left) are left out, which changes nothing.

    :param network: in evaluation mode
    """
    network = fold_batch_normalization(network)
    decoder = [_folded(blocks) for blocks in network.decoder]
    encoder = []
    for level, blocks in enumerate(network.encoder):
        reach = min(frames // REDUCTION[0] ** level - 1, ENCODER_KERNEL[0] // 2)
        taps = slice(ENCODER_KERNEL[0] // 2 - reach, ENCODER_KERNEL[0] // 2 + reach + 1)
        encoder.append([_rows_outermost(weights, taps) for weights in _folded(blocks)])
    first_halves, second_halves = [], []
    for first, *_ in decoder:
        # The features come before the skip in the concatenation, and the bias is added once.
        width = len(first.bias)
        first_halves.append(_in_plane(first.weight[:, :width], torch.zeros_like(first.bias)))
        second_halves.append(_in_plane(first.weight[:, width:], first.bias))
    reductions = [_rows_outermost(weights) for weights in _folded(network.reductions)]
    head = _weights_of(network.head)
    return StUNetStages(
        encoder=encoder,
        products=[[_row_products(weights) for weights in level] for level in encoder],
        reductions=reductions,
        halves=[_halves(weights) for weights in reductions],
        expansions=[_in_plane(each.weight, each.bias) for each in _folded(network.expansions)],
        decoder=[
            [first, *(_in_plane(each.weight, each.bias) for each in of_level[1:])]
            for first, of_level in zip(first_halves, decoder, strict=True)
        ],
        skips=second_halves,
        head=head,
        skip=network.skip,
        maps=network.maps,
        joined_maps=network.joined_maps,
        refinement=network.refinement,
        silent=not (head.weight.any() or head.bias.any()),
        first_with_maps=_first_with_maps(encoder[0][0], frames) if network.maps else None,
    )


def _folded(blocks: nn.Module) -> list[Weights]:
    """The convolutions of some blocks, one after another, whose normalization is folded into them."""
    return [_weights_of(block.layer) for block in blocks.children() if isinstance(block, Convolution)]


def _weights_of(layer: ConvolutionLayer) -> Weights:
    if layer.bias is None:
        raise ValueError("a convolution without a bias has nothing that normalization could be folded into")
    return Weights(layer.weight.detach(), layer.bias.detach())


def _first_with_maps(convolution: Weights, frames: int) -> FirstWithMaps:
    """:param convolution: rows outermost, without taps that only meet padding"""
    taps = convolution.weight.shape[3]
    within = [(max(taps // 2 - frame, 0), min(taps // 2 + frames - frame, taps)) for frame in range(frames)]
    kinds = sorted(set(within), key=within.index)
    signal = convolution.weight[:, :1].contiguous(memory_format=torch.channels_last_3d)
    weight = torch.cat([convolution.weight[:, 1:, :, first:stop].sum(dim=3) for first, stop in kinds])
    return FirstWithMaps(
        Weights(signal, torch.zeros_like(convolution.bias)),
        _in_plane(weight, convolution.bias.repeat(len(kinds))),
        [within.count(kind) for kind in kinds],
    )


def _row_products(convolution: Weights) -> RowProducts:
    """Split a 3-D convolution into products with single rows."""
    width = convolution.weight.shape[0]
    weight = torch.cat([convolution.weight[:, :, row : row + 1] for row in range(3)])
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    nothing = torch.zeros_like(convolution.bias)
    bias = torch.cat([nothing, convolution.bias, nothing])
    return RowProducts(
        above=Weights(weight[: 2 * width], bias[: 2 * width]),
        below=Weights(weight[width:], bias[width:]),
        all=Weights(weight, bias),
        width=width,
    )


def _halves(reduction: Weights) -> tuple[Weights, Weights]:
    rows = (reduction.weight[:, :, row : row + 1] for row in range(REDUCTION[1]))
    first, second = (weight.contiguous(memory_format=torch.channels_last_3d) for weight in rows)
    return Weights(first, reduction.bias), Weights(second, torch.zeros_like(reduction.bias))


def _convolve_frames(
    features: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    padding: tuple[int, int, int],
    stride: tuple[int, int, int],
) -> torch.Tensor:
    arguments = features.permute(0, 4, 1, 2, 3), weight, bias
    if features.device.type == "cpu" and features.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        # For few rows and channels `conv3d` would choose a path that is ten times slower here.
        result = torch.mkldnn_convolution(*arguments, padding, stride, (1, 1, 1), 1)
    else:
        result = functional.conv3d(*arguments, padding=padding, stride=stride)
    return result.permute(0, 2, 3, 4, 1).contiguous()


def _rows_outermost(convolution: Weights, taps: slice = slice(None)) -> Weights:
    """Swap rows and frames of a kernel, and lay it out with channels last."""
    weight = convolution.weight[:, :, taps].transpose(2, 3)
    return Weights(weight.contiguous(memory_format=torch.channels_last_3d), convolution.bias)


def _in_plane(weight: torch.Tensor, bias: torch.Tensor) -> Weights:
    return Weights(weight.detach().contiguous(memory_format=torch.channels_last), bias.detach())
