"""Work beside the network: in a thread of its own where one helps, else before it.

Threads that compute together wait for each other at every step. One more than there are processors, and all of them
wait for the one that is not running: a network whose every step takes all processors takes twice as long with anything
beside it. Networks on one processor each do not mind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from stunet_perfusion.support.processors import processors
from stunet_perfusion.support.threads import pool_of_threads, threads_here


@contextmanager
def beside_the_network(device: str = "cpu", slices_at_a_time: int = 1) -> Iterator[Executor]:
    """An executor for one piece of work at a time: in a thread where that does not hold the network up, else on the
    spot.

    :param device: that the network is on
    :param slices_at_a_time: that the network predicts, on a part of the threads each
    """
    threads_a_slice = threads_here() // slices_at_a_time
    if device == "cpu" and threads_here() >= processors() and (threads_a_slice > 1 or processors() == 1):
        yield OnTheSpot()
        return
    with pool_of_threads(1) as pool:
        yield pool


class OnTheSpot(Executor):
    """Does what it is given before it gives anything back."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done."""
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done
