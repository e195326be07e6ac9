"""Settings as the TOML file that would give them, so that nobody has to look up what can be set."""

from __future__ import annotations

import json
from typing import Any

from stunet_perfusion.training.settings import TrainingSettings


def settings_text(settings: TrainingSettings) -> str:
    """All settings as TOML, a table each; `read_settings` of it gives the same."""
    lines = []
    for table, values in settings.document().items():
        lines += [f"[{table}]", *(f"{name} = {_written(value)}" for name, value in values.items()), ""]
    return "\n".join(lines)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    # A text, a number or a truth value is written in TOML as in JSON.
    return json.dumps(value)
