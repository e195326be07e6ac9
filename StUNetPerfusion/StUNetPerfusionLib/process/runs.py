"""Something that the worker does for us: how far it is, how it ended, and how to stop it.

What a run does is a generator. It yields `Request`s, of which it gets the results back, and `None` or a `Turn` where it
only lets others have a turn between two pieces of its own work. What it returns is the run's result. Nothing blocks,
and nothing touches the scene before the last request was answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from stunet_perfusion.support.errors import InputError, Setting, StUNetPerfusionError
from stunet_perfusion.support.progress import Cancelled
from StUNetPerfusionLib.process.workerProcess import WorkerError, WorkerProcess
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Before so much of a run is done, its speed says nothing about how long the rest takes.
_LEAST_FRACTION = 0.05


@dataclass(frozen=True)
class Request:
    """One request to the worker.

    :param do: the job, see `stunet_perfusion.worker.protocol`
    :param arguments: of the job
    :param start: share of the whole run that is done before it
    :param stop: share of the whole run that is done after it
    :param generation: of the worker that is asked, where another one would not know what is spoken of
    """

    do: str
    arguments: dict[str, Any] = field(default_factory=dict)
    start: float = 0.0
    stop: float = 1.0
    generation: int | None = None


@dataclass(frozen=True)
class Turn:
    """A turn for others while something goes on of which nobody knows how long it takes.

    :param message: what goes on, for people
    """

    message: str


#: What a run does.
Steps = Generator[Any, Any, Any]


class Run:
    """One thing under way.

    :param worker: the process that is asked
    :param steps: what to do
    :param wait: polls until a run has ended
    """

    def __init__(self, worker: WorkerProcess, steps: Steps, wait: Callable[[Run], None]) -> None:
        #: "running", "done", "failed" or "cancelled"
        self.state = "running"
        #: share that is done, 0 to 1
        self.fraction = 0.0
        #: what is being done, for people
        self.message = ""
        #: what the run was for, once it is done
        self.result: Any = None
        #: why it failed or that it was cancelled
        self.error: StUNetPerfusionError | None = None
        #: called with `fraction` and `message`
        self.onProgress: Callable[[float, str], None] | None = None
        #: called with this run once it is done, failed or cancelled
        self.onFinished: Callable[[Run], None] | None = None
        #: called with each part of the result that comes early
        self.onPart: Callable[[Any], None] | None = None
        #: makes such a part of what the worker says; None where it came too late
        self.readPart: Callable[[dict[str, Any]], Any] | None = None
        self._worker = worker
        self._steps = steps
        self._wait = wait
        self._request: Request | None = None
        self._requestId: int | None = None
        self._cancelling = False
        self._started = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.state == "running"

    @property
    def sentence(self) -> str:
        """How it ended, in one sentence with the panel's words; empty while it runs and when all went well."""
        return "" if self.error is None else inPanelWords(self.error)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    @property
    def remainingSeconds(self) -> float | None:
        """By the speed so far; None where that says nothing yet."""
        if not self.running or self.fraction < _LEAST_FRACTION or self._request is None:
            return None
        return self.seconds * (1 - self.fraction) / self.fraction

    def cancel(self) -> None:
        """Give it up. It ends soon as "cancelled", and leaves nothing behind."""
        if not self.running:
            return
        self._cancelling = True
        if self._requestId is not None:
            self._worker.cancel(self._requestId)

    def wait(self) -> Any:
        """Wait for its end.

        :returns: its result
        :raises StUNetPerfusionError: why it failed, or `Cancelled`
        """
        self._wait(self)
        if self.error is not None:
            raise self.error
        return self.result

    def advance(self) -> None:
        """Do one piece of our own work, if any is to be done."""
        if self.running and self._requestId is None:
            self._step(lambda: next(self._steps))

    def take(self, reply: dict[str, Any]) -> bool:
        """Take a reply of the worker.

        :returns: whether it was for this run
        """
        if not self.running or self._requestId is None or reply.get("id") != self._requestId:
            return False
        event = reply["event"]
        if event == "progress":
            self._report(reply["fraction"], reply["message"])
        elif event == "part":
            self._takePart(reply)
        elif event == "done":
            self._requestId = None
            self._report(1.0, self.message)
            self._step(lambda: self._steps.send(reply["result"]))
        elif event == "failed":
            self._requestId = None
            self._step(lambda: self._steps.throw(_errorOf(reply)))
        elif event == "cancelled":
            self._finish("cancelled", error=_cancelled())
        return True

    def say(self, fraction: float, message: str) -> None:
        """Report progress of our own work."""
        self.fraction, self.message = fraction, message
        if self.onProgress is not None:
            self.onProgress(fraction, message)

    def _takePart(self, reply: dict[str, Any]) -> None:
        if self.onPart is None or self.readPart is None or self._cancelling:
            return
        part = self.readPart(reply)
        if part is not None:
            self.onPart(part)

    def _report(self, fraction: float, message: str) -> None:
        request = self._request
        self.say(request.start + (request.stop - request.start) * fraction, message)

    def _step(self, resume: Callable[[], Any]) -> None:
        if self._cancelling:
            self._finish("cancelled", error=_cancelled())
            return
        try:
            wanted = resume()
            if isinstance(wanted, Turn):
                self._request = None
                if wanted.message != self.message:
                    self.say(self.fraction, wanted.message)
            elif wanted is not None:
                self._request = wanted
                self._requestId = self._worker.send(wanted.do, wanted.arguments, wanted.generation)
        except StopIteration as end:
            self._finish("done", result=end.value)
        except Cancelled as error:
            self._finish("cancelled", error=error)
        except StUNetPerfusionError as error:
            self._finish("failed", error=error)
        except Exception as error:
            # A fault of ours must not leave the run hanging.
            self._finish("failed", error=_unexpected(error))

    def _finish(self, state: str, result: Any = None, error: StUNetPerfusionError | None = None) -> None:
        self._requestId = None
        self._steps.close()
        self.state, self.result, self.error = state, result, error
        if state == "done":
            self.say(1.0, self.message)
        if self.onFinished is not None:
            self.onFinished(self)


def _errorOf(reply: dict[str, Any]) -> StUNetPerfusionError:
    if all(reply.get(part) for part in ("subject", "fact", "way_out")):
        subject = reply["subject"] if reply.get("subject_setting") is None else Setting(reply["subject_setting"])
        return InputError(subject, reply["fact"], reply["way_out"], *map(Setting, reply.get("settings", ())))
    return WorkerError(reply["message"])


def _cancelled() -> Cancelled:
    return Cancelled(_("Cancelled; nothing was added to the scene."))


def _unexpected(error: Exception) -> WorkerError:
    logging.error("StUNetPerfusion", exc_info=error)
    what = f"{type(error).__name__}: {error}"
    return WorkerError(
        _("Something unexpected went wrong ({what}); the application's log says more.").format(what=what)
    )
