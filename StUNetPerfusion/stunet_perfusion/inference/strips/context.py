"""Strips that see the rows around them: their average from at most 8 dense passes that share their finer levels.

A strip with its context predicts what a pass over the whole slice predicts, provided that the reductions pair rows in
the same way. That depends on the strip's first row modulo 8 (for three reductions by 2): its phase. So the strips of
one phase are parts of one dense pass, and mean and spread over all strips are weighted sums over the phases. The finest
level of the encoder is the same for all phases, and each reduction doubles the number of different ones, until there
are 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from stunet_perfusion.inference.strips.rows import Rows
from stunet_perfusion.inference.strips.rule import StripAverage
from stunet_perfusion.inference.strips.stages import (
    DECODER_HALO,
    ENCODER_HALO,
    StUNetStages,
    Weights,
    refine_slice,
)
from stunet_perfusion.networks.stunet import REDUCTION
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: Features that are made in one go, in values. Memory of up to 32 MiB is used again and again on common systems; more
#: is given back to the operating system and asked for anew, which takes as long as to compute what it is to hold.
BLOCK_VALUES = 4_000_000


def average_with_context(
    stages: StUNetStages,
    frames: torch.Tensor,
    starts: Sequence[int],
    strip_rows: int,
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """Mean and spread over strips with context.

    :param frames: (T, Y, X) standardized signal, and what maps follow it
    :param starts: the first row of every strip
    """
    step = REDUCTION[1] ** stages.levels
    phases = sorted({start % step for start in starts})
    slice_rows = frames.shape[1]
    covering = np.zeros((len(phases), slice_rows))
    for start in starts:
        covering[phases.index(start % step), start : start + strip_rows] += 1
    weights = (covering / covering.sum(axis=0))[:, :, None]
    by_row = np.zeros((len(phases), stages.outputs, *frames.shape[1:]))
    if not stages.silent:
        predictions = _decode(stages, *_encode(stages, frames, phases, check_cancelled), slice_rows, check_cancelled)
        for values, phase in zip(by_row, phases, strict=True):
            values[:, phase:] = predictions[phase][..., : slice_rows - phase, :].cpu().numpy()
    if stages.refinement is not None:
        by_row += refine_slice(stages.refinement, frames[-stages.maps :]).cpu().numpy()
    maps, log_errors = by_row[:, 0], by_row[:, 1:]
    mean = (weights * maps).sum(axis=0)
    variance = (weights * (maps - mean) ** 2).sum(axis=0)
    log_error = (weights * log_errors[:, 0]).sum(axis=0) if log_errors.size else None
    return StripAverage.of(mean, variance, log_error)


@dataclass(frozen=True, eq=False)
class _Level:
    """Features of one level at several phases.

    Row i of phase p stands for rows p + i * 2^level to p + (i + 1) * 2^level - 1 of the slice.

    :param phases: modulo 2^level, one for each N of `rows`
    :param rows: (N, rows, T, X, C) or, where time is taken out, (N, rows, X, C)
    """

    phases: list[int]
    rows: Rows


def _encode(
    stages: StUNetStages, frames: torch.Tensor, phases: Sequence[int], check_cancelled: CheckCancelled
) -> tuple[_Level, list[_Level]]:
    """The encoder: features of the coarsest level at every phase, and the skips of the finer ones."""
    signal, given_maps = stages.signal_and_maps(frames)
    # Rows `first` to `stop` - 1 differ from what zero rows give; one more on either side stands for all that follow.
    first, stop = 0, signal.shape[1]
    level_input = _Level([0], Rows(functional.pad(signal, (0, 0, 0, 0, 0, 0, 1, 1)), -1))
    maps = None if given_maps is None else Rows(functional.pad(given_maps, (0, 0, 0, 0, 1, 1)), -1)
    skips = []
    for level in range(stages.levels + 1):
        halo = stages.convolutions * ENCODER_HALO
        first, stop = first - halo, stop + halo
        limits = first - 1, stop + 1
        beside = None if level else maps
        skip, reduced = _encode_level(stages, level, level_input, beside, limits, phases, check_cancelled)
        skips.append(skip)
        if reduced is not None:
            level_input = reduced
            # From the even phase's first row that sees `first` to the odd one's last that sees `stop` - 1.
            first, stop = (first - 1) // 2, (stop + 1) // 2
    return skips.pop(), skips


def _encode_level(
    stages: StUNetStages,
    level: int,
    level_input: _Level,
    maps: Rows | None,
    limits: tuple[int, int],
    phases: Sequence[int],
    check_cancelled: CheckCancelled,
) -> tuple[_Level, _Level | None]:
    """One level of the encoder, in blocks of rows: its features without time, and the input of the next level.

    :param maps: (1, rows, X, maps) that the finest level is given besides, or None
    :param limits: the first and the stop of the rows to compute; those beyond are as the outermost
    :param phases: of the strips, modulo those of the coarsest level
    """
    halo = stages.convolutions * ENCODER_HALO
    parities = _parities(level_input.phases, level, phases) if level < stages.levels else []
    # The rows of the next level that differ from zero rows, and one more on either side.
    reduced_first, reduced_stop = limits[0] // 2 - 1, (limits[1]) // 2 + 1
    at_once = max(2, BLOCK_VALUES // stages.values_a_row(level, level_input.rows.values) // 2)
    furthest_parity = max((odd for odd, _ in parities), default=0)
    given = level_input.rows.values
    series_frames, columns = given.shape[2:4]
    skip = _empty_rows(given, len(level_input.phases), limits, (columns, stages.skip_width(level)))
    reduced = None
    if parities:
        shape = (series_frames // REDUCTION[0], columns // REDUCTION[2], stages.width(level + 1))
        phases_after = sum(len(chosen) for _, chosen in parities)
        reduced = _empty_rows(given, phases_after, (reduced_first, reduced_stop), shape)
    for start in range(reduced_first, reduced_stop, at_once):
        check_cancelled()
        end = min(start + at_once, reduced_stop)
        above = min(max(2 * start, limits[0]), limits[1] - 1)
        below = max(min(2 * end + furthest_parity, limits[1]), above + 1)
        seen = above - halo, below + halo
        values = stages.encode(level, level_input.rows.take(*seen), None if maps is None else maps.take(*seen))
        features = Rows(values, above)
        first, stop = max(2 * start, limits[0]), min(2 * end, limits[1])
        maps_of_rows = None if maps is None else maps.take(first, stop)
        without_time = stages.without_time(level, features.take(first, stop), maps_of_rows)
        skip.values[:, first - limits[0] : stop - limits[0]] = without_time
        if reduced is None:
            continue
        done = 0
        for odd, chosen in parities:
            rows = _choose(features.take(2 * start + odd, 2 * end + odd), chosen)
            rows = stages.reductions[level].reduce_frames(rows).relu_()
            reduced.values[done : done + len(chosen), start - reduced_first : end - reduced_first] = rows
            done += len(chosen)
    reduced_phases = [level_input.phases[index] + (odd << level) for odd, chosen in parities for index in chosen]
    return _Level(level_input.phases, skip), None if reduced is None else _Level(reduced_phases, reduced)


def _empty_rows(like: torch.Tensor, phases: int, limits: tuple[int, int], shape: tuple[int, ...]) -> Rows:
    return Rows(like.new_empty(phases, limits[1] - limits[0], *shape), limits[0])


def _choose(features: torch.Tensor, chosen: list[int]) -> torch.Tensor:
    """Some phases of features (N, ...), which are not copied where all of them are wanted."""
    return features if len(chosen) == len(features) else features[chosen]


def _parities(level_phases: Sequence[int], level: int, phases: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Which phases of a level go on, with rows paired from the even or from the odd ones: (0 or 1, indices)."""
    finer = {phase % (2 << level) for phase in phases}
    chosen = [(odd, [i for i, phase in enumerate(level_phases) if phase + (odd << level) in finer]) for odd in (0, 1)]
    return [(odd, indices) for odd, indices in chosen if indices]


def _decode(
    stages: StUNetStages, coarsest: _Level, skips: Sequence[_Level], rows: int, check_cancelled: CheckCancelled
) -> dict[int, torch.Tensor]:
    """The decoder at every phase: (rows, X) for each; its row i is row phase + i of the slice."""
    halos = [DECODER_HALO * len(level) for level in stages.decoder]
    limits = [(0, rows)]
    for halo in halos:
        first, stop = limits[-1]
        limits.append(((first - halo) // 2, -(-(stop + halo) // 2)))
    features = coarsest.rows.take(*limits[-1])
    for level in reversed(range(stages.levels)):
        check_cancelled()
        wanted_first, wanted_stop = limits[level][0] - halos[level], limits[level][1] + halos[level]
        expanded = Rows(stages.expansions[level].expand_plane(features), 2 * limits[level + 1][0])
        features = stages.decoder[level][0].convolve_plane(expanded.take(wanted_first, wanted_stop))
        _add_skips(stages.skips[level], features, wanted_first + DECODER_HALO, level, coarsest.phases, skips[level])
        features = features.relu_()
        for weights in stages.decoder[level][1:]:
            features = weights.convolve_plane(features).relu_()
    return dict(zip(coarsest.phases, stages.predict(features), strict=True))


def _add_skips(
    weights: Weights, features: torch.Tensor, first: int, level: int, phases: Sequence[int], skip: _Level
) -> None:
    """Add what a convolution makes of the skips, in place. All phases that agree modulo 2^level share it.

    :param features: (N, rows, X, C) of the phases, their first row being number `first`
    """
    rows = features.shape[1]
    # A strip of phase p begins p // 2^level rows further down than the first of its finer phase.
    furthest = max(phases) >> level
    convolved = weights.convolve_plane(skip.rows.take(first - DECODER_HALO, first + rows + furthest + DECODER_HALO))
    for values, phase in zip(features, phases, strict=True):
        shift = phase >> level
        values += convolved[skip.phases.index(phase % (1 << level)), shift : shift + rows]
