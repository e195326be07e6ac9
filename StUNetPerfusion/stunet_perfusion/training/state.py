"""What a training needs to go on after it was killed: one file beside the checkpoint, replaced after every epoch.

It is no checkpoint. torch reads it without running anything that may be in it (`weights_only`).
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.staged import staged_file

FORMAT_VERSION = 1

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


def save_state(path: Path, state: TrainingState) -> None:
    """Write beside and rename: whenever the process is killed, the file is that of a whole epoch.

    :raises OutputError: it cannot be written
    """
    document = {"settings": state.settings, "epochs": state.epochs, "history": state.history, "best": state.best}
    with staged_file(path) as staged:
        torch.save(
            {
                "format_version": FORMAT_VERSION,
                "document": json.dumps(document, allow_nan=False),
                "weights": {name: tensor.detach().cpu() for name, tensor in state.weights.items()},
                "optimizer": state.optimizer,
                "random": state.random,
            },
            staged,
        )


def load_state(path: Path, settings: dict[str, Any]) -> TrainingState | None:
    """Where a training with these settings left off, or None where there is no such file.

    :raises InputError: a file that is none, or of other settings
    """
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        if stored["format_version"] != FORMAT_VERSION:
            raise InputError(path, f"has format version {stored['format_version']}", "begin again", Setting.RESTART)
        document = json.loads(stored["document"])
        state = TrainingState(
            document["settings"],
            document["epochs"],
            stored["weights"],
            stored["optimizer"],
            stored["random"],
            document["history"],
            document["best"],
        )
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "is no state of a training", "begin again", Setting.RESTART) from None
    for table, values in settings.items():
        for name, value in values.items():
            old = state.settings.get(table, {}).get(name)
            if table not in _FREE and old != value:
                fact = f"was trained with {table}.{name} {old}, not {value}"
                raise InputError(path, fact, "give the settings of before, or begin again", Setting.RESTART)
    return state
