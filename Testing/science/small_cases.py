"""Cases that are predicted in a moment: a small series, its masks, and a small real checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from science.synthetic import head_of, make_series
from stunet_perfusion.cases import Case
from stunet_perfusion.inference.strips import StripRule
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import CheckpointInfo, NetworkInput
from stunet_perfusion.series import DscSeries
from stunet_perfusion.writing import write_map, write_series

SHAPE = (3, 40, 36)

#: Rows and columns that the checkpoint takes.
SIZE = 64

#: Rows of the checkpoint's strips.
STRIP_ROWS = 16


def small_checkpoint(path: Path, seed: int = 0) -> Path:
    """A network of few weights, all positive, whose map rises with the blood volume."""
    torch.manual_seed(seed)
    arguments = {"sequence_widths": [2, 2, 2, 2]}
    network = build_network("hess", arguments)
    for parameter in network.parameters():
        parameter.data.abs_()
    info = CheckpointInfo("hess", arguments, NetworkInput(size=SIZE), StripRule(STRIP_ROWS))
    checkpoint.save(path, network, info)
    return path


def small_series(seed: int = 0) -> DscSeries:
    """50 frames of 36 x 40 x 3 voxels with a bolus, and noise of their own."""
    return make_series(frames=50, shape=SHAPE, noise=1.0, seed=seed)


def write_small_case(folder: Path, name: str, seed: int = 0) -> Case:
    """A series with masks of brain, tumor and white matter in `folder/name`."""
    series = small_series(seed)
    head = head_of(SHAPE)
    regions = {"mask": head, "tumor": np.zeros(SHAPE, bool), "nawm": np.zeros(SHAPE, bool)}
    regions["tumor"][:, 10:16, 10:16] = True
    regions["nawm"][:, 24:30, 18:24] = True
    write_series(folder / name / "dsc.nii.gz", series)
    for region, voxels in regions.items():
        write_map(folder / name / f"{region}.nii.gz", voxels & head, series.grid)
    files = {region: folder / name / f"{region}.nii.gz" for region in regions}
    return Case(name, folder / name / "dsc.nii.gz", f"person-{name}", "test", files)
