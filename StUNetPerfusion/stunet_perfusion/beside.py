"""Work beside the network, where a processor is left for it.

Threads that compute together wait for each other at every step. One more than there are processors, and all of them
wait for the one that is not running: a network on all processors takes twice as long with anything beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import torch

from stunet_perfusion.processors import processors


def beside_the_network(device: str = "cpu") -> Executor:
    """An executor for one piece of work at a time: in a thread where a processor is left, else on the spot.

    :param device: that the network is on
    """
    alone = device == "cpu" and torch.get_num_threads() >= processors()
    return OnTheSpot() if alone else ThreadPoolExecutor(1)


class OnTheSpot(Executor):
    """Does what it is given before it gives anything back."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """A future that is done."""
        done: Future = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done
