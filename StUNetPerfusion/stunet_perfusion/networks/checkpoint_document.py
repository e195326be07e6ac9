"""What a checkpoint says of itself, read without torch and without safetensors.

A .safetensors file begins with the length of its header in 8 bytes and the header as JSON, whose metadata hold our
document. That is all that a chooser of checkpoints needs, and 3D Slicer's own process may load no more.

Nothing else is ever read. A pickle can run code when it is opened, so it is refused before it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from stunet_perfusion.networks.quantities import (
    AROUND_BOLUS,
    BOXES,
    FORMER_WORDS,
    INPUTS,
    SIGNAL,
    TARGET_OF,
    TIGHT,
    WINDOWS,
    Z_SCORE,
)
from stunet_perfusion.networks.strip_rule import StripRule
from stunet_perfusion.support.documents import LARGEST, filled_in, in_short, json_object, parse_json
from stunet_perfusion.support.errors import InputError

#: Raised when a newer program writes something that this one would misread.
FORMAT_VERSION = 1

#: The header's key under which the JSON document stands.
DOCUMENT = "stunet_perfusion"

#: Of rows, columns, frames and channels; the paper's slices have 256.
MOST = 1024

#: Of convolutions a level.
MOST_LAYERS = 16

#: Letters of a quantity's words that a message has room for.
_SHORT = 90

_Part = TypeVar("_Part")

#: Of pickles from protocol 2 on, and of the zip archives that torch.save writes.
_PICKLE_STARTS = (b"\x80", b"PK\x03\x04")
_WAY_OUT_OF_PICKLE = (
    "where you trust it, load it with torch.load(..., weights_only=True) "
    "and write it with stunet_perfusion.networks.checkpoint.save"
)


@dataclass(frozen=True)
class NetworkInput:
    """What the network expects of a slice.

    :param frames: frames around the bolus
    :param size: rows and columns of the box around the brain
    :param quantity: what is made of the signal, one of `INPUTS`
    :param box: how the box is laid, one of `BOXES`; files that do not tell are older than the choice
    :param window: which frames, one of `WINDOWS`; likewise
    """

    frames: int = 64
    size: int = 256
    quantity: str = SIGNAL
    box: str = TIGHT
    window: str = AROUND_BOLUS


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
    :param target: what the network says, which belongs to the input, see `TARGET_OF`
    :param learned_error: what the error that the network expects is multiplied by
    :param noise_error: what the noise that the series itself tells is multiplied by, beside that error, see
        `noise_slice`; both as fitted to phantoms after training
    """

    network: str
    arguments: dict[str, Any]
    input: NetworkInput = field(default_factory=NetworkInput)
    strip: StripRule = field(default_factory=StripRule)
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = "MIT"
    target: str = Z_SCORE
    learned_error: float = 1.0
    noise_error: float = 0.0


def read_info(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says of itself.

    :raises InputError: no such file, a pickle, no safetensors file or a damaged one, no or an unknown document, or a
        newer format
    """
    path = Path(path)
    return _parse(path, _read_document(path))


def describe(path: str | Path) -> dict[str, Any]:
    """The same with the file's name and size, as JSON.

    :returns: `file`, `name`, `size_bytes`, and the fields of `CheckpointInfo`
    :raises InputError: as `read_info`
    """
    path = Path(path)
    info = read_info(path)
    return {"file": str(path), "name": path.name, "size_bytes": path.stat().st_size, **asdict(info)}


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """What its description is refused for is said of the file."""
    try:
        yield
    except InputError as error:
        fact = f"describes a network that cannot be used ({error.subject}: {error.fact})"
        raise InputError(path, fact, "use another checkpoint") from error


def _read_document(path: Path) -> Any:
    if path.is_dir():
        raise InputError(path, "is a folder, not a file", "give a .safetensors checkpoint")
    if not path.is_file():
        raise InputError(path, "does not exist", "give a .safetensors checkpoint")
    try:
        header = _read_header(path)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "check the right to read it") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise damaged(path, error) from None
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or DOCUMENT not in metadata:
        raise InputError(path, "does not say what network it holds", "give a checkpoint that StUNetPerfusion wrote")
    try:
        if not isinstance(metadata[DOCUMENT], str):
            raise ValueError("it is no text")
        return parse_json(metadata[DOCUMENT], constants=False)
    except ValueError as error:
        raise InputError(path, f"has an unreadable description ({error})", "copy it again") from None


def damaged(path: Path, error: Exception) -> InputError:
    """What is said of a file that is no safetensors file, or not a whole one."""
    return InputError(path, f"is no .safetensors file, or is damaged ({error})", "copy it again")


def _read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file whose weights are all there.

    :raises InputError: a pickle
    :raises ValueError: no safetensors file, or one that is cut off
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
        length = int.from_bytes(start[:8], "little")
        # The length of a header may well begin with the same byte as a pickle; its JSON does not.
        if start[8:] != b"{" or 8 + length > size:
            if start.startswith(_PICKLE_STARTS):
                raise InputError(path, "is a pickle, which can run code when it is opened", _WAY_OUT_OF_PICKLE)
            raise ValueError("it has no header")
        if length > LARGEST:
            raise ValueError(f"its header has {length >> 20} MB, and no checkpoint has more than {LARGEST >> 20}")
        header = json_object(start[8:] + file.read(length - 1))
    ends = [_end_of_weights(name, entry) for name, entry in header.items() if name != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ValueError(f"it has {size} bytes instead of {expected}")
    return header


def _end_of_weights(name: str, entry: Any) -> int:
    """Where the bytes of one tensor end, counted from the end of the header."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(isinstance(each, int) for each in offsets):
        raise ValueError(f"its header does not say where {name} is")
    return offsets[1]


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
            with naming_file(path):
                fields[part] = filled_in(kind, fields[part], what=part)
        info = filled_in(CheckpointInfo, fields)
    except (KeyError, TypeError) as error:
        raise InputError(
            path, f"has a wrong or incomplete description ({error})", "write it with this version"
        ) from None
    _check_sizes(path, info)
    way_out = "use a checkpoint of this version, or the version of StUNetPerfusion that it was trained with"
    stored = (info.input.quantity, info.target, info.input.box)
    quantity, target, box = (FORMER_WORDS.get(each, each) for each in stored)
    if quantity not in INPUTS:
        raise InputError(path, f"needs another input ('{_in_short(quantity)}')", way_out)
    if box not in BOXES:
        raise InputError(path, f"needs another box around the brain ('{_in_short(box)}')", way_out)
    if info.input.window not in WINDOWS:
        raise InputError(path, f"needs other frames ('{_in_short(info.input.window)}')", way_out)
    if target != TARGET_OF[quantity]:
        raise InputError(path, f"predicts something else ('{_in_short(target)}')", way_out)
    return replace(info, target=target, input=replace(info.input, quantity=quantity, box=box))


def _in_short(quantity: str) -> str:
    """So that a message stays a sentence: checkpoints of earlier versions hold sentences themselves."""
    return textwrap.shorten(quantity, _SHORT, placeholder=" …")


def _check_sizes(path: Path, info: CheckpointInfo) -> None:
    """Refuse sizes beyond everything that was ever trained, before anything is made of them.

    :raises InputError: a size that is too large, or none
    """
    sizes = {"input.frames": info.input.frames, "input.size": info.input.size, "strip.rows": info.strip.rows}
    sizes |= dict(_numbers_in("arguments", info.arguments))
    for name, size in sizes.items():
        least, most = (0 if name.startswith("arguments") else 1), MOST_LAYERS if "convolutions" in name else MOST
        if not least <= size <= most:
            fact = f"describes a network that cannot be used ({in_short(name)} is {size}, and {most} is the most)"
            raise InputError(path, fact, "use another checkpoint")


def _numbers_in(name: str, values: Any) -> Iterator[tuple[str, int]]:
    """Every whole number of a network's arguments, and the length of every list."""
    if isinstance(values, dict | list):
        yield f"{name} (its length)", len(values)
        entries = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in entries:
            yield from _numbers_in(f"{name}.{key}", value)
    elif isinstance(values, int) and not isinstance(values, bool):
        yield name, values
