"""Strips that see the rows around them, for networks that do not reduce rows: all of them are one dense pass."""

from __future__ import annotations

import numpy as np
import torch

from stunet_perfusion.inference.strips.rule import StripAverage, cut_strip
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: Rows that are predicted together; more only take more memory.
BLOCK_ROWS = 64


def average_of_one_pass(
    network: CbvNetwork,
    frames: np.ndarray,
    device: str | torch.device = "cpu",
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """Mean and spread over strips with context, of a network whose `row_step` is 1.

    Such a network predicts a row from its neighbors alone, wherever its strip begins. So all strips that cover the row
    agree, and their spread is 0.

    :param frames: (T, Y, X) float32, standardized signal
    """
    rows = frames.shape[1]
    mean = np.empty(frames.shape[1:], np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        check_cancelled()
        block = cut_strip(frames, start, min(BLOCK_ROWS, rows - start), network.row_reach)
        prediction = network(torch.from_numpy(block)[None].to(device))[0].cpu().numpy()
        mean[start : start + BLOCK_ROWS] = prediction[network.row_reach : prediction.shape[0] - network.row_reach]
    return StripAverage(mean, np.zeros_like(mean))
