"""How well a network does on heads that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stunet_perfusion.dose.simulate import Method
from stunet_perfusion.inference.predict import predict_standardized
from stunet_perfusion.kinetics.cbv_scale import CLIP, has_spread
from stunet_perfusion.metrics import l2, pearson, standardized
from stunet_perfusion.networks.checkpoint import Checkpoint
from stunet_perfusion.phantom import DOSES, Phantom
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.training.doses import lowered


class HeldOut(Protocol):
    """Somebody to validate with.

    `target` is the CBV map that a prediction is compared with, over `brain`, both (Z, Y, X).
    """

    @property
    def target(self) -> np.ndarray: ...

    @property
    def brain(self) -> np.ndarray: ...

    def at(self, dose: float) -> PreparedSeries:
        """The series at a share of its dose."""


@dataclass(frozen=True, eq=False)
class HeldOutPhantom:
    """A phantom, scanned at the dose that is wanted, with its noise-free truth.

    :param phantom: usable at every dose
    """

    phantom: Phantom

    @property
    def target(self) -> np.ndarray:
        return self.phantom.cbv

    @property
    def brain(self) -> np.ndarray:
        return self.phantom.mask

    def at(self, dose: float) -> PreparedSeries:
        return prepare(self.phantom.series(dose))


@dataclass(frozen=True, eq=False)
class HeldOutCase:
    """A scanned case, whose dose is simulated, with the same noise every time.

    :param prepared: at full dose
    :param target: (Z, Y, X) CBV, any unit
    :param brain: (Z, Y, X) bool
    :param method: how the dose is lowered
    """

    prepared: PreparedSeries
    target: np.ndarray
    brain: np.ndarray
    method: Method

    def at(self, dose: float) -> PreparedSeries:
        return lowered(self.prepared, dose, self.method, seed=0)


@dataclass(frozen=True)
class Score:
    """Prediction against what it should be, over the brain of one head.

    :param dose: share of the injected dose
    :param correlation: Pearson's, of the predicted with the true CBV; NaN where the prediction is the same everywhere
    :param l2: mean squared difference of the maps, each standardized over the brain
    :param network_l2: the same of what the network itself says, which also has to find the amplitude
    """

    dose: float
    correlation: float
    l2: float
    network_l2: float


def validate(
    checkpoint: Checkpoint,
    held_out: Sequence[HeldOut],
    stride: int = 16,
    doses: Sequence[float] = DOSES,
    device: str = "cpu",
) -> list[Score]:
    """Predict everybody at every dose and compare.

    :param stride: rows from strip to strip; a large one is fast, and understates the averaged map
    :param device: as torch names it
    """
    scores = []
    for dose in doses:
        for each in held_out:
            predicted = predict_standardized(each.at(dose), checkpoint, stride=stride, device=device).mean
            scores.append(_score(dose, predicted, each.target, each.brain))
    return scores


def _score(dose: float, predicted: np.ndarray, wanted: np.ndarray, brain: np.ndarray) -> Score:
    target = standardized(wanted, brain)
    of_network = l2(np.clip(predicted, -CLIP, CLIP), target, brain)
    if not has_spread(predicted[brain]):
        # Before it has learned anything, a network may predict the same everywhere.
        return Score(dose, float("nan"), l2(np.zeros_like(target), target, brain), of_network)
    return Score(dose, pearson(predicted, wanted, brain), l2(standardized(predicted, brain), target, brain), of_network)


def mean_by_dose(scores: Sequence[Score]) -> dict[str, dict[str, float | None]]:
    """Means over heads: `{"1": {"correlation": ..., "l2": ...}, "0.5": ...}`, as a checkpoint's document holds them.

    A correlation is the mean over the heads that have one, and None where no head has.
    """
    means: dict[str, dict[str, float | None]] = {}
    for dose in sorted({score.dose for score in scores}, reverse=True):
        at_dose = [score for score in scores if score.dose == dose]
        correlations = [score.correlation for score in at_dose if not np.isnan(score.correlation)]
        means[f"{dose:g}"] = {
            "correlation": _mean(correlations) if correlations else None,
            "l2": _mean([score.l2 for score in at_dose]),
            "network_l2": _mean([score.network_l2 for score in at_dose]),
        }
    return means


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)
