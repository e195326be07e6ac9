"""What readers and their libraries meet in files that nobody foresaw becomes one sentence with the file's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stunet_perfusion.support.errors import InputError, StUNetPerfusionError


@contextmanager
def readers_door(path: Path) -> Iterator[None]:
    """Whatever is raised within becomes an `InputError`; what tells of memory or of being stopped passes.

    Readers say what is wrong with a file where they can. This is for bytes that nobody thought of: libraries raise what
    they like of them.

    :param path: what is read
    :raises InputError: anything that is no error for people already
    """
    try:
        yield
    except (StUNetPerfusionError, MemoryError):
        raise
    except OSError as error:
        fact = f"cannot be read ({error.strerror or type(error).__name__})"
        raise InputError(path, fact, "check the file and the right to read it") from error
    except Exception as error:
        fact = f"is damaged, or is not what its name says ({type(error).__name__} while it was read)"
        raise InputError(path, fact, "copy or export it again") from error
