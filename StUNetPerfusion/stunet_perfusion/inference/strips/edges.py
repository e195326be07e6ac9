"""Edge rows: the rows of a zero-padded strip that differ from those of a dense pass, because the padding reaches them.

Both ends of a strip are treated alike: edge rows are numbered from the strip's end inwards, 0 being the outermost.
A convolution over three rows is a sum of three products, one for each row of its kernel. Where a strip's row agrees
with the dense pass, the product of the dense pass is taken, so that only the products of edge rows are computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stunet_perfusion.inference.strips.rows import Rows
from stunet_perfusion.inference.strips.stages import RowProducts, Weights


def sum_of_products(products: Rows, first: int, stop: int) -> torch.Tensor:
    """The convolution itself, with ReLU, of rows `first` to `stop` - 1.

    :param products: (N, rows, T, X, 3 C), as `RowProducts.all` makes them
    """
    width = products.values.shape[-1] // 3
    total = products.take(first - 1, stop - 1)[..., :width] + products.take(first, stop)[..., width : 2 * width]
    total += products.take(first + 1, stop + 1)[..., 2 * width :]
    return total.relu_()


@dataclass(frozen=True)
class End:
    """One end of strips.

    :param inwards: 1 at the upper end, whose rows count up, -1 at the lower one
    :param outermost: for each strip, the number of its outermost row there, in the rows of the dense pass
    """

    inwards: int
    outermost: list[int]

    def row(self, features: Rows, number: int) -> torch.Tensor:
        """Row `number` of all strips, taken from a dense pass (1, rows, ...): (strips, ...)."""
        return pick_rows(features, [row + self.inwards * number for row in self.outermost])


def pick_rows(features: Rows, numbers: Sequence[int]) -> torch.Tensor:
    """Some rows of features (1, rows, ...), in any order: (len(numbers), ...); a view where they are consecutive."""
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return features.take(numbers[0], numbers[0] + len(numbers))[0]
    index = torch.tensor(numbers, device=features.values.device) - features.first
    return features.values[0].index_select(0, index)


def convolve_first_edge(convolution: Weights, end: End, features: Rows) -> torch.Tensor:
    """The edge row that the first convolution of all makes, with ReLU: (strips, 1, T, X, C').

    :param features: (1, rows, T, X, C) what the strips share
    """
    kernel_rows = slice(1, 3) if end.inwards > 0 else slice(0, 2)
    pair = [end.row(features, 0), end.row(features, 1)]
    weights = Weights(
        convolution.weight[:, :, kernel_rows].contiguous(memory_format=torch.channels_last_3d), convolution.bias
    )
    return weights.convolve_frames(torch.stack(pair[:: end.inwards], dim=1)).relu_()


def convolve_edge(convolution: RowProducts, end: End, edge: torch.Tensor, products: Rows) -> torch.Tensor:
    """A convolution of edge rows, with ReLU: (strips, e, T, X, C) -> (strips, e + 1, T, X, C').

    :param edge: rows that differ from the dense pass, outermost first
    :param products: (1, rows, T, X, 3 C') of the dense pass, as `RowProducts.all` makes them
    """
    count, width = edge.shape[1], convolution.width
    # A single row has no use for the product that would land beyond the strip's end.
    single = convolution.above if end.inwards > 0 else convolution.below
    from_edge = (single if count == 1 else convolution.all).convolve_frames(edge)
    left_out = 1 if count == 1 and end.inwards < 0 else 0
    result = from_edge.new_empty(*from_edge.shape[:1], count + 1, *from_edge.shape[2:4], width)

    def product(row: int, offset: int) -> torch.Tensor:
        """What a row gives to the row `offset` further out (1), or inwards (-1), or to itself (0)."""
        part = 1 + end.inwards * offset
        if row < count:
            return from_edge[:, row, ..., (part - left_out) * width : (part - left_out + 1) * width]
        return end.row(products, row)[..., part * width : (part + 1) * width]

    for row in range(count + 1):
        torch.add(product(row, 0), product(row + 1, 1), out=result[:, row])
        if row > 0:
            result[:, row] += product(row - 1, -1)
    return result.relu_()


def reduce_edge(
    reduction: Weights, halves: tuple[Weights, Weights], end: End, edge: torch.Tensor, features: Rows
) -> torch.Tensor:
    """A reduction of edge rows, with ReLU: (strips, e, T, X, C) -> (strips, e / 2 rounded up, T', X', C').

    :param halves: the reduction's products with the first and the second row of a pair
    :param edge: outermost first
    :param features: (1, rows, T, X, C) of the dense pass, whose rows pair with the last edge row where e is odd
    """
    parts = []
    if pairs := edge.shape[1] // 2:
        paired = edge[:, : 2 * pairs]
        parts.append(_in_order(end, reduction.reduce_frames(_in_order(end, paired))))
    if edge.shape[1] % 2:
        outer, inner = halves[:: end.inwards]
        total = outer.reduce_frames(edge[:, -1:])
        total += inner.reduce_frames(end.row(features, edge.shape[1])[:, None])
        parts.append(total)
    return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).relu_()


def _in_order(end: End, edge: torch.Tensor) -> torch.Tensor:
    """From outermost first to the slice's order, or back."""
    return edge if end.inwards > 0 or edge.shape[1] == 1 else edge.flip(1)
