"""Text from outside (names of files, DICOM values, table cells) as people, terminals and spreadsheets may have it."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

#: A sentence that is longer is no sentence.
_LONGEST = 1000

#: Control characters, which move the cursor or color what follows, marks that turn the direction of writing, and what
#: is no character at all.
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Co", "Cn")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")

#: What a spreadsheet takes for the begin of a formula.
_FORMULA = ("=", "+", "-", "@")


def shown(text: str) -> str:
    """A text without what a terminal would take for a command, and without line feeds."""
    return "".join(
        " " if each.isspace() else "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in _NOT_SHOWN else each
        for each in _ESCAPE.sub("", text)
    )


def one_line(text: str) -> str:
    """The same with single spaces, and no longer than a sentence."""
    line = " ".join(shown(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def one_error(text: str) -> str:
    """The line for an error, in which no other error's line and no traceback is."""
    text = text.split("Traceback (most recent call last)")[0]
    return re.sub(r"\b(?:error|Error):\s*", "", one_line(text))


def defused(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe in front."""
    if not isinstance(value, str) or not value.lstrip().startswith(_FORMULA) or _is_number(value):
        return value
    return "'" + value


def as_written(cell: str) -> str:
    """What a cell was before `defused`."""
    return cell[1:] if cell.startswith("'") and defused(cell[1:]) != cell[1:] else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
