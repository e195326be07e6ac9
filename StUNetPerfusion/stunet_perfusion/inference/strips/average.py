"""The one way to the average over strips, which chooses how it is made."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from stunet_perfusion.inference.strips.context import average_with_context
from stunet_perfusion.inference.strips.dense import average_of_one_pass
from stunet_perfusion.inference.strips.plain import predict_slice_plainly
from stunet_perfusion.inference.strips.rule import StripAverage, StripRule, strip_starts
from stunet_perfusion.inference.strips.stages import StUNetStages, stages_of
from stunet_perfusion.inference.strips.zero import average_padded_with_zeros
from stunet_perfusion.networks.build import maps_of
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.networks.stunet import StUNet
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: Rows from strip to strip in the first, quick average that a preview shows.
PREVIEW_STRIDE = 8


def take_apart(network: CbvNetwork, frames: int) -> StUNetStages | None:
    """What the fast averages are made of, for whoever predicts many slices: taking a network apart costs as much as a
    third of a slice.

    :param network: in evaluation mode, on the device that predicts
    :param frames: of its input, without maps
    :returns: None of a network that is used whole
    """
    return stages_of(network, frames) if isinstance(network, StUNet) else None


def predict_slice(
    network: CbvNetwork,
    frames: np.ndarray,
    rule: StripRule,
    stride: int = 1,
    *,
    stages: StUNetStages | None = None,
    batch: int = 8,
    device: str | torch.device = "cpu",
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """Predict a slice: the mean and the spread over strips that begin every `stride` rows.

    How they are made is not the caller's concern: they equal those of `predict_slice_plainly` up to rounding.

    :param network: in evaluation mode, on `device`
    :param frames: (T, Y, X) float32, standardized signal; of a network that is given maps, these follow the frames
    :param stride: rows from one strip to the next; 1 is the paper's
    :param stages: of the network, where `take_apart` has made them before
    :param batch: strips that are predicted together; it changes memory and speed only
    :raises InputError: strips that the network or the slice does not take
    """
    network.check_strip(frames.shape[0] - maps_of(network), rule.rows, frames.shape[2])
    starts = strip_starts(frames.shape[1], rule.rows, stride)
    # Strips that are padded with zeros have no part of a refinement in common.
    if isinstance(network, StUNet) and (rule.padding == "context" or network.refinement is None):
        with torch.inference_mode():
            stages = stages or stages_of(network, frames.shape[0] - network.maps)
            signal = torch.from_numpy(np.ascontiguousarray(frames, np.float32)).to(device)
            if rule.padding == "context":
                return average_with_context(stages, signal, starts, rule.rows, check_cancelled)
            return average_padded_with_zeros(stages, signal, starts, rule.rows, batch, check_cancelled)
    if rule.padding == "context" and network.row_step == 1:
        with torch.inference_mode():
            return average_of_one_pass(network, frames, device, check_cancelled)
    return predict_slice_plainly(
        network, frames, rule, stride, batch=batch, device=device, check_cancelled=check_cancelled
    )


def predict_slice_progressively(
    network: CbvNetwork,
    frames: np.ndarray,
    rule: StripRule,
    *,
    stages: StUNetStages | None = None,
    batch: int = 8,
    device: str | torch.device = "cpu",
    check_cancelled: CheckCancelled = never_cancelled,
) -> Iterator[StripAverage]:
    """Predict a slice for someone who waits: soon from few strips, then as the paper does, from one at every row.

    The first strips begin every 8 rows, which for the stU-Net is one way of pairing rows. Whoever does not want the
    second average any more leaves the iterator, or cancels.

    :param network: as for `predict_slice`, and so are the others
    :returns: the two averages, the second computed only when it is asked for
    :raises InputError: strips that the network or the slice does not take
    """
    stages = stages or take_apart(network, frames.shape[0] - maps_of(network))
    for stride in (min(PREVIEW_STRIDE, rule.rows), 1):
        yield predict_slice(
            network, frames, rule, stride, stages=stages, batch=batch, device=device, check_cancelled=check_cancelled
        )
