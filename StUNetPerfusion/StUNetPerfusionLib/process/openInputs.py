"""Inputs that the worker has open: copied to the session folder once, and looked at once."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import OutputError
from StUNetPerfusionLib.process.runs import Request, Steps
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
from StUNetPerfusionLib.scene.inputSeries import (
    InputFacts,
    InputOptions,
    OpenedInput,
    inputFacts,
)
from StUNetPerfusionLib.scene.masks import maskOf
from StUNetPerfusionLib.scene.nodeFrames import framesOf
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.translation import tr as _

#: So many inputs stay open. A clinical series takes gigabytes of the disk.
_MOST_OPEN = 2

#: Bytes that are copied before others have a turn.
_BYTES_A_TURN = 32 << 20


@dataclass(frozen=True, eq=False)
class WantedInput:
    """An input as it was when a computation was asked for.

    :param node: the series
    :param facts: of its header
    :param mask: (Z, Y, X) bool, or None to find the brain
    :param dropFrames: a number, or "auto"
    :param voxels: another one after any change of the node
    """

    node: NodeHandle
    facts: InputFacts
    mask: np.ndarray | None
    dropFrames: Any
    voxels: tuple

    @cached_property
    def key(self) -> tuple:
        """Equal for inputs that are opened alike."""
        digest = None if self.mask is None else hashlib.sha256(np.packbits(self.mask).tobytes()).hexdigest()
        return self.voxels, digest, self.dropFrames, self.facts.echoTime, self.facts.times.tobytes()


@dataclass(frozen=True, eq=False)
class _Entry:
    wanted: WantedInput
    opened: OpenedInput


def wantedInput(inputNode, options: InputOptions) -> WantedInput:
    """What is to be computed from, as it is now.

    :param inputNode: vtkMRMLSequenceNode or vtkMRMLMultiVolumeNode
    :raises InputError: as `inputFacts` and `maskOf`
    """
    facts = inputFacts(inputNode, options.echoTime, options.frameInterval)
    mask = maskOf(options.mask, facts.grid, _("brain mask"))
    handle = NodeHandle(inputNode)
    return WantedInput(handle, facts, mask, options.dropFrames, (handle, framesOf(inputNode).fingerprint()))


class OpenInputs:
    """The inputs that are open, the last used one last.

    :param worker: that has them open
    :param alone: whether nothing else is under way, so that inputs that are not needed can be let go
    """

    def __init__(self, worker: WorkerProcess, alone: Callable[[], bool]) -> None:
        self._worker = worker
        self._alone = alone
        self._entries: list[_Entry] = []
        self._signals: dict[tuple, Path] = {}
        self._opening: set[tuple] = set()
        self._numbers = itertools.count(1)

    def find(self, wanted: WantedInput) -> OpenedInput | None:
        """The input, where it has been opened and did not change."""
        entry = self._entry(wanted)
        return None if entry is None else entry.opened

    def forget(self) -> None:
        """The worker and its folder have gone."""
        self._entries.clear()
        self._signals.clear()
        self._opening.clear()

    def open(self, wanted: WantedInput, start: float, stop: float) -> Steps:
        """Open an input in the worker; costs nothing where it is open.

        :param start: share of the whole run that is done before
        :param stop: share of the whole run that is done after
        :returns: OpenedInput
        :raises InputError: as `check_series` and `prepare`, or the input was removed from the scene meanwhile
        :raises OutputError: the session folder cannot take a copy
        """
        while wanted.voxels in self._opening:
            yield None
        self._opening.add(wanted.voxels)
        try:
            entry = self._entry(wanted)
            if entry is None or entry.opened.generation != self._worker.generation or not self._worker.alive:
                if self._alone():
                    yield from self._letGo(wanted)
                if wanted.voxels not in self._signals:
                    signal = self._worker.folder / f"input-{next(self._numbers)}.npy"
                    yield from _copied(wanted, signal)
                    self._signals[wanted.voxels] = signal
                signal = self._signals[wanted.voxels]
                answer = yield Request("open", self._arguments(wanted, signal), start, stop)
                entry = _Entry(wanted, self._opened(wanted, signal, answer))
        finally:
            self._opening.discard(wanted.voxels)
        self._entries = [other for other in self._entries if other.wanted.key != wanted.key] + [entry]
        return entry.opened

    def _entry(self, wanted: WantedInput) -> _Entry | None:
        return next((entry for entry in self._entries if entry.wanted.key == wanted.key), None)

    def _arguments(self, wanted: WantedInput, signal: Path) -> dict[str, Any]:
        mask = None
        if wanted.mask is not None:
            mask = str(self._worker.folder / f"mask-{next(self._numbers)}.npy")
            np.save(mask, wanted.mask)
        facts = wanted.facts
        return {
            "series": f"input-{next(self._numbers)}",
            "signal": str(signal),
            "times": facts.times.tolist(),
            "ijk_to_ras": np.asarray(facts.grid.ijk_to_ras, dtype=float).tolist(),
            "echo_time": facts.echoTime,
            "name": facts.name,
            "mask": mask,
            "drop_frames": wanted.dropFrames,
        }

    def _opened(self, wanted: WantedInput, signal: Path, answer: dict[str, Any]) -> OpenedInput:
        facts = wanted.facts
        mapped = np.load(signal, mmap_mode="r")
        return OpenedInput(
            handle=answer["series"],
            generation=self._worker.generation,
            facts=facts,
            series=DscSeries(mapped, facts.times, facts.grid, facts.echoTime, facts.name, facts.notes),
            brain=self._worker.take(answer["brain"]),
            droppedFrames=answer["dropped_frames"],
            arrival=answer["arrival_frame"],
            peak=answer["peak_frame"],
            notes=tuple(dict.fromkeys((*facts.notes, *answer["notes"]))),
            quality=answer.get("quality"),
        )

    def _letGo(self, wanted: WantedInput) -> Iterator[Request]:
        """Make room for another input: close those that were not used for longest, and remove their copies."""
        others = [entry for entry in self._entries if entry.wanted.key != wanted.key]
        for entry in others[: max(0, len(others) - _MOST_OPEN + 1)]:
            self._entries.remove(entry)
            if entry.opened.generation == self._worker.generation and self._worker.alive:
                yield Request("close", {"series": entry.opened.handle}, 0.0, 0.0)
        needed = {wanted.voxels, *(entry.wanted.voxels for entry in self._entries)}
        for voxels in [voxels for voxels in self._signals if voxels not in needed]:
            # Where somebody still has it mapped, Windows keeps it until the session ends.
            with suppress(OSError):
                self._signals.pop(voxels).unlink()


def _copied(wanted: WantedInput, signal: Path) -> Iterator[None]:
    """Write the voxels to a .npy file, a turn at a time.

    They are written and not mapped: on a full disk a write fails with an error, a mapping ends the application.
    """
    grid = wanted.facts.grid
    shape = (wanted.facts.frames, *grid.shape)
    sizeOfSlice = int(np.prod(grid.shape[1:])) * 4
    done = 0
    try:
        with open(signal, "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            for piece in framesOf(wanted.node.require()).pieces():
                file.seek(start + (piece.frame * grid.shape[0] + piece.firstSlice) * sizeOfSlice)
                file.write(np.ascontiguousarray(piece.voxels, dtype="<f4").data)
                done += len(piece.voxels) * sizeOfSlice
                if done >= _BYTES_A_TURN:
                    done = 0
                    yield None
    except OSError as error:
        signal.unlink(missing_ok=True)
        raise OutputError(
            signal.parent,
            _("cannot take a copy of the series ({reason})").format(reason=error.strerror or error),
            _("free some space on that disk, or set another temporary folder in the application's settings"),
        ) from error
    except BaseException:
        signal.unlink(missing_ok=True)
        raise
