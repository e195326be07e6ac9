"""Folders that belong to a running process, and how the remains of one that was killed are told from them.

A held folder has a lock file that its process keeps locked. The system unlocks it when the process ends, however that
comes about. What is not locked any more was left behind, and may be swept.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_LOCK = ".held"

#: Seconds after which a folder of another machine is no longer that of a running process.
_OLD = 24 * 3600.0

#: The same for one without a lock: one that is being made, or of a version without locks.
_UNLOCKED = 3600.0


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Say that a folder is in use, for as long as the block, or the process, goes on. Then it is emptied."""
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
            # Emptied while it is held, so that nothing is left that nobody knows to be left.
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.name != _LOCK:
                    with suppress(OSError):
                        entry.unlink()


def sweep(parent: Path, prefix: str, rescue: Callable[[Path], None] | None = None) -> None:
    """Remove the folders in `parent` that begin with `prefix` and that nobody holds any more.

    :param rescue: is given each of them before
    """
    with suppress(OSError):
        for folder in list(parent.glob(f"{prefix}*")):
            if folder.is_dir() and not folder.is_symlink() and not is_held(folder):
                if rescue is not None:
                    rescue(folder)
                shutil.rmtree(folder, ignore_errors=True)


def is_held(folder: Path) -> bool:
    """Whether a process may still be using a folder. In doubt it is."""
    lock = folder / _LOCK
    try:
        age = time.time() - folder.stat().st_mtime
        if not lock.exists():
            return age < _UNLOCKED
        with open(lock, "r+", encoding="utf-8") as file:
            owner = file.read().split()
            if owner[:1] != [socket.gethostname()] and age < _OLD:
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
