"""Folders that belong to a running process, and how the remains of one that was killed are told from them.

A held folder has a lock file that its process keeps locked. The system unlocks it when the process ends, however that
comes about. What is not locked any more was left behind, and may be swept.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_LOCK = ".held"

#: Seconds after which a folder without a lock, or one of another machine, is no longer that of a running process.
_OLD = 24 * 3600.0


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Say that a folder is in use, for as long as the block, or the process, goes on."""
    try:
        file = open(folder / _LOCK, "w", encoding="utf-8")  # noqa: SIM115 (closed below)
    except OSError:
        # Where no file can be made, writing what the folder is for says so better.
        yield
        return
    with file:
        file.write(f"{socket.gethostname()} {os.getpid()}\n")
        file.flush()
        _lock(file)
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / _LOCK).unlink(missing_ok=True)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders in `parent` that begin with `prefix` and that nobody holds any more."""
    with suppress(OSError):
        for folder in list(parent.glob(f"{prefix}*")):
            if folder.is_dir() and not folder.is_symlink() and not is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def is_held(folder: Path) -> bool:
    """Whether a process may still be using a folder. In doubt it is."""
    lock = folder / _LOCK
    try:
        is_old = time.time() - folder.stat().st_mtime > _OLD
        if not lock.exists():
            # Between making a folder and locking it there is a moment; folders of older versions have no lock.
            return not is_old
        with open(lock, "r+", encoding="utf-8") as file:
            owner = file.read().split()
            if owner[:1] != [socket.gethostname()] and not is_old:
                return True
            return not _lock(file)
    except (OSError, UnicodeDecodeError):
        return True


def _lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; false where another process has it, or where there is no locking."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_on_windows(file: IO[str]) -> bool:
    import msvcrt

    try:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
