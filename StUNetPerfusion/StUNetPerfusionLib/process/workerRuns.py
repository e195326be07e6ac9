"""All runs that are under way in one worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import sleep
from typing import Any

import slicer

from stunet_perfusion.support.errors import StUNetPerfusionError
from StUNetPerfusionLib.process.runs import Run, Steps
from StUNetPerfusionLib.process.workerProcess import WorkerProcess

#: Seconds between two looks at the worker while a script waits.
_PATIENCE = 0.005

#: Lines of the log that are kept.
_LOG_LINES = 2000


class WorkerRuns:
    """Begins runs and brings them what the worker says.

    :param worker: that is asked
    """

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._runs: list[Run] = []
        self._replies: deque[dict[str, Any]] = deque()
        #: what the worker told besides its results, the last lines
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        #: called with each new line of the log
        self.onLog: Callable[[str], None] | None = None

    @property
    def workerPid(self) -> int | None:
        """Of the worker's process; None where none runs."""
        return self._worker.pid

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._runs)

    def poll(self) -> bool:
        """Take what the worker said and go on with what is under way. Returns soon; call it from a timer.

        :returns: whether anything is still under way
        """
        for run in list(self._runs):
            run.advance()
        # A callback may wait for another run, and so come here again: it must find what is not dealt with yet.
        self._replies.extend(self._worker.poll())
        while self._replies:
            reply = self._replies.popleft()
            if reply.get("event") == "log":
                self._note(reply["text"])
            for run in list(self._runs):
                if run.take(reply):
                    break
        self._runs = [run for run in self._runs if run.running]
        return self.busy

    def stop(self) -> None:
        """End the worker and remove its files. What is under way is cancelled; a later request starts anew."""
        for run in self._runs:
            run.cancel()
        self._worker.stop()
        while self.poll():
            pass

    def _begin(self, prepare: Callable[[], Steps], waitForCompletion: bool) -> Any:
        """Begin a run.

        :param prepare: looks at nodes and arguments now, and returns what is to be done
        :returns: its result where it is waited for, otherwise the Run
        """
        try:
            steps = prepare()
        except StUNetPerfusionError as error:
            steps = _failing(error)
        run = Run(self._worker, steps, self._waitFor)
        self._runs.append(run)
        return run.wait() if waitForCompletion else run

    def _waitFor(self, run: Run) -> None:
        while run.running:
            self.poll()
            if hasattr(slicer, "app"):
                slicer.app.processEvents()
            sleep(_PATIENCE)

    def _note(self, text: str) -> None:
        for line in text.splitlines():
            self.log.append(line)
            if self.onLog is not None:
                self.onLog(line)


def _failing(error: StUNetPerfusionError) -> Steps:
    """The steps of what was refused beforehand, so that all errors are told in one way."""
    raise error
    yield
