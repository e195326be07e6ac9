"""Errors that are meant for people: what is wrong, with which file, and the way out."""

from __future__ import annotations

from pathlib import Path


class StUNetPerfusionError(Exception):
    """Anything that this package refuses to do. Its text is one sentence that a user can act on."""


class InputError(StUNetPerfusionError, ValueError):
    """An input that cannot be used.

    :param subject: the file, folder or argument that is wrong
    :param fact: what is wrong with it
    :param way_out: what the user can do about it
    """

    def __init__(self, subject: str | Path, fact: str, way_out: str) -> None:
        super().__init__(f"{subject}: {fact}; {way_out}")
        self.subject = str(subject)
        self.fact = fact
        self.way_out = way_out


class OutputError(StUNetPerfusionError, OSError):
    """An output that cannot be written.

    :param subject: the file or folder that was to be written
    :param fact: why it could not be
    :param way_out: what the user can do about it
    """

    def __init__(self, subject: str | Path, fact: str, way_out: str) -> None:
        super().__init__(f"{subject}: {fact}; {way_out}")
        self.subject = str(subject)
        self.fact = fact
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}; {self.way_out}"
