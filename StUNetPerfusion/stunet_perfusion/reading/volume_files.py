"""Series that are kept as one volume a frame, in files whose names are counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stunet_perfusion.reading.recording import Recording, empty_signal
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress

_NUMBER = re.compile(r"(\d+)")
_PERSON = re.compile(r"(?:sub|ses)-[a-zA-Z0-9]+")


def natural_key(path: Path) -> tuple[tuple[int, str], ...]:
    """Sorts volume_2 before volume_10."""
    parts = _NUMBER.split(str(path).casefold())
    return tuple((int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts))


def counted_files(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Files of one folder whose names differ in numbers only, in the order of their numbers.

    Numbers of subjects and sessions are part of the name, so that volumes of two people are never one series.
    """
    groups: dict[tuple[object, ...], list[Path]] = {}
    for path in sorted(paths, key=natural_key):
        groups.setdefault((path.parent, *_words(path.name)), []).append(path)
    return [tuple(group) for group in groups.values()]


def open_volumes(name: str, files: Sequence[Path], volumes: Sequence[Recording]) -> Recording:
    """A series of volumes.

    :param name: what messages call it
    :param files: one a frame, in order
    :param volumes: their headers
    :raises InputError: a volume is missing, doubled, or on another grid
    """
    _refuse_gaps(name, files)
    grid = volumes[0].grid
    for file, volume in zip(files, volumes, strict=True):
        if not volume.grid.matches(grid):
            fact = f"holds frames with different geometry: {file.name} is on another grid than {files[0].name}"
            raise InputError(name, fact, "give the volumes of one series only")
    note = f"The frames are {len(files)} volumes, {files[0].name} to {files[-1].name}."
    notes = dict.fromkeys(note for volume in volumes for note in volume.notes)

    def load(progress: Progress) -> np.ndarray:
        signal = empty_signal(name, len(files), grid)
        for frame, volume in enumerate(volumes):
            signal[frame] = volume.load(no_progress)[0]
            progress((frame + 1) / len(files), f"reading frame {frame + 1} of {len(files)}")
        return signal

    return Recording(len(files), grid, None, None, (note, *notes), load)


def _words(name: str) -> tuple[str, ...]:
    """What a name says beside its counting numbers."""
    return (*_PERSON.findall(name), *_NUMBER.split(name)[::2])


def _refuse_gaps(name: str, files: Sequence[Path]) -> None:
    """Refuse numbers that repeat, and steps that are several of the usual step long."""
    numbers = _count(files)
    if numbers is None:
        return
    steps = np.diff(numbers)
    if (steps == 0).any():
        first = int(np.argmax(steps == 0))
        fact = f"holds a frame twice ({files[first].name} and {files[first + 1].name})"
        raise InputError(name, fact, "remove the duplicated files")
    usual = steps.min()
    if (steps % usual == 0).all() and (steps > usual).any() and np.median(steps) == usual:
        first = int(np.argmax(steps > usual))
        missing = int(steps[first] // usual) - 1
        what = "a volume is" if missing == 1 else f"{missing} volumes are"
        fact = f"{what} missing between {files[first].name} and {files[first + 1].name}"
        raise InputError(name, fact, "copy the complete series, or number the volumes without a gap")


def _count(files: Sequence[Path]) -> np.ndarray | None:
    """(T,) the first number in the names that differs from file to file; None where no number does."""
    rows = [[int(number) for number in _NUMBER.findall(file.name)] for file in files]
    if len({len(row) for row in rows}) > 1:
        return None
    columns = np.array(rows).T
    return next((column for column in columns if len(set(column)) > 1), None)
