"""How fast the average over strips is on this machine: the plain loop, the fast ways, and what the machine could do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stunet_perfusion.inference.strips.average import predict_slice
from stunet_perfusion.inference.strips.plain import predict_slice_plainly
from stunet_perfusion.inference.strips.rule import PADDINGS, StripRule, strip_starts
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.networks.stunet import StUNet
from stunet_perfusion.support.progress import Progress, no_progress

#: The paper's slice.
FRAMES, SIZE = 64, 256


@dataclass(frozen=True)
class StripSpeed:
    """The plain loop and the fast way, on one slice at stride 1.

    :param padding: of the strips
    :param convolutions: a level
    :param width: channels of the finest level
    :param plain: seconds a slice, strip after strip, with the network as `predict` prepares it
    :param fast: seconds a slice
    :param largest_difference: between the two means, in standard deviations of the map
    :param operations: floating-point operations of the fast way, two for each multiplication with a value
    """

    padding: str
    convolutions: int
    width: int
    plain: float
    fast: float
    largest_difference: float
    operations: int

    @property
    def ratio(self) -> float:
        """How many times faster the fast way is."""
        return self.plain / self.fast


def matrix_product_speed(device: str = "cpu", size: int = 2048, repeats: int = 10) -> float:
    """Operations a second of a product of float32 matrices: what the machine can do at best."""
    left, right = torch.randn(2, size, size, device=device)
    return 2 * size**3 / best_time(lambda: (left @ right).sum().item(), repeats)


def measure_strips(
    widths: Sequence[int] = (8, 16, 32),
    convolutions: Sequence[int] = (1, 2),
    plain_rows: int = 47,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Iterator[StripSpeed]:
    """Measure both paddings for every width and number of convolutions a level.

    The plain loop takes minutes for a slice, and the same time for every strip. So it predicts a band of the slice,
    and its time is scaled to the number of strips of the slice; the maps are compared on the band.

    :param widths: channels of the finest level; each coarser one has twice as many
    :param plain_rows: rows of the band, by default 16 strips that begin at every phase; 256 lets the plain loop
        predict the whole slice
    """
    cases = [(padding, number, width) for padding in PADDINGS for number in convolutions for width in widths]
    for done, (padding, number, width) in enumerate(cases):
        progress(done / len(cases), f"Strips: {padding}, {number} a level, width {width}")
        yield _measure(padding, number, width, plain_rows, device)


def _measure(padding: str, convolutions: int, width: int, plain_rows: int, device: str) -> StripSpeed:
    network = use_channels_last(fold_batch_normalization(random_network(width, convolutions))).to(device)
    frames = np.random.default_rng(0).standard_normal((FRAMES, SIZE, SIZE)).astype(np.float32)
    rule = StripRule(padding=padding)
    band = frames[:, :plain_rows]
    fast_band = predict_slice(network, band, rule, device=device).mean
    plain_band = predict_slice_plainly(network, band, rule, device=device).mean
    strips, strips_of_band = (len(strip_starts(rows, rule.rows, 1)) for rows in (SIZE, plain_rows))
    plain = best_time(lambda: predict_slice_plainly(network, band, rule, device=device), 2) * strips / strips_of_band
    with OperationCounter() as counter:
        predict_slice(network, frames, rule, device=device)
    fast = best_time(lambda: predict_slice(network, frames, rule, device=device), 3)
    difference = float(np.abs(fast_band - plain_band).max() / plain_band.std())
    return StripSpeed(padding, convolutions, width, plain, fast, difference, counter.operations)


def random_network(width: int, convolutions: int, seed: int = 0) -> StUNet:
    """A stU-Net whose normalizations are not idle, so that zero rows do not stay zero, as in a trained one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = [width * 2**level for level in range(4)]
        network = StUNet(widths, convolutions)
    for layer in network.modules():
        if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            if layer.running_var is not None:
                layer.running_var.uniform_(0.02, 0.1, generator=generator)
            layer.bias.data.uniform_(0.1, 0.6, generator=generator)
    return network.eval()


def best_time(job: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of some runs: what else the machine does can only make a run slower."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        job()
        times.append(perf_counter() - start)
    return min(times)


class OperationCounter(TorchDispatchMode):
    """Counts floating-point operations of the convolutions that run inside of its `with` block.

    A multiplication with padding is none: a kernel over 7 frames has 16 products where 4 frames are, not 28.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arguments = args, kwargs or {}
        # `conv3d` and the like are made of `convolution`, which comes here in its turn.
        with self:
            result = function.decompose(*arguments[0], **arguments[1])
        if result is not NotImplemented:
            return result
        if function is torch.ops.aten.mkldnn_convolution.default:
            features, weight, _, padding, stride, *_ = args
            self.operations += _operations(features, weight, padding, stride)
        elif function is torch.ops.aten.convolution.default:
            features, weight, _, stride, padding, _, transposed, *_ = args
            if transposed:  # Every value meets every tap; and no value is padding in these networks.
                self.operations += 2 * features.numel() * weight[0].numel()
            else:
                self.operations += _operations(features, weight, padding, stride)
        return function(*arguments[0], **arguments[1])


def _operations(features: torch.Tensor, weight: torch.Tensor, padding: Sequence[int], stride: Sequence[int]) -> int:
    axes = zip(features.shape[2:], weight.shape[2:], padding, stride, strict=True)
    products = prod(_taps_on_values(*axis) for axis in axes)
    return 2 * features.shape[0] * weight.shape[0] * weight.shape[1] * products


def _taps_on_values(size: int, kernel: int, padding: int, stride: int) -> int:
    """Products of a one-dimensional convolution that are not with padding."""
    starts = range(-padding, size + padding - kernel + 1, stride)
    return sum(min(start + kernel, size) - max(start, 0) for start in starts)
