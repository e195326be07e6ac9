"""How many processors there are to compute with."""

from __future__ import annotations

import os


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """How many to compute with beside 3D Slicer, which is left one to stay responsive."""
    return max(processors() - 1, 1)
