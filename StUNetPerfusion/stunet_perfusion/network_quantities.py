"""What a network is given and what it is to say: the words of a checkpoint's document, and the short ones of options.

The quantities themselves are computed in `standardize` and `first_pass`.
"""

from __future__ import annotations

#: The paper's input.
SIGNAL = "signal: z-score of the brain in the first five steady frames"

#: Blind to dose, TE and frame interval: each curve sums up to the voxel's share of blood over the first pass.
LOG_RATIO = "-ln(S/S0) with a mean baseline, over the brain's mean area of the first pass"

#: The paper's output.
Z_SCORE = "CBV: z-score over the brain"

#: What the network says is added to the closed form of the same series.
CORRECTION = "CBV: correction to the closed form of the first pass, in halves of the brain's mean"

#: By the names that options and settings use.
INPUT_QUANTITIES = {"signal": SIGNAL, "log-ratio": LOG_RATIO}
TARGETS = {"z-score": Z_SCORE, "correction": CORRECTION}
