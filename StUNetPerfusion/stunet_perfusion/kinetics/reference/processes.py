"""The same computation over many parts, on all processors.

Threads are of no use where numpy works on pieces that fit a processor's cache: its calls take some 15 microseconds,
each may have to wait for Python's lock, and two threads deconvolve fewer voxels a second than one. Processes have a
lock each.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Callable

import numpy as np

from stunet_perfusion.support.processors import processors


def compute_in_parts(
    compute: Callable[[slice], np.ndarray], size: int, part_size: int, workers: int | None = None, values: int = 1
) -> np.ndarray:
    """`compute` of every part of 0 to `size`, put together.

    On Linux the process is forked, so that the children see all arrays without copying them; elsewhere, where forking
    is not safe or not possible, one process does everything. A child does nothing but compute and leave. What a child
    did not finish, its parent computes, so that the result never depends on how many there were.

    :param compute: from a part to its values, (length of the part,) float64, or (length of the part, values) where
        there are several; must not start threads
    :param part_size: length of a part
    :param workers: processes; None takes one for each processor
    :param values: how many there are of each
    :returns: (size,) float64, or (size, values)
    """
    shape = (size,) if values == 1 else (size, values)
    parts = [slice(start, min(start + part_size, size)) for start in range(0, size, part_size)]
    workers = min(workers or processors(), len(parts)) if sys.platform == "linux" else 1
    if workers < 2:
        return np.concatenate([np.empty((0, *shape[1:])), *map(compute, parts)])
    shares = [parts[number::workers] for number in range(workers)]
    result = np.frombuffer(mmap.mmap(-1, 8 * size * values), dtype=np.float64).reshape(shape)
    children: dict[int, list[slice]] = {}
    parent = os.getpid()
    try:
        for share in shares[1:]:
            child = os.fork()
            if not child:
                _compute_and_leave(compute, share, result, parent)
            children[child] = share
    except OSError:
        pass  # No more processes: their shares are left to the parent.
    try:
        for share in (shares[0], *shares[1 + len(children) :]):
            for part in share:
                result[part] = compute(part)
    except BaseException:
        # Nobody wants the rest any more.
        for child in children:
            os.kill(child, signal.SIGKILL)
        raise
    finally:
        failed = [child for child in children if os.waitpid(child, 0)[1] != 0]
    for child in failed:
        for part in children[child]:
            result[part] = compute(part)
    return result


def _compute_and_leave(
    compute: Callable[[slice], np.ndarray], parts: list[slice], result: np.ndarray, parent: int
) -> None:
    """What a child does: no cleaning up, no flushing, since all of that belongs to its parent.

    It leaves early when its parent is gone, killed for example, for then nobody reads what it computes.
    """
    status = 1
    try:
        for part in parts:
            if os.getppid() != parent:
                break
            result[part] = compute(part)
        else:
            status = 0
    finally:
        os._exit(status)
