"""A checkpoint: one .safetensors file with the weights and, in its header, one JSON document that says what they are.

Nothing else is ever loaded. A pickle can run code when it is opened, so it is refused before it is read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from stunet_perfusion.networks.build import build_network, check_maps
from stunet_perfusion.networks.checkpoint_document import (
    DOCUMENT,
    FORMAT_VERSION,
    CheckpointInfo,
    NetworkInput,
    damaged,
    naming_file,
    read_info,
)
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.staged import staged_file

__all__ = ["DOCUMENT", "FORMAT_VERSION", "Checkpoint", "CheckpointInfo", "NetworkInput", "load", "read_info", "save"]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network and what it says of itself.

    :param info: the document of the header
    :param network: in evaluation mode, float32, on the CPU
    :param name: the file's name
    """

    info: CheckpointInfo
    network: CbvNetwork
    name: str


def save(path: str | Path, network: nn.Module, info: CheckpointInfo, half_precision: bool = False) -> None:
    """Write a checkpoint. The file appears whole or not at all.

    :param half_precision: store weights as 16-bit floats; they are widened again when loaded
    :raises InputError: weights that are not finite, or a file name that does not end with .safetensors
    :raises OutputError: the file cannot be written
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(path, "is no name for a checkpoint", "let it end with .safetensors")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    _check_finite(path, weights)
    if half_precision:
        weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    document = json.dumps({"format_version": FORMAT_VERSION, **asdict(info)}, allow_nan=False)
    with staged_file(path) as file:
        file.write_bytes(to_bytes(weights, metadata={DOCUMENT: document}))


def load(path: str | Path) -> Checkpoint:
    """Load a checkpoint.

    :raises InputError: no such file, a pickle, no safetensors file or a damaged one, no or an unknown document, a
        newer format, a network that is not known, weights that are missing, superfluous, of the wrong shape or not
        finite
    """
    path = Path(path)
    info = read_info(path)
    with naming_file(path), torch.device("meta"):
        # Without memory for its weights: how many there are is only said, until the file turns out to hold them.
        shadow = build_network(info.network, info.arguments)
        shadow.check_strip(info.input.frames, info.strip.rows, info.input.size)
        check_maps(shadow, info.input.quantity)
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            _check_shapes(path, {name: tuple(file.get_slice(name).get_shape()) for name in names}, shadow)
            weights = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise damaged(path, error) from None
    _check_finite(path, weights)
    with naming_file(path):
        network = build_network(info.network, info.arguments)
    network.load_state_dict(weights)
    return Checkpoint(info, network.float().eval(), path.name)


def _check_shapes(path: Path, shapes: dict[str, tuple[int, ...]], network: nn.Module) -> None:
    expected = network.state_dict()
    way_out = "the file does not belong to the network that it names; use another checkpoint"
    missing, superfluous = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
    if missing:
        raise InputError(path, f"lacks {len(missing)} weights (first {missing[0]})", way_out)
    if superfluous:
        raise InputError(path, f"has {len(superfluous)} weights too many (first {superfluous[0]})", way_out)
    for name, shape in shapes.items():
        if shape != tuple(expected[name].shape):
            found = f"{shape}, not {tuple(expected[name].shape)}"
            raise InputError(path, f"has weights of the wrong shape ({name} is {found})", way_out)


def _check_finite(path: Path, weights: dict[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(
                path, f"has weights that are not numbers ({name})", "train again, or use another checkpoint"
            )
