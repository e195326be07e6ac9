"""One request on its way: what it may tell the client, whether it is still wanted, and where its results go."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.support.errors import OutputError
from stunet_perfusion.support.progress import Cancelled
from stunet_perfusion.support.staged import staged_output
from stunet_perfusion.worker.channel import Replies
from stunet_perfusion.worker.protocol import Request

#: Seconds between two progress replies about the same stage of the work, at least: people read no faster.
_LEAST_SECONDS = 0.1


class Job:
    """A request that waits or runs.

    :param number: its id
    :param request: what is asked for
    :param replies: where answers go
    :param session_folder: the folder of the session
    """

    def __init__(self, number: int, request: Request, replies: Replies, session_folder: Path) -> None:
        self.number = number
        self.request = request
        self.cancelled = threading.Event()
        self._replies = replies
        self._folder = session_folder / str(number)
        self._last_progress = -np.inf
        self._stage = ""

    def reply(self, event: str, **content: Any) -> None:
        """Answer the request.

        :param event: as in the protocol
        """
        self._replies.send({"id": self.number, "event": event, **content})

    def check_cancelled(self) -> None:
        """The `CheckCancelled` of this job."""
        if self.cancelled.is_set():
            raise Cancelled("The client does not want the result any more.")

    def progress(self, fraction: float, message: str) -> None:
        """The `Progress` of this job. It checks for cancelling as well, since most computations tell how far they are
        more often than they ask.
        """
        self.check_cancelled()
        now, stage = time.monotonic(), message.partition(" ")[0]
        if stage != self._stage or now - self._last_progress >= _LEAST_SECONDS:
            self._stage, self._last_progress = stage, now
            self.reply("progress", fraction=round(float(fraction), 4), message=message)

    def save(self, **arrays: np.ndarray) -> dict[str, str]:
        """Write arrays as `<name>.npy` into the job's folder, where they appear when all are complete.

        :returns: for each name the file as the protocol names it
        :raises OutputError: they cannot be written, when the disk is full for example
        """
        with staged_output(self._folder, durable=False) as stage:
            for name, array in arrays.items():
                try:
                    np.save(stage / f"{name}.npy", array)
                except OSError as error:
                    if error.errno is not None:
                        raise
                    # All that numpy tells is how many values it could not write.
                    raise OutputError(self._folder, "cannot be written: the disk is full", "free some space") from error
        return {name: f"{self.number}/{name}.npy" for name in arrays}

    def stage(self) -> AbstractContextManager[Path]:
        """A folder for files of other kinds, which becomes the job's where the block ends well."""
        return staged_output(self._folder, durable=False)

    def remove_output(self) -> None:
        """Delete what was written for this request, by this process or by one that was killed."""
        shutil.rmtree(self._folder, ignore_errors=True)
