"""The plain loop of the paper (section 3): every strip is cut, predicted and added on its own.

It is slow and obviously right. Whatever is faster is tested against it, and networks that nothing faster is known for
use it.
"""

from __future__ import annotations

import numpy as np
import torch

from stunet_perfusion.inference.strips.rule import (
    StripAverage,
    StripRule,
    StripSums,
    cut_strip,
    strip_starts,
)
from stunet_perfusion.networks.build import maps_of
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled


def predict_slice_plainly(
    network: CbvNetwork,
    frames: np.ndarray,
    rule: StripRule,
    stride: int = 1,
    *,
    batch: int = 8,
    device: str | torch.device = "cpu",
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """Predict a slice: cut a strip every `stride` rows, predict each, and average.

    :param network: in evaluation mode, on `device`
    :param frames: (T, Y, X) float32, standardized signal
    :param stride: rows from one strip to the next; 1 is the paper's
    :param batch: strips that are predicted together; it changes memory and speed only
    :raises InputError: strips that the network or the slice does not take
    """
    slice_rows, columns = frames.shape[1:]
    network.check_strip(frames.shape[0] - maps_of(network), rule.rows, columns)
    margin = network.row_reach if rule.padding == "context" else 0
    # The margin must keep the pairing of rows in the network's reductions as it is without one.
    margin = -(-margin // network.row_step) * network.row_step
    starts = strip_starts(slice_rows, rule.rows, stride)

    sums = StripSums(slice_rows, columns)
    for first in range(0, len(starts), batch):
        check_cancelled()
        starts_of_batch = starts[first : first + batch]
        strips = np.stack([cut_strip(frames, start, rule.rows, margin) for start in starts_of_batch])
        with torch.inference_mode():
            predictions = network(torch.from_numpy(strips).to(device)).cpu().numpy()
        for start, prediction in zip(starts_of_batch, predictions, strict=True):
            sums.add(start, prediction[..., margin : margin + rule.rows, :])
    return sums.average()
