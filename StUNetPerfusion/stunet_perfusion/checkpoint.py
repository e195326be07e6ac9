"""A checkpoint: one .safetensors file with the weights and, in its header, one JSON document that says what they are.

Nothing else is ever loaded. A pickle can run code when it is opened, so it is refused before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from stunet_perfusion.errors import InputError
from stunet_perfusion.networks import build_network
from stunet_perfusion.strips import StripRule
from stunet_perfusion.writing import staged_output

#: Raised when a newer program writes something that this one would misread.
FORMAT_VERSION = 1

#: The header's key under which the JSON document stands.
DOCUMENT = "stunet_perfusion"

#: What a network of this version can be given.
INPUT_QUANTITY = "signal: z-score of the brain in the first five steady frames"

_Part = TypeVar("_Part")

_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")
_WAY_OUT_OF_PICKLE = (
    "where you trust it, load it with torch.load(..., weights_only=True) "
    "and write it with stunet_perfusion.checkpoint.save"
)


@dataclass(frozen=True)
class NetworkInput:
    """What the network expects of a slice.

    :param frames: frames around the bolus
    :param size: rows and columns that the box around the brain is resampled to
    :param quantity: how the signal is standardized
    """

    frames: int = 64
    size: int = 256
    quantity: str = INPUT_QUANTITY


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says of itself: the JSON document in its header.

    :param network: name (`stunet`, `hess`, `ulas`)
    :param arguments: what the network's class takes
    :param input: what the network expects of a slice
    :param strip: how slices are cut
    :param training: what it was trained on and how, for people and for provenance
    :param scores: what it reached, on what
    :param licence: under which the weights may be used
    """

    network: str
    arguments: dict[str, Any]
    input: NetworkInput = field(default_factory=NetworkInput)
    strip: StripRule = field(default_factory=StripRule)
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network and what it says of itself.

    :param info: the document of the header
    :param network: in evaluation mode, float32, on the CPU
    :param name: the file's name
    """

    info: CheckpointInfo
    network: nn.Module
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
    with staged_output(path.parent) as folder:
        (folder / path.name).write_bytes(to_bytes(weights, metadata={DOCUMENT: document}))


def read_info(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says of itself, without loading its weights.

    :raises InputError: as `load`
    """
    return _parse(Path(path), _read_document(Path(path)))


def load(path: str | Path) -> Checkpoint:
    """Load a checkpoint.

    :raises InputError: no such file, a pickle, no safetensors file or a damaged one, no or an unknown document, a
        newer format, a network that is not known, weights that are missing, superfluous, of the wrong shape or not
        finite
    """
    path = Path(path)
    info = read_info(path)
    with _naming_file(path):
        network = build_network(info.network, info.arguments)
        network.check_strip(info.input.frames, info.strip.rows, info.input.size)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    _check_weights(path, weights, network)
    network.load_state_dict(weights)
    return Checkpoint(info, network.float().eval(), path.name)


def _read_document(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise InputError(path, "is a folder, not a file", "give a .safetensors checkpoint")
    if not path.is_file():
        raise InputError(path, "does not exist", "give a .safetensors checkpoint")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "check the right to read it") from None
    if start.startswith(_PICKLE_STARTS):
        raise InputError(path, "is a pickle, which can run code when it is opened", _WAY_OUT_OF_PICKLE)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"is no .safetensors file, or is damaged ({error})", "copy it again") from None
    if DOCUMENT not in metadata:
        raise InputError(path, "does not say what network it holds", "give a checkpoint that StUNetPerfusion wrote")
    try:
        document = json.loads(metadata[DOCUMENT], parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"has an unreadable description ({error})", "copy it again") from None
    return document


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON, and no reader of the document would expect them."""
    raise ValueError(f"{name} is no number")


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    """What its description is refused for is said of the file."""
    try:
        yield
    except InputError as error:
        fact = f"describes a network that cannot be used ({error.subject}: {error.fact})"
        raise InputError(path, fact, "use another checkpoint") from error


def _parse(path: Path, document: dict[str, Any]) -> CheckpointInfo:
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            path,
            f"has format version {version}, and this program reads version {FORMAT_VERSION}",
            "update StUNetPerfusion, or use a checkpoint of this version",
        )
    fields = {name: value for name, value in document.items() if name != "format_version"}
    try:
        for part, kind in {"input": NetworkInput, "strip": StripRule}.items():
            with _naming_file(path):
                fields[part] = _filled_in(kind, fields[part])
        info = _filled_in(CheckpointInfo, fields)
    except (KeyError, TypeError) as error:
        raise InputError(
            path, f"has a wrong or incomplete description ({error})", "write it with this version"
        ) from None
    if info.input.quantity != INPUT_QUANTITY:
        raise InputError(
            path, f"needs another input ('{info.input.quantity}')", "update StUNetPerfusion, or use another checkpoint"
        )
    return info


def _filled_in(kind: type[_Part], values: Any) -> _Part:
    """One part of the description.

    :raises TypeError: not a table of names and values, a name that the part does not have or lacks, or a value of
        another type
    """
    if not isinstance(values, dict):
        raise TypeError(f"{kind.__name__} is no table of names and values")
    for name, expected in get_type_hints(kind).items():
        expected = get_origin(expected) or expected
        if name in values and (not isinstance(values[name], expected) or isinstance(values[name], bool)):
            raise TypeError(f"{name} {json.dumps(values[name], default=str)} is no {expected.__name__}")
    return kind(**values)


def _check_weights(path: Path, weights: dict[str, torch.Tensor], network: nn.Module) -> None:
    expected = network.state_dict()
    way_out = "the file does not belong to the network that it names; use another checkpoint"
    missing, superfluous = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing:
        raise InputError(path, f"lacks {len(missing)} weights (first {missing[0]})", way_out)
    if superfluous:
        raise InputError(path, f"has {len(superfluous)} weights too many (first {superfluous[0]})", way_out)
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            raise InputError(path, f"has weights of the wrong shape ({name} is {shapes})", way_out)
    _check_finite(path, weights)


def _check_finite(path: Path, weights: dict[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(
                path, f"has weights that are not numbers ({name})", "train again, or use another checkpoint"
            )
