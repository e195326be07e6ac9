"""The two ends of the line to the client: requests come in, replies go out, and nothing else gets in between."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO


def guard_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the standard input and output for the protocol alone.

    Afterwards whatever prints, Python or a library in C, prints to the standard error, and whoever reads the standard
    input, a child for example, finds it empty.

    :returns: the stream of requests and the stream of replies
    """
    if sys.stdout is not None:
        sys.stdout.flush()
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(2)
    except OSError:
        os.dup2(nothing, 2)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, replies


class Replies:
    """Writes replies, one JSON object a line, from any thread.

    :param stream: where to
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, reply: dict[str, Any]) -> None:
        """Write one reply, whole.

        :raises ValueError: it holds NaN or an infinite number, which is no JSON
        :raises TypeError: it holds what JSON has no word for
        """
        line = json.dumps(reply, allow_nan=False).encode() + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def read_in_background(requests: BinaryIO, take: Callable[[bytes], None]) -> threading.Thread:
    """Hand every line to `take` in a thread of its own, and end the process when there are no more.

    The client is gone then, or wants to be rid of the worker: nothing that is still computed would be read. A
    computation cannot be stopped from outside, a process can.
    """

    def read() -> None:
        status = 1
        try:
            for line in requests:
                if line.strip():
                    take(line)
            status = 0
        except BaseException:
            # Without this thread nobody could stop the process any more.
            traceback.print_exc()
        os._exit(status)

    thread = threading.Thread(target=read, name="requests", daemon=True)
    thread.start()
    return thread
