"""Archives and compressed files: not opened, but named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stunet_perfusion.support.errors import InputError

#: Endings of archives, and of single compressed files.
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".tbz2", ".gz", ".bz2", ".xz", ".zst", ".z")


def refuse_packed(subject: Path, files: Sequence[Path]) -> None:
    """Refuse files that were compressed or packed together, where nothing else is there.

    :param subject: what the message is about
    """
    packed = [file for file in files if file.suffix.lower() in _ARCHIVES]
    if packed:
        program = "an unpacking program" if packed[0].suffix.lower() in _ARCHIVES[:6] else "gunzip or a similar program"
        what = (
            f"is {packed[0].suffix.lower()[1:]}-compressed"
            if subject == packed[0]
            else (
                f"holds compressed files ({packed[0].name}{f' and {len(packed) - 1} more' if len(packed) > 1 else ''})"
            )
        )
        raise InputError(subject, what, f"unpack with {program} first and give the folder with the files")
