"""Work shared out over processes: the result must not tell how many there were, nor whether one died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stunet_perfusion.kinetics.reference.processes import compute_in_parts
from stunet_perfusion.support.processors import processors

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems compute in one process")


def squares(part: slice) -> np.ndarray:
    return np.arange(part.start, part.stop, dtype=float) ** 2


@pytest.mark.parametrize("workers", [None, 1, 2, 3, 50])
@pytest.mark.parametrize("size", [0, 1, 10, 101])
def test_all_parts_are_put_together(size, workers):
    result = compute_in_parts(squares, size, 10, workers)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, np.arange(size, dtype=float) ** 2)


@linux_only
def test_parts_are_computed_by_as_many_processes_as_asked_for():
    found = compute_in_parts(lambda part: np.full(part.stop - part.start, os.getpid()), 60, 10, 3)
    assert len(np.unique(found)) == 3
    assert os.getpid() in found
    assert processors() >= 1


def children() -> set[str]:
    """Of this process, dead ones that nobody asked about among them; other tests may have left some running."""
    lists = Path("/proc/self/task").glob("*/children")
    return {child for each in lists for child in each.read_text().split()}


@linux_only
@pytest.mark.parametrize("death", ["raises", "killed"])
def test_parent_computes_what_a_dead_child_did_not(death, capfd):
    parent = os.getpid()

    def fail_in_children(part: slice) -> np.ndarray:
        if os.getpid() != parent and part.start >= 30:
            if death == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise MemoryError
        return squares(part)

    before = children()
    np.testing.assert_array_equal(compute_in_parts(fail_in_children, 100, 10, 3), np.arange(100.0) ** 2)
    assert children() == before


@linux_only
def test_computes_alone_where_no_process_can_be_started(monkeypatch):
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    np.testing.assert_array_equal(compute_in_parts(squares, 100, 10, 3), np.arange(100.0) ** 2)


@linux_only
def test_error_in_the_parent_leaves_no_child_behind():
    parent = os.getpid()

    def fail_in_parent(part: slice) -> np.ndarray:
        if os.getpid() == parent:
            raise KeyError("broken")
        return squares(part)

    before = children()
    with pytest.raises(KeyError):
        compute_in_parts(fail_in_parent, 100, 10, 2)
    assert children() == before


@linux_only
def test_children_leave_when_their_parent_is_killed(tmp_path):
    """Each part takes a moment, all of them minutes; who reads the results is gone after the first."""
    code = """
import os, sys, time
from pathlib import Path
from stunet_perfusion.kinetics.reference.processes import compute_in_parts
def slow(part):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(0.02)
    return 0.0
compute_in_parts(slow, 30000, 1, 3)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while len(list(tmp_path.iterdir())) < 3:
        assert parent.poll() is None
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    children = {int(path.name) for path in tmp_path.iterdir()} - {parent.pid}
    assert len(children) == 2
    for child in children:
        while _is_running(child):
            time.sleep(0.01)


def _is_running(process: int) -> bool:
    """Whether a process exists and has not ended; one that nobody waited for yet is a zombie."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
