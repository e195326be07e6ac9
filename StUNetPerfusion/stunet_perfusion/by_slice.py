"""The same work for many slices, several of them at a time.

numpy gives the interpreter free while it computes, so threads are enough. Each slice is computed as it would be alone,
and results come in order: how many threads there are changes nothing but the time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stunet_perfusion.processors import processors

_Result = TypeVar("_Result")


def by_slice(function: Callable[[int], _Result], slices: Iterable[int]) -> Iterator[_Result]:
    """`function` of each slice, in order, as they are done.

    :param function: takes the number of a slice, and may run in several threads at once
    :raises Exception: what `function` raised for the first slice that fails; slices not yet begun are left out, as they
        are when nobody asks for more results
    """
    wanted = [int(z) for z in slices]
    threads = min(_threads(), len(wanted))
    if threads < 2:
        yield from map(function, wanted)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(function, wanted)
    finally:
        pool.shutdown(cancel_futures=True)


def _threads() -> int:
    """As many as torch has been told to take, where it computes too: one is left free in 3D Slicer."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if hasattr(torch, "get_num_threads") else processors()
