"""How numpy's linear algebra is kept from taking processors from the network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = (
    "import sys, threadpoolctl, {module} as entry\n"
    "assert 'numpy' not in sys.modules\n"
    "try:\n    entry.main({arguments!r})\nexcept SystemExit:\n    pass\n"
    "import numpy\n"
    "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['internal_api'] == 'openblas'])\n"
)


@pytest.mark.parametrize(("wanted", "expected"), [(None, 1), ("2", 2)])
def test_the_command_keeps_linear_algebra_to_one_thread_unless_told_otherwise(wanted, expected):
    pytest.importorskip("threadpoolctl")
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    if wanted is not None:
        environment["OPENBLAS_NUM_THREADS"] = wanted
    script = ASK.format(module="stunet_perfusion.cli", arguments=["--help"])
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()[-1]
    if told == "[]":
        pytest.skip("numpy computes with another library here")
    # A library takes no more threads than there are processors.
    assert told == str([min(expected, os.cpu_count() or 1)])
