"""How many processors there are to compute with."""

from __future__ import annotations

import os


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """How many to compute with beside 3D Slicer, which is left one to stay responsive."""
    return max(processors() - 1, 1)


def keep_linear_algebra_to_one_thread() -> None:
    """Tell OpenBLAS, which numpy comes with on most systems, to compute in the thread that asks. Call it before numpy
    is loaded; whoever has set the variable keeps what they set.

    Its own threads wait for the next product at full speed, and took a third of the processors from the network. The
    products here are small, and slices are computed several at a time as it is.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
