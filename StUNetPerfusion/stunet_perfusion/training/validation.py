"""How well a network does on phantoms of heads that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.checkpoint import Checkpoint
from stunet_perfusion.phantom import Phantom
from stunet_perfusion.predict import predict_standardized
from stunet_perfusion.preparation import prepare
from stunet_perfusion.standardize import cbv_scale

#: The doses of the paper's table.
DOSES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class Score:
    """Prediction against the phantom's noise-free truth, over the brain of one head.

    :param dose: share of the injected dose, physically simulated
    :param correlation: Pearson's, of the predicted z-scores with the true CBV
    :param l2: mean squared difference of z-scores
    """

    dose: float
    correlation: float
    l2: float


def validate(
    checkpoint: Checkpoint, phantoms: Sequence[Phantom], stride: int = 16, doses: Sequence[float] = DOSES
) -> list[Score]:
    """Predict every phantom at every dose and compare with its truth.

    :param stride: rows from strip to strip; a large one is fast, and understates the averaged map
    """
    scores = []
    for dose in doses:
        for phantom in phantoms:
            predicted = predict_standardized(prepare(phantom.series(dose)), checkpoint, stride=stride).mean
            brain, truth = phantom.mask, phantom.cbv
            difference = predicted[brain] - cbv_scale(truth, brain).to_standardized(truth)[brain]
            correlation = np.corrcoef(predicted[brain], truth[brain])[0, 1]
            scores.append(Score(dose, float(correlation), float((difference**2).mean())))
    return scores


def mean_by_dose(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Means over heads: `{"1": {"correlation": ..., "l2": ...}, "0.5": ...}`, as a checkpoint's document holds them."""
    return {
        f"{dose:g}": {
            "correlation": round(float(np.mean([score.correlation for score in scores if score.dose == dose])), 4),
            "l2": round(float(np.mean([score.l2 for score in scores if score.dose == dose])), 4),
        }
        for dose in sorted({score.dose for score in scores}, reverse=True)
    }
