"""What a network is given and what it is to say: the words of a checkpoint's document, and the short ones of options.

The quantities themselves are computed in `standardize` and `first_pass`.
"""

from __future__ import annotations

#: The paper's input.
SIGNAL = "signal: z-score of the brain in the first five steady frames"

#: Blind to dose, TE and frame interval: each curve sums up to the voxel's share of blood over the first pass.
LOG_RATIO = "-ln(S/S0) with a mean baseline, over the brain's mean area of the first pass"

#: The same curves, followed by two maps that say at once what the network would have to gather from them: the closed
#: form, which is the map before its noise is taken away, and the baseline, in which tissues and their edges hardly have
#: noise.
CURVES_AND_MAPS = LOG_RATIO + "; then as maps the closed form of the first pass, and the baseline over the brain's SD"

#: The same with the map that the brain's mean curve gives, see `template_fit`: far less noisy than the closed form. As
#: it is, and in units of its noise, in which all doses are alike; then the logarithm of that noise, voxel by voxel. At
#: the end what tells tissues apart that the map would not: the baseline, and how early a curve comes.
CURVES_AND_FIT = LOG_RATIO + (
    "; then as maps the fit of the brain's mean curve, the same over its noise, the logarithm of that noise, "
    "the baseline over the brain's SD, and how early the curve comes over the noise of that"
)

#: Errors of the fit that are smaller than this, in halves of the brain's mean, are not all noise: delay, vessels,
#: leakage. Noise below it is no unit for them.
SMALLEST_FIT_NOISE = 0.15

#: Of the noise over that: less, as in air, where there is neither signal nor noise, is taken for this before its
#: logarithm.
LEAST_NOISE_RATIO = 0.01

#: The fit over its noise reaches about 25 in vessels at full dose. For the network it is so many times as large.
FIT_OVER_NOISE_GAIN = 0.2

#: At full dose up to a curve in a hundred comes early or late by more than 50 times the noise of that. For the network
#: it is so many times as large, and is cut there.
ARRIVAL_GAIN = 0.2

#: Standard deviations between these, in the target's unit, can be expected: e^-6 to e^3. Nothing in training holds a
#: network back beyond them, so that what it says there means no more than the limit.
LOG_ERROR_LIMITS = (-6.0, 3.0)

#: How many maps follow the frames.
MAPS = {CURVES_AND_MAPS: 2, CURVES_AND_FIT: 5}

#: The paper's output.
Z_SCORE = "CBV: z-score over the brain"

#: What the network says is added to the closed form of the same series.
CORRECTION = "CBV: correction to the closed form of the first pass, in halves of the brain's mean"

#: What the network says, in units of the fit's noise, is added to the fit. So it says as much at every dose, and one
#: loss weighs all doses alike.
CORRECTION_TO_FIT = "CBV: correction to the fit of the brain's mean curve, in units of its noise"

#: The paper's square: as tight around the brain as it can be, whatever that does to the pixels.
TIGHT = "tight around the brain"

#: The pixels of the series as they are, where the brain fits: neither its noise nor its edges are resampled.
PIXELS = "pixels of the series where the brain fits, else tight around the brain"

#: The map itself, in the unit that the closed form gives, which noise does not blow up as it does a standard deviation.
BLOOD_VOLUME = "CBV: in halves of the brain's mean, from that mean on"

#: By the names that options and settings use.
INPUT_QUANTITIES = {
    "signal": SIGNAL,
    "log-ratio": LOG_RATIO,
    "curves-and-maps": CURVES_AND_MAPS,
    "curves-and-fit": CURVES_AND_FIT,
}
TARGETS = {
    "z-score": Z_SCORE,
    "blood-volume": BLOOD_VOLUME,
    "correction": CORRECTION,
    "correction-to-fit": CORRECTION_TO_FIT,
}

#: What begins as the map that it corrects.
CORRECTIONS = (CORRECTION, CORRECTION_TO_FIT)
BOXES = {"tight": TIGHT, "pixels": PIXELS}
