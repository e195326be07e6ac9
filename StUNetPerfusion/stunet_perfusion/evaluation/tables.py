"""Every number of an evaluation as comma-separated text."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stunet_perfusion.support.plain_text import defused
from stunet_perfusion.support.staged import staged_file


def write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with all columns that any of them has; what a row lacks is empty.

    :raises OutputError: the file cannot be written
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with staged_file(path) as staged, open(staged, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: f"{v:.8g}" if isinstance(v, float) else defused(v) for name, v in row.items()})
