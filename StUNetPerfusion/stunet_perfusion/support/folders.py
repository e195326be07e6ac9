"""The files of a folder, without what a run is writing, or has left when it was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stunet_perfusion.support.errors import InputError

#: What the hidden folders begin with into which results are written before they appear.
STAGE_PREFIX = ".stunet-perfusion-"

#: A patient's whole history has fewer files; a disk has more.
MOST_FILES = 300_000


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder from `folder` down, its folders and its files by name, as `os.walk`.

    Whoever takes the name of a folder out of its list is spared what is below it.

    :raises InputError: there are more than `MOST_FILES` files
    """
    count = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(STAGE_PREFIX))
        names = sorted(name for name in names if not name.startswith(STAGE_PREFIX))
        count += len(names)
        if count > MOST_FILES:
            raise InputError(folder, f"holds more than {MOST_FILES:,} files", "give the folder of one series")
        yield Path(root), folders, names


def files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and the folders below it.

    :raises InputError: as `walk`
    """
    return (root / name for root, _, names in walk(folder) for name in names)
