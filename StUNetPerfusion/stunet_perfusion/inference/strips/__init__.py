"""Strips: a slice is predicted strip by strip, and the predictions that cover a pixel are averaged.

`predict_slice` is the one way in: it says what the average over strips is, not how it is made. `plain` makes it as the
paper does, one strip after another; `context` and `zero` compute what strips have in common once.
"""

from stunet_perfusion.inference.strips.average import predict_slice, predict_slice_progressively, take_apart
from stunet_perfusion.inference.strips.plain import predict_slice_plainly
from stunet_perfusion.inference.strips.rule import (
    EXPECTED_ERROR,
    PADDINGS,
    SPREAD_OVER_STRIPS,
    StripAverage,
    StripRule,
    cut_strip,
    strip_starts,
)

__all__ = [
    "EXPECTED_ERROR",
    "PADDINGS",
    "SPREAD_OVER_STRIPS",
    "StripAverage",
    "StripRule",
    "cut_strip",
    "predict_slice",
    "predict_slice_plainly",
    "predict_slice_progressively",
    "strip_starts",
    "take_apart",
]
