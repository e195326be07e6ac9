"""The log of a training: a table with a row an epoch, and TensorBoard where that is installed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stunet_perfusion.support.staged import staged_file

_COLUMNS = ("epoch", "loss", "learning_rate", "strips", "seconds", "waited")


def write_log(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Write the whole table anew, so that it always fits the checkpoint beside it.

    :param history: entries with the columns above, and `scores` by dose where there was a validation
    :raises OutputError: it cannot be written
    """
    scores = list(dict.fromkeys(name for entry in history for name in _flat_scores(entry)))
    with staged_file(path) as staged, open(staged, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*_COLUMNS, *scores], restval="", lineterminator="\n")
        writer.writeheader()
        for entry in history:
            writer.writerow({name: entry[name] for name in _COLUMNS} | _flat_scores(entry))


def add_to_tensorboard(folder: Path, entry: dict[str, Any]) -> bool:
    """Add an epoch; what an earlier run wrote of this epoch or later ones is hidden.

    :returns: whether TensorBoard is installed
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return False
    epoch = entry["epoch"]
    with SummaryWriter(str(folder), purge_step=epoch) as writer:
        for name in _COLUMNS[1:]:
            writer.add_scalar(name, entry[name], epoch)
        for name, value in _flat_scores(entry).items():
            if value is not None:
                writer.add_scalar(f"validation/{name}", value, epoch)
    return True


def _flat_scores(entry: dict[str, Any]) -> dict[str, float | None]:
    """`{"l2 at 0.5": ...}`"""
    by_dose = entry.get("scores") or {}
    return {f"{name} at {dose}": value for dose, scores in by_dose.items() for name, value in scores.items()}
