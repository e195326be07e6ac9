"""How a long computation tells how far it is, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stunet_perfusion.support.errors import StUNetPerfusionError


class Cancelled(StUNetPerfusionError):
    """The user asked for the computation to stop. Nothing was written."""


class Progress(Protocol):
    """Called now and then by a long computation.

    :param fraction: share of the work that is done, 0 to 1
    :param message: what is being done, for people
    """

    def __call__(self, fraction: float, message: str) -> None: ...


#: Called between two pieces of work; raises `Cancelled` when the user asked to stop.
CheckCancelled = Callable[[], None]


def no_progress(fraction: float, message: str) -> None:
    """A `Progress` that tells nobody."""


def never_cancelled() -> None:
    """A `CheckCancelled` that never stops the work."""


def part_of(progress: Progress, start: float, stop: float) -> Progress:
    """A `Progress` for one stage of a job: its 0 to 1 are reported as `start` to `stop` of the whole."""

    def report(fraction: float, message: str) -> None:
        progress(start + (stop - start) * fraction, message)

    return report
