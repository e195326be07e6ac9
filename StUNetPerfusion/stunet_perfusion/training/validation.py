"""How well a network does on phantoms of heads that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.checkpoint import Checkpoint
from stunet_perfusion.metrics import l2, pearson, standardized
from stunet_perfusion.phantom import DOSES, Phantom
from stunet_perfusion.predict import predict_standardized
from stunet_perfusion.preparation import prepare
from stunet_perfusion.standardize import CLIP


@dataclass(frozen=True)
class Score:
    """Prediction against the phantom's noise-free truth, over the brain of one head.

    :param dose: share of the injected dose, physically simulated
    :param correlation: Pearson's, of the predicted with the true CBV
    :param l2: mean squared difference of the maps, each standardized over the brain
    :param network_l2: the same of what the network itself says, which also has to find the amplitude
    """

    dose: float
    correlation: float
    l2: float
    network_l2: float


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
            brain, target = phantom.mask, standardized(phantom.cbv, phantom.mask)
            scores.append(
                Score(
                    dose,
                    pearson(predicted, phantom.cbv, brain),
                    l2(standardized(predicted, brain), target, brain),
                    l2(np.clip(predicted, -CLIP, CLIP), target, brain),
                )
            )
    return scores


def mean_by_dose(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Means over heads: `{"1": {"correlation": ..., "l2": ...}, "0.5": ...}`, as a checkpoint's document holds them."""
    return {
        f"{dose:g}": {
            name: round(float(np.mean([getattr(score, name) for score in scores if score.dose == dose])), 4)
            for name in ("correlation", "l2", "network_l2")
        }
        for dose in sorted({score.dose for score in scores}, reverse=True)
    }
