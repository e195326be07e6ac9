"""The other end of the worker's line, for tests: starts a worker, asks, and collects every reply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stunet_perfusion.support.processors import processors

FINAL = ("done", "failed", "cancelled")


class WorkerClient:
    """A worker process with its session folder.

    :param folder: of the session
    :param code: Python that the process runs before it serves, to break something for example
    :param to_file: let it write replies to a file, as 3D Slicer does, or to its standard output
    """

    def __init__(self, folder: Path, code: str = "", to_file: bool = True) -> None:
        self.folder = folder
        self.replies: list[dict[str, Any]] = []
        self._number = 0
        self._path = folder / "replies.jsonl"
        self._position = 0
        self._path.unlink(missing_ok=True)
        program = f"{code}\nimport os\nfrom stunet_perfusion.worker.__main__ import main\nos._exit(main())"
        command = [sys.executable, "-c", program] if code else [sys.executable, "-m", "stunet_perfusion.worker"]
        command += ["--session", str(folder)]
        if to_file:
            command += ["--replies", str(self._path)]
        # As many threads for matrix products as in this process, whose results are compared with the worker's.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(processors())}
        self.errors = folder / "stderr.txt"
        output = subprocess.DEVNULL if to_file else self._path.open("wb")
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=errors, env=environment
            )

    def write(self, line: bytes) -> None:
        """Send a line as it is."""
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, do: str, **arguments: Any) -> int:
        """Send a request.

        :returns: its id
        """
        number = arguments.pop("id", self._number + 1)
        self._number = max(number, self._number)
        self.write(json.dumps({"id": number, "do": do, **arguments}).encode())
        return number

    def poll(self) -> list[dict[str, Any]]:
        """The replies that came since the last call; every complete line is one."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            new = file.read()
        complete = new[: new.rfind(b"\n") + 1]
        self._position += len(complete)
        replies = [json.loads(line) for line in complete.splitlines()]
        self.replies += replies
        return replies

    def wait_for(self, number: int | None, *events: str) -> dict[str, Any]:
        """The first reply to a request that is one of `events`, perhaps received before.

        :raises AssertionError: the request is answered with something else, or the worker ended
        """
        seen = 0
        while True:
            ended = self.process.poll() is not None
            self.poll()
            for reply in self.replies[seen:]:
                if reply.get("id") == number and reply["event"] in (*events, *FINAL):
                    assert reply["event"] in events, reply
                    return reply
            seen = len(self.replies)
            assert not ended, f"the worker ended:\n{self.errors.read_text()}"
            time.sleep(0.002)

    def wait_for_ready(self) -> None:
        """Wait until the worker takes requests."""
        self.wait_for(None, "ready")

    def answer(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and wait for its last reply."""
        return self.wait_for(self.send(do, **arguments), *FINAL)

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request that has to succeed.

        :returns: its result
        """
        reply = self.answer(do, **arguments)
        assert reply["event"] == "done", reply
        return reply["result"]

    def events_of(self, number: int) -> list[str]:
        """The events of all replies to a request so far."""
        self.poll()
        return [reply["event"] for reply in self.replies if reply.get("id") == number]

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
