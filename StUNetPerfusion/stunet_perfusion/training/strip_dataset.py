"""Standardized slices with their targets, and the strips that are cut from them for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from stunet_perfusion.preparation import PreparedSeries
from stunet_perfusion.standardize import CLIP, cbv_scale, into_box, plan_standardization, standardize_slice
from stunet_perfusion.strips import strip_starts

#: Strips with less brain than this share of their pixels teach little, and there are many of them.
LEAST_BRAIN = 0.05


@dataclass(frozen=True, eq=False)
class TrainingSlices:
    """Slices of one case, ready to be cut.

    :param signals: (N, T, Y, X) float16, standardized signal; half the memory, at a step far below the noise
    :param targets: (N, Y, X) float32, standardized CBV
    :param brain: (N, Y, X) bool, where the target means something
    """

    signals: np.ndarray
    targets: np.ndarray
    brain: np.ndarray


def training_slices(
    prepared: PreparedSeries, target: np.ndarray, brain: np.ndarray, frames: int = 64, size: int = 256
) -> TrainingSlices:
    """Standardize a case as the paper does: the series for the input, the CBV map for the target.

    :param prepared: the series that the network is to see
    :param target: (Z, Y, X) CBV that it is to predict, any unit
    :param brain: (Z, Y, X) bool, where the target is known
    """
    plan = plan_standardization(prepared, frames, size)
    scale = cbv_scale(target, brain)
    slices = np.flatnonzero(brain.any(axis=(1, 2)))
    signals = np.empty((len(slices), frames, size, size), np.float16)
    targets = np.empty((len(slices), size, size), np.float32)
    inside = np.empty(targets.shape, bool)
    for n, z in enumerate(slices):
        signals[n] = standardize_slice(plan, prepared.series.signal[:, z])
        targets[n] = scale.to_standardized(into_box(plan.box, target[z]))
        inside[n] = into_box(plan.box, brain[z]) > 0.5
    return TrainingSlices(signals, targets, inside)


class StripDataset(Dataset):
    """Strips cut every `stride` rows from the slices of several cases.

    An item is (signal (T, rows, X), target (rows, X), weight (rows, X)), all float32; the weight is 1 in the brain.

    :param rows: height of a strip
    :param stride: rows from one strip to the next; the paper trains with 8
    """

    def __init__(self, cases: Sequence[TrainingSlices], rows: int = 32, stride: int = 8) -> None:
        self.cases = list(cases)
        self.rows = rows
        self.index = [
            (case, n, start)
            for case, slices in enumerate(self.cases)
            for n, brain in enumerate(slices.brain)
            for start in strip_starts(brain.shape[0], rows, stride)
            if brain[start : start + rows].mean() >= LEAST_BRAIN
        ]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        case, n, start = self.index[item]
        slices, rows = self.cases[case], slice(start, start + self.rows)
        signal = np.clip(slices.signals[n, :, rows].astype(np.float32), -CLIP, CLIP)
        return (
            torch.from_numpy(signal),
            torch.from_numpy(slices.targets[n, rows]),
            torch.from_numpy(slices.brain[n, rows].astype(np.float32)),
        )
