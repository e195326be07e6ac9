"""Standardized slices with their targets, and the strips that are cut from them for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from stunet_perfusion.inference.box import into_box
from stunet_perfusion.inference.input_kinds import input_kind, slice_for_network
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.inference.strips import cut_strip, strip_starts
from stunet_perfusion.kinetics.cbv_scale import CLIP, CLOSED_FORM_UNIT
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.networks.quantities import MAPS
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


def training_slices(
    prepared: PreparedSeries,
    target: np.ndarray,
    brain: np.ndarray,
    recipe: NetworkInput | None = None,
    slice_step: int = 1,
    draw: Callable[[np.ndarray], np.ndarray] | None = None,
) -> TrainingSlices:
    """Standardize a case: the series for the input, the CBV map for the target.

    The paper's network is to predict z-scores of the map, cut at 5 standard deviations. Ours is to predict what the map
    has beyond the fit of the mean curve, whole, or it would learn to cut what the fit rightly finds in vessels and hot
    tumors. The fit's mean is over the brain as it is found, which may be a few percent off that over the brain where
    the map is known: see `in_unit_of_fit`.

    :param prepared: the series that the network is to see
    :param target: (Z, Y, X) CBV that it is to predict, any unit
    :param brain: (Z, Y, X) bool, where the target is known
    :param recipe: what the network is given; the paper's where it is None
    :param slice_step: every so many slices with brain are taken
    :param draw: which of these slices, given their numbers; all of them where it is None
    :raises InputError: as `plan_standardization`, `cbv_scale` and `closed_form_scale`
    """
    wanted = recipe or NetworkInput()
    kind = input_kind(wanted.quantity)
    plan = plan_standardization(prepared, wanted.frames, wanted.size, wanted.quantity, wanted.box, window=wanted.window)
    scale = kind.target_scale(target, brain, prepared.brain)
    slices = np.flatnonzero(brain.any(axis=(1, 2)))[::slice_step]
    if draw is not None:
        slices = draw(slices)
    size, planes = wanted.size, wanted.frames + MAPS[wanted.quantity]
    signals = np.empty((len(slices), planes, size, size), np.float16)
    targets = np.empty((len(slices), size, size), np.float32)
    inside = np.empty(targets.shape, bool)
    corrected: list[np.ndarray] = []
    unit = 1.0
    for n, z in enumerate(slices):
        of_slice = slice_for_network(plan, prepared.series.signal[:, z])
        signals[n], unit = of_slice.given, of_slice.unit
        values = (into_box(plan.box, target[z]) - scale.mean) / scale.sd
        targets[n] = np.clip(values, -kind.target_clip, kind.target_clip)
        inside[n] = into_box(plan.box, brain[z]) > 0.5
        if of_slice.corrected is not None:
            corrected.append(of_slice.corrected)
    if corrected:
        fit = np.stack(corrected)
        targets = (in_unit_of_fit(targets, fit, inside) - fit) / np.float32(unit)
    return TrainingSlices(signals, targets, inside, kind.clip)


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


class StripDataset(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
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

    def some(self, share: float, generator: np.random.Generator) -> StripDataset:
        """The same with a share of its strips, at least one of them, drawn at random."""
        if share == 1 or not self.index:
            return self
        fewer = StripDataset(self.cases, self.rows, margin=self.margin)
        chosen = generator.permutation(len(self.index))[: max(round(share * len(self.index)), 1)]
        fewer.index = [self.index[number] for number in chosen]
        return fewer

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
