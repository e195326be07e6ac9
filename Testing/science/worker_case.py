"""A small case, as it is put into a session folder for the worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.inference.strips import StripRule
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import CheckpointInfo, NetworkInput
from stunet_perfusion.series import DscSeries

SHAPE = (3, 40, 36)
UNSTEADY = 2


def make_case() -> DscSeries:
    """A fresh series, since predicting consumes it."""
    return make_series(frames=52, shape=SHAPE, noise=1.0, seed=3, grid=oblique_grid(SHAPE), unsteady_frames=UNSTEADY)


def brain() -> np.ndarray:
    """(Z, Y, X) bool: a mask that leaves the last slice out."""
    mask = head_of(SHAPE).copy()
    mask[2] = False
    return mask


def opening(series: DscSeries, handle: str = "head", **changes: Any) -> dict[str, Any]:
    """The arguments of `open`."""
    return {
        "series": handle,
        "signal": "input.npy",
        "times": series.times.tolist(),
        "ijk_to_ras": series.grid.ijk_to_ras.tolist(),
        "echo_time": series.echo_time,
        "name": series.name,
        "mask": "mask.npy",
        "drop_frames": UNSTEADY,
        **changes,
    }


def fill(folder: Path) -> None:
    """Put the case, its mask, and two small real checkpoints into a folder, whose maps rise with the blood volume."""
    np.save(folder / "input.npy", make_case().signal)
    np.save(folder / "mask.npy", brain())
    torch.manual_seed(0)
    network = build_network("hess", {"sequence_widths": [2, 2, 2, 2]})
    for parameter in network.parameters():
        parameter.data.abs_()
    quick = CheckpointInfo(
        "hess", {"sequence_widths": [2, 2, 2, 2]}, NetworkInput(size=64), StripRule(16, padding="context")
    )
    checkpoint.save(folder / "quick.safetensors", network, quick)
    # One strip after another, 241 of them a slice: slow enough to be called off in the middle.
    checkpoint.save(folder / "slow.safetensors", network, replace(quick, input=NetworkInput(), strip=StripRule(16)))
