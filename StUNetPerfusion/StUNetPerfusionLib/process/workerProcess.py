"""The worker process: started when first needed, fed through its pipe, listened to through a file, ended with us.

No thread and no blocking call: the caller polls from a timer. The protocol is described in
`stunet_perfusion.worker.protocol`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from stunet_perfusion.support.errors import StUNetPerfusionError
from StUNetPerfusionLib.process.sessionFolder import makeSessionFolder
from StUNetPerfusionLib.translation import tr as _

#: A worker that was asked to cancel and does not answer for so many seconds is ended.
CANCEL_GRACE = 3.0

#: A worker whose pipe was closed ends at once; one that does not is killed after so many seconds.
STOP_GRACE = 2.0

#: Replies that end a request.
FINAL_EVENTS = ("done", "failed", "cancelled")


class WorkerError(StUNetPerfusionError):
    """The worker process could not be started, or ended on its own. Its text is one sentence for people."""


def workerCommand() -> list[str]:
    """The Python interpreter that can import what the worker needs, and the worker's module.

    In the application that is PythonSlicer, which sets up libraries and paths; elsewhere it is this interpreter.
    """
    python = shutil.which("PythonSlicer") if hasattr(slicer, "app") else None
    return [python or sys.executable or "PythonSlicer", "-m", "stunet_perfusion.worker"]


class WorkerProcess:
    """One worker at a time, and the folder through which arrays pass.

    :param command: what to start; `workerCommand()` by default
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = list(command or workerCommand())
        # A list of none or one, so that what ends it at our own end holds it without holding us.
        self._processes: list[subprocess.Popen] = []
        self._end: weakref.finalize | None = None
        self._folder: Path | None = None
        self._replies: Path | None = None
        self._position = 0
        self._lastId = 0
        # Unanswered requests, with the time at which patience ends for those that are to be cancelled.
        self._open: dict[int, float | None] = {}
        # Answers for requests that died with a worker before the last one.
        self._lost: list[dict[str, Any]] = []
        #: Counts started workers, so that what one of them had loaded is not expected of the next.
        self.generation = 0

    @property
    def alive(self) -> bool:
        """Whether a worker runs now."""
        return bool(self._processes) and self._processes[0].poll() is None

    @property
    def pid(self) -> int | None:
        """The running worker's process number."""
        return self._processes[0].pid if self.alive else None

    @property
    def folder(self) -> Path:
        """The session folder; made when first asked for, removed by `stop` and at the end of the application."""
        if self._folder is None:
            self._folder = makeSessionFolder(_temporaryPath())
            self._end = weakref.finalize(self, _endWorkerAndRemove, self._processes, self._folder)
        return self._folder

    def start(self) -> None:
        """Start a worker where none runs. What the one before had left unanswered is lost.

        :raises WorkerError: it cannot be started
        """
        if self.alive:
            return
        self._lost += self._answerAll()
        _endWorkers(self._processes)
        self.generation += 1
        self._replies = self.folder / f"replies-{self.generation}.jsonl"
        self._replies.touch()
        self._position = 0
        command = [*self._command, "--session", str(self.folder), "--replies", str(self._replies)]
        options: dict[str, Any] = {}
        if os.name == "nt":
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        with open(self.logFile, "ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=_environment(),
                    cwd=str(self.folder),
                    **options,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise WorkerError(
                    _("The worker process could not be started ({reason}); check the installation of Slicer.").format(
                        reason=reason
                    )
                ) from error
        self._processes.append(process)

    @property
    def logFile(self) -> Path:
        """Where everything that workers of this session print goes."""
        return self.folder / "worker.log"

    def send(self, do: str, arguments: dict[str, Any], generation: int | None = None) -> int:
        """Send a request, starting a worker where none runs.

        :param do: the job
        :param arguments: of the job
        :param generation: of the worker that is to be asked, or None for any
        :returns: the number by which its replies are known
        :raises WorkerError: no worker can be started, it ended this moment, or it is another one than is wanted
        """
        if generation is not None and (generation != self.generation or not self.alive):
            raise WorkerError(_deathSentence())
        self.start()
        self._lastId += 1
        self._open[self._lastId] = None
        try:
            self._write({"id": self._lastId, "do": do, **arguments})
        except OSError as error:
            del self._open[self._lastId]
            raise WorkerError(_deathSentence()) from error
        return self._lastId

    def cancel(self, identifier: int) -> None:
        """Ask for a request to be given up. It is answered with `cancelled` soon, by force where need be."""
        if identifier not in self._open or self._open[identifier] is not None:
            return
        self._open[identifier] = time.monotonic() + CANCEL_GRACE
        if self.alive:
            # Where it has just ended, the next poll says so.
            with suppress(OSError):
                self._write({"do": "cancel", "id": identifier})

    def poll(self) -> list[dict[str, Any]]:
        """Replies that came since the last call. Never blocks.

        A worker that has ended answers every open request: `cancelled` where that was asked for, otherwise `failed`
        with the sentence that it ended unexpectedly.
        """
        ended = not self.alive
        replies, self._lost = [*self._lost, *self._read()], []
        for reply in replies:
            if reply.get("event") in FINAL_EVENTS:
                self._open.pop(reply.get("id"), None)
        overdue = [n for n, deadline in self._open.items() if deadline is not None and time.monotonic() > deadline]
        if overdue and not ended:
            self.kill()
            replies += self._read()
            ended = True
        if ended:
            replies += self._answerAll()
        return replies

    def take(self, name: str) -> np.ndarray:
        """Read an array of an answer, and remove its file, and with the last one their folder.

        :param name: as the answer names it
        """
        array = self.takePart(name)
        with suppress(OSError):
            (self.folder / name).parent.rmdir()
        return array

    def removeRest(self, name: str) -> None:
        """Remove the files of an answer that nobody has taken.

        :param name: of any file of the answer
        """
        shutil.rmtree((self.folder / name).parent, ignore_errors=True)

    def takePart(self, name: str) -> np.ndarray:
        """Read an array of an answer of which more is to come, and remove its file.

        :raises FileNotFoundError: the worker has given it up meanwhile
        """
        path = self.folder / name
        array = np.load(path)
        path.unlink()
        return array

    def kill(self) -> None:
        """End the worker at once. Open requests are answered by the next `poll`."""
        for process in self._processes:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End the worker and remove the session folder. Open requests are answered by the next `poll`, and a later
        request starts anew.
        """
        self._lost += self._answerAll()
        if self._end is not None:
            self._end()
        self._folder = self._replies = self._end = None

    def _write(self, message: dict[str, Any]) -> None:
        pipe = self._processes[0].stdin
        pipe.write(json.dumps(message, allow_nan=False).encode() + b"\n")
        pipe.flush()

    def _read(self) -> list[dict[str, Any]]:
        if self._replies is None or not self._replies.is_file():
            return []
        with open(self._replies, "rb") as file:
            file.seek(self._position)
            new = file.read()
        # A line that is still being written waits for its end.
        end = new.rfind(b"\n") + 1
        self._position += end
        return [json.loads(line) for line in new[:end].splitlines() if line.strip()]

    def _answerAll(self) -> list[dict[str, Any]]:
        answers = [
            {"id": identifier, "event": "failed", "message": _deathSentence()}
            if deadline is None
            else {"id": identifier, "event": "cancelled"}
            for identifier, deadline in self._open.items()
        ]
        self._open.clear()
        return answers


def _deathSentence() -> str:
    return _("The worker process ended unexpectedly, so nothing was added to the scene; run again to start a new one.")


def _temporaryPath() -> str | None:
    """Slicer's folder for temporary files, or None for the system's."""
    return slicer.app.temporaryPath if hasattr(slicer, "app") else None


def _environment() -> dict[str, str]:
    """Ours, with the folder of this module on the path, so that `stunet_perfusion` is found."""
    module = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([module, path] if path else [module]), "PYTHONUTF8": "1"}


def _endWorkers(processes: list[subprocess.Popen]) -> None:
    """Close the pipes, which ends a worker even in the middle of a computation, and forget the processes."""
    while processes:
        process = processes.pop()
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(STOP_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _endWorkerAndRemove(processes: list[subprocess.Popen], folder: Path) -> None:
    _endWorkers(processes)
    shutil.rmtree(folder, ignore_errors=True)
