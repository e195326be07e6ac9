"""Requests that wait for their turn, and how one is called off."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Preview


class JobQueue:
    """Filled by the thread that reads requests, emptied by the one that computes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None

    def put(self, job: Job) -> None:
        """Add a job at the end. A preview cancels all others that run or wait."""
        with self._changed:
            if isinstance(job.request, Preview):
                self._cancel_where(lambda other: isinstance(other.request, Preview))
            self._waiting.append(job)
            self._changed.notify()

    def take(self) -> Job:
        """The next job, which counts as running from now until the next is taken; waits for one."""
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._waiting)
            self._running = self._waiting.popleft()
            return self._running

    def cancel(self, number: int) -> None:
        """Call a job off. One that waits is answered at once, one that runs when it next looks."""
        with self._changed:
            self._cancel_where(lambda job: job.number == number)

    def _cancel_where(self, chosen: Callable[[Job], bool]) -> None:
        for job in [job for job in self._waiting if chosen(job)]:
            self._waiting.remove(job)
            job.reply("cancelled")
        if self._running is not None and chosen(self._running):
            self._running.cancelled.set()
