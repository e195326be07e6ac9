"""How long predictions took on this computer, so that the next one can say beforehand."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import slicer

_KEY = "StUNetPerfusion/runTimes"

#: So many devices and checkpoints are remembered, the last ones used.
_REMEMBERED = 20

#: A new run counts as much as all before it, so that a faster computer or version is soon believed.
_WEIGHT_OF_NEWEST = 0.5


class Store(Protocol):
    """Where a text is kept from one session to the next."""

    def load(self) -> str: ...

    def save(self, text: str) -> None: ...


class SettingsStore:
    """The application's settings."""

    def load(self) -> str:
        import qt

        return qt.QSettings().value(_KEY) or ""

    def save(self, text: str) -> None:
        import qt

        qt.QSettings().setValue(_KEY, text)


class FileStore:
    """A JSON file, where there is no application.

    :param path: of the file
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def load(self) -> str:
        return self._path.read_text(encoding="utf-8") if self._path.is_file() else ""

    def save(self, text: str) -> None:
        # What cannot be remembered is only an estimate.
        with suppress(OSError):
            self._path.write_text(text, encoding="utf-8")


class NoStore:
    """Remembers nothing beyond the session."""

    def __init__(self) -> None:
        self._text = ""

    def load(self) -> str:
        return self._text

    def save(self, text: str) -> None:
        self._text = text


def defaultStore() -> Store:
    """The application's settings, or none where there is no application."""
    return SettingsStore() if hasattr(slicer, "app") else NoStore()


class RunTimes:
    """Seconds a slice, by device, checkpoint and stride.

    :param store: where they are kept
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store or defaultStore()

    def record(self, device: str, checkpoint: str, slices: int, stride: int, seconds: float) -> None:
        """Remember a run.

        :param device: as the worker names it
        :param checkpoint: SHA-256 or name of the checkpoint
        :param slices: slices with brain
        :param stride: rows from strip to strip
        :param seconds: that it took
        """
        if slices < 1 or not seconds > 0:
            return
        known, key = self._known(), _key(device, checkpoint, stride)
        newest = seconds / slices
        before = known.pop(key, newest)
        known[key] = _WEIGHT_OF_NEWEST * newest + (1 - _WEIGHT_OF_NEWEST) * before
        self._store.save(json.dumps(dict(list(known.items())[-_REMEMBERED:])))

    def estimate(self, device: str, checkpoint: str, slices: int, stride: int) -> float | None:
        """Seconds that a run will take, or None where none like it was seen."""
        each = self._known().get(_key(device, checkpoint, stride))
        return None if each is None else each * slices

    def _known(self) -> dict[str, float]:
        try:
            known = json.loads(self._store.load() or "{}")
        except ValueError:
            return {}
        if not isinstance(known, dict):
            return {}
        return {key: float(value) for key, value in known.items() if isinstance(value, (int, float)) and value > 0}


def _key(device: str, checkpoint: str, stride: int) -> str:
    return f"{device} {checkpoint} {stride}"
