"""Temporary folders that do not stay behind, whatever ends the process.

A folder with a patient's data is removed when its block ends. Where the process is killed, nobody can; the next run of
this user on this machine then removes it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stunet_perfusion.support.held import hold, sweep

_PREFIX = "stunet-perfusion-run-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that only this user can look into, and that is gone after the block."""
    sweep(Path(tempfile.gettempdir()), _PREFIX)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with hold(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
