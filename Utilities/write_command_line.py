#!/usr/bin/env python3
"""Writes the tables of options in Documentation/command-line.md from what `stunet-perfusion VERB --help` knows.

Run it after changing an option or a verb: python Utilities/write_command_line.py. A test says when it was forgotten.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "Documentation" / "command-line.md"

#: Where the table of a verb begins; whatever stands between this and the next heading is the table.
MARK = "<!-- options of {} -->"


def commands(verb: str) -> dict[str, Any]:
    """The commands of a verb by name: itself, or those below it."""
    from typer.main import get_command

    from stunet_perfusion.cli import _app_for

    command = get_command(_app_for([verb])).commands[verb]  # type: ignore[attr-defined]
    below = getattr(command, "commands", None)
    return {f"{verb} {name}": each for name, each in below.items()} if below else {verb: command}


def table(verb: str) -> str:
    """The options of a verb as Markdown."""
    parts = []
    for name, command in commands(verb).items():
        rows = [_row(parameter) for parameter in command.params if not parameter.hidden]
        heading = f"`stunet-perfusion {name}`: {_line(command.help)}\n\n" if name != verb else ""
        parts.append(heading + "\n".join(["| option | does | default |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(parameter: Any) -> str:
    value = _value(parameter)
    if parameter.param_type_name == "argument":
        names = value
    else:
        names = ", ".join([*parameter.opts, *parameter.secondary_opts]) + (f" {value}" if value else "")
    return f"| `{_cell(names)}` | {_cell(_line(parameter.help or ''))} | {_cell(_default(parameter))} |"


def _value(parameter: Any) -> str:
    """What stands behind an option, or for an argument; nothing for a switch."""
    kind = parameter.type_descriptor.annotation
    if kind is bool:
        return ""
    if parameter.metavar:
        return str(parameter.metavar)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return "N" if kind is int else "VALUE"


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if isinstance(default, bool):
        return str(parameter.opts[0]) if default else ""
    if isinstance(default, Enum):
        default = default.value
    return (
        ""
        if default in (None, "", (), []) or callable(default)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def with_tables(text: str, verbs: list[str]) -> str:
    """The document with the tables of all verbs as they are now."""
    for verb in verbs:
        mark = MARK.format(verb)
        if mark not in text:
            raise SystemExit(f"error: {DOCUMENT}: has no line {mark}; write a section for the verb")
        before, after = text.split(mark)
        rest = re.split(r"^(?=#)", after, maxsplit=1, flags=re.M)
        text = before + mark + "\n\n" + table(verb) + "\n" + ("\n" + rest[1] if len(rest) > 1 else "")
    return text


def main() -> None:
    sys.path.insert(0, str(ROOT / "StUNetPerfusion"))
    from stunet_perfusion.cli import VERBS

    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8"), list(VERBS)), encoding="utf-8")


if __name__ == "__main__":
    main()
