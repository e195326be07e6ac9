"""The same work for many slices, several of them at a time.

numpy and torch give the interpreter free while they compute, so threads are enough. Each slice is computed as it would
be alone, and results come in order: how many threads there are changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from stunet_perfusion.support.threads import pool_of_threads, threads_here

_Result = TypeVar("_Result")


def by_slice(
    function: Callable[[int], _Result], slices: Iterable[int], most_at_a_time: int | None = None
) -> Iterator[_Result]:
    """`function` of each slice, in order, as they are done.

    Threads that compute one slice together wait for each other at every step of it, and longer the more they are; so
    each slice gets a thread, and more only where there are fewer slices than threads.

    :param function: takes the number of a slice, and may run in several threads at once
    :param most_at_a_time: of slices, where each takes much memory
    :raises Exception: what `function` raised for the first slice that fails; slices not yet begun are left out, as they
        are when nobody asks for more results
    """
    wanted = [int(z) for z in slices]
    threads = threads_here()
    at_a_time = min(threads, len(wanted), most_at_a_time or threads)
    if at_a_time < 2:
        yield from map(function, wanted)
        return
    with pool_of_threads(at_a_time, threads // at_a_time) as pool:
        yield from pool.map(function, wanted)
