"""What a network is given and what it predicts, by the identifiers that checkpoints and settings hold.

The quantities themselves are computed in `inference.signal_input` and `inference.curves_and_fit_input`.
"""

from __future__ import annotations

from typing import Final, Literal

#: The paper's input, and the input of ours.
Input = Literal["signal", "curves-and-fit"]
SIGNAL: Final = "signal"
CURVES_AND_FIT: Final = "curves-and-fit"
INPUTS: tuple[Input, ...] = (SIGNAL, CURVES_AND_FIT)

#: The paper's output, and the output of ours. Each input has one.
Z_SCORE = "z-score"
CORRECTION_TO_FIT = "correction-to-fit"
TARGET_OF = {SIGNAL: Z_SCORE, CURVES_AND_FIT: CORRECTION_TO_FIT}

#: The paper's square, as tight around the brain as it can be, whatever that does to the pixels; and the pixels of the
#: series as they are, where the brain fits: neither its noise nor its edges are resampled.
Box = Literal["tight", "pixels"]
TIGHT: Final = "tight"
PIXELS: Final = "pixels"
BOXES: tuple[Box, ...] = (TIGHT, PIXELS)

#: Which frames a network sees: those around the bolus; or from the first steady one on, which Verbena takes S0 from,
#: and whose noise is most of the noise in its map. What a map is made of has to be in the input of who predicts it.
Window = Literal["around-bolus", "from-first"]
AROUND_BOLUS: Final = "around-bolus"
FROM_FIRST: Final = "from-first"
WINDOWS: tuple[Window, ...] = (AROUND_BOLUS, FROM_FIRST)

#: What the identifiers stand for, for people.
IN_WORDS = {
    SIGNAL: "signal: z-score of the brain in the first five steady frames",
    CURVES_AND_FIT: (
        "curves -ln(S/S0) over the brain's mean area of the first pass, and maps: the fit of the brain's mean curve, "
        "the fit over its noise, the logarithm of that noise, the baseline, and bolus arrival over its noise"
    ),
    Z_SCORE: "CBV as a z-score over the brain",
    CORRECTION_TO_FIT: "a correction to the fit of the brain's mean curve, in units of the fit's noise",
    TIGHT: "tight around the brain",
    PIXELS: "pixels of the series where the brain fits, else tight around the brain",
    AROUND_BOLUS: "frames around the bolus",
    FROM_FIRST: "frames from the first steady one on",
}

_FORMER_CURVES = "-ln(S/S0) with a mean baseline, over the brain's mean area of the first pass"

#: Checkpoints of version 0.1.0 hold these sentences where later ones hold an identifier.
FORMER_WORDS = {
    "signal: z-score of the brain in the first five steady frames": SIGNAL,
    _FORMER_CURVES + "; then as maps the fit of the brain's mean curve, the same over its noise, the logarithm of that "
    "noise, the baseline over the brain's SD, and how early the curve comes over the noise of that": CURVES_AND_FIT,
    "CBV: z-score over the brain": Z_SCORE,
    "CBV: correction to the fit of the brain's mean curve, in units of its noise": CORRECTION_TO_FIT,
    "tight around the brain": TIGHT,
    "pixels of the series where the brain fits, else tight around the brain": PIXELS,
}

#: How many maps follow the frames.
MAPS = {SIGNAL: 0, CURVES_AND_FIT: 5}

#: Errors of the fit that are smaller than this, in halves of the brain's mean, are not all noise: delay, vessels,
#: leakage. Noise below it is no unit for them.
SMALLEST_FIT_NOISE = 0.15

#: Of the noise over that: less, as in air, where there is neither signal nor noise, is taken for this before its
#: logarithm.
LEAST_NOISE_RATIO = 0.01

#: The fit over its noise reaches about 25 in vessels at full dose. For the network it is so many times as large.
FIT_OVER_NOISE_GAIN = 0.2

#: At full dose the bolus arrives in up to one voxel of a hundred earlier or later by more than 50 times the noise of
#: that. For the network it is so many times as large, and is cut there.
ARRIVAL_GAIN = 0.2

#: Standard deviations between these, in the target's unit, can be predicted: e^-6 to e^3. Nothing in training holds a
#: network back beyond them, so that what it predicts there means no more than the limit.
LOG_ERROR_LIMITS = (-6.0, 3.0)
