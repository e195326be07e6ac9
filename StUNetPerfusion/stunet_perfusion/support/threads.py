"""Threads to compute in, and how many more torch takes in each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType

from stunet_perfusion.support.processors import processors


def threads_here() -> int:
    """As many as torch has been told to take, where it computes too: one is left free in 3D Slicer."""
    torch = _torch_if_loaded()
    return torch.get_num_threads() if torch else processors()


@contextmanager
def pool_of_threads(count: int, threads_each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch takes only so many more. Work that has not begun when the context is left is
    left out.

    What torch is told in one thread also holds for all that begin later, so the caller's own number is told it again
    in the end.
    """
    with torch_threads(threads_here()):
        torch = _torch_if_loaded()
        tell: Callable[[int], None] = torch.set_num_threads if torch else lambda threads: None
        pool = ThreadPoolExecutor(count, initializer=tell, initargs=(threads_each,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """As many threads for torch, where it has been loaded, and afterwards as many as before."""
    torch = _torch_if_loaded()
    if torch is None:
        yield
        return
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _torch_if_loaded() -> ModuleType | None:
    """None also while another thread is still importing it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "set_num_threads") else None
