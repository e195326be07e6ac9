"""What a checkpoint tells of its training, so that it can be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from stunet_perfusion import __version__
from stunet_perfusion.runs.provenance import versions
from stunet_perfusion.training.processes import Processes
from stunet_perfusion.training.settings import TrainingSettings

#: Paths say where somebody keeps data, and may name patients.
_PATHS = {"cases": ("table",), "phantoms": ("anatomies", "validation", "tumors")}

_LOSSES = {
    "l2": "L2 over the brain",
    "robust": "L2 over the brain, L1 where it is far off",
}


def describe_training(
    settings: TrainingSettings, data: dict[str, Any], history: Sequence[dict[str, Any]], processes: Processes
) -> dict[str, Any]:
    """The `training` of a checkpoint.

    :param data: what it was trained on
    :param history: the log until now
    """
    optimization, dose = settings.optimization, settings.dose
    shares = ", ".join(f"{share:g}" for share in dose.shares) or f"{dose.lowest:g} to {dose.highest:g}"
    return {
        **data,
        "dose": f"{shares}, {settings.dose_method}",
        "strips": sum(entry["strips"] for entry in history),
        "epochs": len(history),
        "batch": optimization.batch,
        "learning_rate": optimization.learning_rate,
        "optimizer": "Adam",
        "loss": _LOSSES[optimization.loss],
        "seed": optimization.seed,
        "seconds": round(sum(entry["seconds"] for entry in history)),
        "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
        "versions": versions(),
        "hardware": _hardware(processes),
        "settings": _without_paths(settings.document()),
    }


def _hardware(processes: Processes) -> str:
    device = processes.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{processes.count} x {name}" + (f", {torch.get_num_threads()} threads" if device.type == "cpu" else "")


def _without_paths(document: dict[str, Any]) -> dict[str, Any]:
    return {
        table: {name: value for name, value in values.items() if name not in _PATHS.get(table, ())}
        for table, values in document.items()
    }
