"""What a training needs to go on after it was killed: one file beside the checkpoint, replaced after every epoch.

It is no checkpoint. torch reads it without running anything that may be in it (`weights_only`).
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stunet_perfusion.support.documents import filled_in, json_object
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.staged import staged_file

FORMAT_VERSION = 1

#: Behind what torch writes: this, and the SHA-256 of all before. torch itself checks neither weights nor optimizer.
_MARK = b"stunet-perfusion sha256\0"
_DIGEST = 32

#: Settings that may be changed between two runs of one training.
_FREE = ("computing",)


@dataclass(frozen=True)
class TrainingState:
    """A training after some epochs.

    :param settings: document of its settings
    :param epochs: how many are done
    :param weights: of the network
    :param optimizer: its state
    :param random: torch's generator
    :param history: an entry an epoch, as the log has them
    :param best: the lowest validation score, or None
    """

    settings: dict[str, Any]
    epochs: int
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    random: torch.Tensor
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None


@dataclass(frozen=True)
class _Document:
    """The part of a state that is JSON."""

    settings: dict[str, Any]
    epochs: int
    history: list[dict[str, Any]]
    best: float | None


def save_state(path: Path, state: TrainingState) -> None:
    """Write beside and rename: whenever the process is killed, the file is that of a whole epoch.

    :raises OutputError: it cannot be written
    """
    document = {"settings": state.settings, "epochs": state.epochs, "history": state.history, "best": state.best}
    with staged_file(path) as staged, open(staged, "wb") as file:
        torch.save(
            {
                "format_version": FORMAT_VERSION,
                "document": json.dumps(document, allow_nan=False),
                "weights": {name: tensor.detach().cpu() for name, tensor in state.weights.items()},
                "optimizer": state.optimizer,
                "random": state.random,
            },
            file,
        )
        file.flush()
        file.write(_MARK + hashlib.sha256(staged.read_bytes()).digest())


def load_state(path: Path, settings: dict[str, Any]) -> TrainingState | None:
    """Where a training with these settings left off, or None where there is no such file.

    :raises InputError: a file that is none, or of other settings
    """
    if not path.is_file():
        return None
    try:
        content = _whole(path.read_bytes())
        stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if stored["format_version"] != FORMAT_VERSION:
            raise InputError(path, f"has format version {stored['format_version']}", "begin again", Setting.RESTART)
        document = filled_in(_Document, json_object(stored["document"]))
        state = TrainingState(
            document.settings,
            document.epochs,
            stored["weights"],
            stored["optimizer"],
            stored["random"],
            document.history,
            document.best,
        )
    except (InputError, MemoryError):
        raise
    except Exception:  # torch raises what it likes of damaged files
        raise InputError(path, "is no state of a training, or is damaged", "begin again", Setting.RESTART) from None
    for table, values in settings.items():
        for name, value in values.items():
            old = state.settings.get(table, {}).get(name)
            if table not in _FREE and old != value:
                fact = f"was trained with {table}.{name} {old}, not {value}"
                raise InputError(path, fact, "give the settings of before, or begin again", Setting.RESTART)
    return state


def _whole(content: bytes) -> bytes:
    """What torch wrote, without what is behind it.

    :raises ValueError: it is not what was written. Files of older versions have no digest.
    """
    place = len(content) - len(_MARK) - _DIGEST
    if place < 0 or content[place:-_DIGEST] != _MARK:
        return content
    if hashlib.sha256(content[:place]).digest() != content[-_DIGEST:]:
        raise ValueError("damaged")
    return content[:place]
