"""The worker itself: requests are taken in by one thread and carried out, one after another, by the main one."""

from __future__ import annotations

import os
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from stunet_perfusion import __version__
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Cancelled
from stunet_perfusion.worker.channel import Replies, read_in_background
from stunet_perfusion.worker.failures import Failure, failure_of
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.job_queue import JobQueue
from stunet_perfusion.worker.parsing import parse_line, parse_request
from stunet_perfusion.worker.protocol import Shutdown
from stunet_perfusion.worker.session import Session


def serve(requests: BinaryIO, reply_stream: BinaryIO, folder: Path) -> int:
    """Answer requests until `shutdown` comes; the end of `requests` ends the process.

    :param requests: JSON lines
    :param reply_stream: JSON lines
    :param folder: of the session
    :returns: exit status
    """
    replies, queue, session = Replies(reply_stream), JobQueue(), Session(folder)
    replies.send({"event": "ready", "pid": os.getpid(), "version": __version__})
    read_in_background(requests, lambda line: _take_in(line, queue, replies, folder))
    while True:
        job = queue.take()
        if isinstance(job.request, Shutdown):
            job.reply("done", result={})
            return 0
        carry_out(job, session)


def _take_in(line: bytes, queue: JobQueue, replies: Replies, folder: Path) -> None:
    """Put what a line asks for into the queue, or say at once what is wrong with it."""
    number = None
    try:
        message = parse_line(line)
        number = message["id"]
        if message.get("do") == "cancel":
            queue.cancel(number)
        else:
            queue.put(Job(number, parse_request(message), replies, folder))
    except InputError as error:
        _send_failure(replies, number, failure_of(error))


def _send_failure(replies: Replies, number: int | None, failure: Failure) -> None:
    replies.send({"id": number, "event": "failed", **failure.as_reply()})


def carry_out(job: Job, session: Session) -> None:
    """Do one job and answer it with `done`, `failed` or `cancelled`, whatever happens in it."""
    job.remove_output()
    try:
        job.check_cancelled()
        result: dict[str, Any] = import_module(f"stunet_perfusion.worker.jobs.{job.request.do}").run(
            job.request, job, session
        )
        job.reply("done", result=result)
    except Cancelled:
        job.remove_output()
        job.reply("cancelled")
    except Exception as error:  # whatever a job dies of, the worker lives on
        failure = failure_of(error)
        if failure.unexpected:
            job.reply("log", text="".join(traceback.format_exception(error)))
        job.remove_output()
        job.reply("failed", **failure.as_reply())
