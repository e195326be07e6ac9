"""The folder through which a session's arrays pass. It can hold gigabytes, so that none may be left behind for good."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_PREFIX = "StUNetPerfusion-"

#: What Windows answers for a process that is somebody else's.
_ACCESS_DENIED = 5

#: The right to ask whether a process exists, on Windows.
_QUERY_LIMITED_INFORMATION = 0x1000


def makeSessionFolder(parent: str | Path | None = None) -> Path:
    """Make a folder whose name tells which process it belongs to, and remove those of processes that have gone.

    A session removes its folder at its end; one that crashed or was killed could not.

    :param parent: where to make it; the system's folder for temporary files by default
    """
    parent = Path(parent or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob(f"{_PREFIX}*"):
        owner = re.match(rf"{_PREFIX}(\d+)-", folder.name)
        if owner is not None and not processExists(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def processExists(pid: int) -> bool:
    """Whether there is a process of this number; when in doubt, there is."""
    if os.name == "nt":
        # os.kill would end it.
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
        if not handle:
            return ctypes.get_last_error() == _ACCESS_DENIED
        kernel.CloseHandle(handle)
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
