"""How the time of a slice grows with its rows, and with the height of its strips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from stunet_perfusion.benchmarks.strips import (
    FRAMES,
    SIZE,
    best_time,
    random_network,
)
from stunet_perfusion.inference.strips.average import predict_slice
from stunet_perfusion.inference.strips.rule import PADDINGS, StripRule
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.support.progress import Progress, no_progress

#: A slice of so many rows and strips of so many, where the other one grows.
ROWS, STRIP_ROWS = 256, 32


@dataclass(frozen=True)
class Growth:
    """One point of the growth.

    :param padding: of the strips
    :param rows: of the slice
    :param strip_rows: of a strip
    :param seconds: a slice at stride 1 by the fast way
    """

    padding: str
    rows: int
    strip_rows: int
    seconds: float


def measure_growth(
    rows: Sequence[int] = (128, 256, 512),
    strip_rows: Sequence[int] = (16, 32, 64),
    width: int = 8,
    device: str = "cpu",
    columns: int = SIZE,
    progress: Progress = no_progress,
) -> list[Growth]:
    """Time slices of several sizes, cut into strips of several heights, with one convolution a level.

    :param rows: of slices, with strips of 32
    :param strip_rows: of strips, in slices of 256
    """
    network = use_channels_last(fold_batch_normalization(random_network(width, 1))).to(device)
    sizes = [(each, STRIP_ROWS) for each in rows] + [(ROWS, each) for each in strip_rows if each != STRIP_ROWS]
    points = [(padding, *size) for padding in PADDINGS for size in sizes]
    found = []
    for done, (padding, of_slice, of_strip) in enumerate(points):
        progress(done / len(points), f"Growth: {padding}, {of_slice} rows, strips of {of_strip}")
        frames = np.random.default_rng(0).standard_normal((FRAMES, of_slice, columns)).astype(np.float32)
        rule = StripRule(of_strip, padding)
        seconds = best_time(partial(predict_slice, network, frames, rule, device=device), 2)
        found.append(Growth(padding, of_slice, of_strip, seconds))
    return found
