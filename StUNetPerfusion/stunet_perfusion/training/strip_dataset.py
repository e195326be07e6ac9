"""Standardized slices with their targets, and the strips that are cut from them for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from stunet_perfusion.inference.box import into_box
from stunet_perfusion.inference.slice_input import FIT_CLIP, slice_for_network
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.inference.strips import cut_strip, strip_starts
from stunet_perfusion.kinetics.cbv_scale import (
    CLIP,
    CLOSED_FORM_UNIT,
    cbv_scale,
    closed_form_scale,
)
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.networks.quantities import CORRECTION_TO_FIT, MAPS, Z_SCORE
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Strips with less brain than this share of their pixels teach little, and there are many of them.
LEAST_BRAIN = 0.05

#: The blood of most of a brain's voxels, in halves of its mean.
_LEAST_BLOOD, _MOST_BLOOD = 0.3, 4.0


@dataclass(frozen=True, eq=False)
class TrainingSlices:
    """Slices of one case, ready to be cut.

    :param signals: (N, T, Y, X) float16, the network's input, with what maps follow the frames; half the memory, at a
        step far below the noise
    :param targets: (N, Y, X) float32, what the network is to say
    :param brain: (N, Y, X) bool, where the target means something
    :param clip: the largest absolute value of the input
    """

    signals: np.ndarray
    targets: np.ndarray
    brain: np.ndarray
    clip: float = CLIP


@dataclass(frozen=True)
class Recipe:
    """How slices are made of a case, as the checkpoint will describe it.

    :param input: frames, size, and what the network is given
    :param target: what it is to say, one of `TARGETS`
    """

    input: NetworkInput = field(default_factory=NetworkInput)
    target: str = Z_SCORE


#: The paper's input and output.
_PAPER = Recipe()


def training_slices(
    prepared: PreparedSeries, target: np.ndarray, brain: np.ndarray, recipe: Recipe = _PAPER, slice_step: int = 1
) -> TrainingSlices:
    """Standardize a case: the series for the input, the CBV map for the target.

    A network that is to correct the closed form is to say what the map has beyond it. Such maps, and those of a network
    that is to say blood volume, are measured by their own mean over the brain, so that neither dose nor arterial input
    count; vessels are cut in the map where the paper cuts them. The fit's mean is over the brain as it is found, which
    may be a few percent off that over the brain where the map is known: see `in_unit_of_fit`.

    :param prepared: the series that the network is to see
    :param target: (Z, Y, X) CBV that it is to predict, any unit
    :param brain: (Z, Y, X) bool, where the target is known
    :param slice_step: every so many slices with brain are taken
    :raises InputError: as `plan_standardization`, `cbv_scale` and `closed_form_scale`
    """
    wanted = recipe.input
    plan = plan_standardization(prepared, wanted.frames, wanted.size, wanted.quantity, recipe.target, wanted.box)
    scale = cbv_scale(target, brain)
    own_unit = None if recipe.target == Z_SCORE else closed_form_scale(target, brain & prepared.brain)
    slices = np.flatnonzero(brain.any(axis=(1, 2)))[::slice_step]
    size = recipe.input.size
    planes = recipe.input.frames + MAPS.get(recipe.input.quantity, 0)
    signals = np.empty((len(slices), planes, size, size), np.float16)
    targets = np.empty((len(slices), size, size), np.float32)
    inside = np.empty(targets.shape, bool)
    corrected, unit = np.zeros_like(targets), 1.0
    for n, z in enumerate(slices):
        of_slice = slice_for_network(plan, recipe.target, prepared.series.signal[:, z])
        signals[n] = of_slice.given
        wanted_map = into_box(plan.box, target[z])
        if recipe.target == CORRECTION_TO_FIT:
            # Whole, or a network would learn to cut what the fit rightly finds in vessels and hot tumors.
            targets[n] = np.clip((wanted_map - own_unit.mean) / own_unit.sd, -FIT_CLIP, FIT_CLIP)
        else:
            targets[n] = scale.to_standardized(wanted_map)
            if own_unit is not None:
                targets[n] = (scale.to_blood_volume(targets[n]) - own_unit.mean) / own_unit.sd
        if of_slice.corrected is not None:
            corrected[n], unit = of_slice.corrected, of_slice.unit
        inside[n] = into_box(plan.box, brain[z]) > 0.5
    if recipe.target == CORRECTION_TO_FIT:
        targets = in_unit_of_fit(targets, corrected, inside)
    targets -= corrected
    targets /= np.float32(unit)
    return TrainingSlices(signals, targets, inside, plan.clip)


def in_unit_of_fit(truth: np.ndarray, fit: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """The true map times the factor with which the fit is nearest to it.

    Nothing in a series tells how far the brain that is found in it is off the true one, and with it the fit's unit. A
    network that is asked for it would learn from little else at full dose. Noise of the fit, in the dependent variable,
    does not change the factor; vessels and voxels without blood do not count.

    :param truth: (N, Y, X) in halves of the brain's mean, from that mean on, and so is `fit`
    :param brain: (N, Y, X) bool
    :returns: (N, Y, X) float32
    """
    nothing = np.float32(-1 / CLOSED_FORM_UNIT)
    blood, fitted = truth - nothing, fit - nothing
    usual = brain & (blood > _LEAST_BLOOD) & (blood < _MOST_BLOOD)
    known, seen = blood[usual].astype(np.float64), fitted[usual].astype(np.float64)
    factor = (known @ seen) / (known @ known) if known.any() else 1.0
    return blood * np.float32(factor if factor > 0 else 1.0) + nothing


class StripDataset(Dataset):
    """Strips cut every `stride` rows from the slices of several cases.

    An item is (signal (T, margin + rows + margin, X), target (rows, X), weight (rows, X)), all float32; the weight is 1
    in the brain.

    :param rows: height of a strip
    :param stride: rows from one strip to the next; the paper trains with 8
    :param margin: rows around a strip that the network sees and is not asked for, zero beyond the slice
    :param phases: strips are moved up by 0 to so many rows less one, in turn: where strips are as high as the slice,
        the network else would meet one pairing of rows in its reductions only
    """

    def __init__(
        self, cases: Sequence[TrainingSlices], rows: int = 32, stride: int = 8, margin: int = 0, phases: int = 1
    ) -> None:
        self.cases = list(cases)
        self.rows = rows
        self.margin = margin
        places = [
            (case, n, start)
            for case, slices in enumerate(self.cases)
            for n, brain in enumerate(slices.brain)
            for start in strip_starts(brain.shape[0], rows, stride)
            if brain[start : start + rows].mean() >= LEAST_BRAIN
        ]
        self.index = [(case, n, start - number % phases) for number, (case, n, start) in enumerate(places)]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        case, n, start = self.index[item]
        slices = self.cases[case]
        strip = cut_strip(slices.signals[n], start, self.rows, self.margin).astype(np.float32)
        signal = np.clip(strip, -slices.clip, slices.clip, out=strip)
        target, brain = (
            cut_strip(image[n][None], start, self.rows, 0)[0].astype(np.float32)
            for image in (slices.targets, slices.brain)
        )
        return torch.from_numpy(signal), torch.from_numpy(target), torch.from_numpy(brain)
