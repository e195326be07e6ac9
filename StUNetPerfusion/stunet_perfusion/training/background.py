"""Cases are prepared in other processes while the network trains, so that the device does not wait for them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from stunet_perfusion.support.errors import InputError

_Job = TypeVar("_Job", bound=tuple[Any, ...])
_Result = TypeVar("_Result")


def in_background(
    make: Callable[..., _Result], jobs: Iterable[_Job], workers: int, ahead: int
) -> Generator[_Result, None, None]:
    """The results of `make(*job)`, in the order of the jobs.

    :param make: can be pickled, and so can its results
    :param jobs: as many as there are; they are asked for as needed
    :param workers: processes; with 0 each result is made when it is asked for
    :param ahead: results that are prepared or waiting at any time
    :raises InputError: as `make`, or a process that was killed, for which the system most likely had no memory
    """
    if not workers:
        for job in jobs:
            yield make(*job)
        return
    # A forked child would inherit locks that torch's threads hold.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_start)
    waiting: deque[Future[_Result]] = deque()
    try:
        remaining = iter(jobs)
        while True:
            waiting.extend(pool.submit(make, *job) for job in islice(remaining, max(ahead, 1) - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    except BrokenProcessPool:
        fact = "a process that prepares cases ended, probably for want of memory"
        raise InputError("training", fact, "use fewer computing.workers, or a smaller strips.together") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def one_ahead(items: Iterable[_Result], depth: int = 2) -> Iterator[_Result]:
    """The same items, the next ones being made by a thread meanwhile.

    :param depth: items that wait at most
    """
    import queue

    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(entry: tuple[str, object]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def fill() -> None:
        try:
            for item in items:
                if not offer(("item", item)):
                    return
            offer(("end", None))
        except BaseException as error:
            offer(("error", error))

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        thread.join()


def _start() -> None:
    """In a new process: one thread, and no life without the process that it works for."""
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
