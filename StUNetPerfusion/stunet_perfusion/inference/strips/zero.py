"""Strips padded with zeros: their average, computing once what they share.

Far from its ends a strip's features are those of a dense pass over the slice with the same pairing of rows in the
reductions, and so of all strips whose first rows agree modulo 2^level. Each convolution makes one more row at either
end an edge row, which the padding reaches and which is the strip's own; each reduction halves their number. So the
encoder computes the dense passes, 2^level of them at a level, sharing their finer levels, and the edge rows of every
strip. The coarsest levels, where edge rows meet, and the decoder, which looks further than a strip is high, work on
whole strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stunet_perfusion.inference.strips.edges import (
    End,
    convolve_edge,
    convolve_first_edge,
    reduce_edge,
    sum_of_products,
)
from stunet_perfusion.inference.strips.rows import Rows
from stunet_perfusion.inference.strips.rule import StripAverage, StripSums
from stunet_perfusion.inference.strips.stages import DECODER_HALO, ENCODER_HALO, StUNetStages
from stunet_perfusion.networks.stunet import REDUCTION
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: Features that are made in one go, in values. Memory of up to 32 MiB is used again and again on common systems; more
#: is given back to the operating system and asked for anew, which takes as long as to compute what it is to hold.
BLOCK_VALUES = 8_000_000

_UPPER, _LOWER = 1, -1


@dataclass(frozen=True)
class _Strips:
    """Where strips lie at a level. Row i of phase p begins at row p + i * 2^level of the slice.

    :param starts: the first row of every strip, in rows of the slice
    :param rows: height of a strip in rows of the level
    """

    level: int
    starts: Sequence[int]
    rows: int

    @property
    def phases(self) -> list[int]:
        """Phases that occur, ascending."""
        return sorted({self.phase(strip) for strip in range(len(self.starts))})

    def phase(self, strip: int) -> int:
        """A strip's first row modulo 2^level."""
        return self.starts[strip] % (1 << self.level)

    def first(self, strip: int) -> int:
        """A strip's first row in its phase."""
        return self.starts[strip] >> self.level

    def ends(self, phase: int, first: int, stop: int) -> dict[int, tuple[list[int], End]]:
        """The strips of a phase whose outermost row at an end is one of `first` to `stop` - 1, by end."""
        of_phase = [strip for strip in range(len(self.starts)) if self.phase(strip) == phase]
        ends = {}
        for inwards, offset in ((_UPPER, 0), (_LOWER, self.rows - 1)):
            strips = [strip for strip in of_phase if first <= self.first(strip) + offset < stop]
            if strips:
                ends[inwards] = strips, End(inwards, [self.first(strip) + offset for strip in strips])
        return ends


@dataclass(frozen=True, eq=False)
class _Shared:
    """Features of one level: those that strips share, and their edge rows.

    :param shared: (phases, rows, ...) dense passes, the phases ascending
    :param edges: by end, (strips, e, ...) edge rows, outermost first
    """

    strips: _Strips
    shared: Rows
    edges: dict[int, torch.Tensor]

    def of(self, chosen: Sequence[int]) -> torch.Tensor:
        """The features of some strips, put together: (len(chosen), rows of a strip, ...)."""
        upper, lower = self.edges[_UPPER], self.edges[_LOWER]
        edge, phases, device = upper.shape[1], self.strips.phases, upper.device
        phase = torch.tensor([phases.index(self.strips.phase(strip)) for strip in chosen], device=device)
        first = torch.tensor([self.strips.first(strip) for strip in chosen], device=device)
        within = torch.arange(edge, self.strips.rows - edge, device=device)
        middle = self.shared.values[phase[:, None], first[:, None] + within]
        return torch.cat([upper[list(chosen)], middle, lower[list(chosen)].flip(1)], dim=1)


def average_padded_with_zeros(
    stages: StUNetStages,
    frames: torch.Tensor,
    starts: Sequence[int],
    strip_rows: int,
    batch: int = 8,
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """Mean and spread over zero-padded strips.

    :param frames: (T, Y, X) standardized signal, and what maps follow it
    :param starts: the first row of every strip
    :param batch: strips that are decoded together
    """
    signal = stages.features_of(frames)
    no_edges = signal.new_empty(len(starts), 0, *signal.shape[2:])
    strips = _Strips(0, starts, strip_rows)
    features: _Shared | None = _Shared(strips, Rows(signal, 0), {_UPPER: no_edges, _LOWER: no_edges})
    skips: list[_Shared] = []
    shared_levels = levels_with_shared_rows(stages.levels, stages.convolutions, strip_rows)
    while features is not None and len(skips) < shared_levels:
        skip, features = _encode_level(stages, features, check_cancelled)
        skips.append(skip)

    sums = StripSums(*frames.shape[1:])
    for first in range(0, len(starts), batch):
        check_cancelled()
        chosen = range(first, min(first + batch, len(starts)))
        predictions = _finish(stages, skips, features, chosen).cpu().numpy()
        for strip, prediction in zip(chosen, predictions, strict=True):
            sums.add(starts[strip], prediction)
    return sums.average()


def levels_with_shared_rows(levels: int, convolutions: int, strip_rows: int) -> int:
    """How many levels of the encoder, from the finest, have rows that strips share after its convolutions.

    A convolution needs a shared row inside of each edge, and so does a reduction that pairs it with the last edge row.

    :param levels: reductions
    """
    edge = 0
    for level in range(levels + 1):
        edge += convolutions * ENCODER_HALO
        needed = edge + 1 if edge % 2 and level < levels else edge
        if strip_rows >> level < 2 * needed:
            return level
        edge = -(-edge // REDUCTION[1])
    return levels + 1


def _encode_level(
    stages: StUNetStages, features: _Shared, check_cancelled: CheckCancelled
) -> tuple[_Shared, _Shared | None]:
    """A level of the encoder: its features without time, and what the next level begins with."""
    strips, level = features.strips, features.strips.level
    frames, columns = features.shared.values.shape[2:4]
    rows, width = features.shared.values.shape[1], stages.width(level)
    edge = features.edges[_UPPER].shape[1]
    edge_after = edge + stages.convolutions * ENCODER_HALO
    skip = _empty(strips, features, rows, edge_after, (columns, stages.skip_width(level)))
    reduced = None
    if level < stages.levels:
        next_strips = _Strips(level + 1, strips.starts, strips.rows // REDUCTION[1])
        shape = (frames // REDUCTION[0], columns // REDUCTION[2], stages.width(level + 1))
        reduced = _empty(next_strips, features, rows // REDUCTION[1], -(-edge_after // REDUCTION[1]), shape)

    halo = edge + 2 * stages.convolutions * ENCODER_HALO
    # Even, and so high that the rows which neighboring blocks compute twice are few.
    products = 3 if edge or stages.convolutions > 1 else 1
    at_once = max(2, BLOCK_VALUES // (frames * columns * width * products) // 2 * 2 - 2 * halo)
    for index, phase in enumerate(strips.phases):
        for first in range(0, rows, at_once):
            check_cancelled()
            stop = min(first + at_once, rows)
            above, below = max(first - halo, 0), min(stop + halo, rows)
            block = Rows(features.shared.take(above, below)[index : index + 1], above)
            ends = strips.ends(phase, first, stop)
            edges = {inwards: features.edges[inwards][chosen] for inwards, (chosen, _) in ends.items()}
            for number in range(stages.convolutions):
                block, edges = _convolve(stages, level, number, block, rows, ends, edges)
            maps = _maps_of(features.shared.take(first, stop)[index]) if stages.joins_maps(level) else None
            skip.shared.values[index, first:stop] = stages.without_time(level, block.take(first, stop)[0], maps)
            for inwards, (chosen, end) in ends.items():
                maps = _maps_at_edge(features, index, end, edge_after) if stages.joins_maps(level) else None
                skip.edges[inwards][chosen] = stages.without_time(level, edges[inwards], maps)
            if reduced is not None:
                _reduce(stages, level, phase, block, (first, stop), ends, edges, reduced)
    return skip, reduced


def _maps_at_edge(features: _Shared, index: int, end: End, count: int) -> torch.Tensor:
    """(strips, count, X, maps) of a phase's shared rows, those that lie where edge rows do, outermost first.

    Padding changes features, not what the network is given.
    """
    shared = Rows(features.shared.values[index : index + 1], features.shared.first)
    return torch.stack([_maps_of(end.row(shared, number)) for number in range(count)], dim=1)


def _maps_of(given: torch.Tensor) -> torch.Tensor:
    """(..., X, maps) of what the network is given, (..., T, X, 1 + maps)."""
    return given[..., 0, :, 1:]


def _empty(strips: _Strips, like: _Shared, rows: int, edge: int, shape: tuple[int, ...]) -> _Shared:
    """Features of a level, to be filled."""
    new = like.shared.values.new_empty
    edges = {inwards: new(len(strips.starts), edge, *shape) for inwards in (_UPPER, _LOWER)}
    return _Shared(strips, Rows(new(len(strips.phases), rows, *shape), 0), edges)


def _convolve(
    stages: StUNetStages,
    level: int,
    number: int,
    block: Rows,
    rows: int,
    ends: dict[int, tuple[list[int], End]],
    edges: dict[int, torch.Tensor],
) -> tuple[Rows, dict[int, torch.Tensor]]:
    """One convolution of a dense pass and of edge rows.

    The rows next to the borders of the slice are edge rows of every strip that holds them, so what the dense pass has
    there is never used.

    :param block: (1, rows of the block, T, X, C)
    :param rows: of the whole slice
    """
    first, stop = block.first + (block.first > 0), block.stop - (block.stop < rows)
    if level == 0 and number == 0:
        whole = stages.encoder[0][0]
        edges = {inwards: convolve_first_edge(whole, end, block) for inwards, (_, end) in ends.items()}
        return Rows(whole.convolve_frames(block.take(first - 1, stop + 1)).relu_(), first), edges
    convolution = stages.products[level][number]
    products = Rows(convolution.all.convolve_frames(block.values), block.first)
    edges = {inwards: convolve_edge(convolution, end, edges[inwards], products) for inwards, (_, end) in ends.items()}
    return Rows(sum_of_products(products, first, stop), first), edges


def _reduce(
    stages: StUNetStages,
    level: int,
    phase: int,
    block: Rows,
    limits: tuple[int, int],
    ends: dict[int, tuple[list[int], End]],
    edges: dict[int, torch.Tensor],
    reduced: _Shared,
) -> None:
    """Reduce a block of rows and the edge rows in it, into `reduced`.

    :param limits: first and stop of the block's own rows
    """
    reduction, phases = stages.reductions[level], reduced.strips.phases
    first, stop = limits[0] // 2, limits[1] // 2
    for odd in (0, 1):
        if (child := phase + (odd << level)) in phases and stop > first:
            pairs = block.take(2 * first + odd, 2 * stop + odd)
            reduced.shared.values[phases.index(child), first:stop] = reduction.reduce_frames(pairs)[0].relu_()
    for inwards, (chosen, end) in ends.items():
        rows = reduce_edge(reduction, stages.halves[level], end, edges[inwards], block)
        reduced.edges[inwards][chosen] = rows


def _finish(
    stages: StUNetStages, skips: Sequence[_Shared], features: _Shared | None, chosen: Sequence[int]
) -> torch.Tensor:
    """The coarsest levels of the encoder, where they share nothing, and the decoder: (len(chosen), rows, X).

    :param skips: features without time, of the levels that share rows
    :param features: what the first level begins with that does not, or None
    """
    of_strips = [skip.of(chosen) for skip in skips]
    if features is not None:
        values = features.of(chosen)
        for level in range(len(skips), stages.levels + 1):
            given = values
            for weights in stages.encoder[level]:
                values = weights.convolve_frames(values, padded_rows=ENCODER_HALO).relu_()
            maps = _maps_of(given) if stages.joins_maps(level) else None
            of_strips.append(stages.without_time(level, values, maps))
            if level < stages.levels:
                values = stages.reductions[level].reduce_frames(values).relu_()
    values = of_strips.pop()
    for level in reversed(range(stages.levels)):
        values = stages.expansions[level].expand_plane(values)
        values = stages.decoder[level][0].convolve_plane(values, padded_rows=DECODER_HALO)
        values += stages.skips[level].convolve_plane(of_strips[level], padded_rows=DECODER_HALO)
        values = values.relu_()
        for weights in stages.decoder[level][1:]:
            values = weights.convolve_plane(values, padded_rows=DECODER_HALO).relu_()
    return stages.predict(values)
