"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Whether something is right does not depend on how long it took: another program may have had the processor.
hypothesis.settings.register_profile(
    "without clocks", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("without clocks")

# Side by side (`pytest -n`), every process has one thread: more would wait for each other. Before torch is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

#: The files that take longest. Side by side they begin first, so that none is left alone at the end.
SLOW_FILES = (
    "test_training_run.py",
    "test_worker_process.py",
    "test_predict.py",
    "test_demo.py",
    "test_killed_and_gone.py",
    "test_calibration.py",
    "test_mean_curve_fit.py",
    "test_phantom_files.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest first; the order within a file stays as it is."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    place = {name: number for number, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: place.get(Path(item.path).name, len(place)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many damaged files of each kind `test_any_bytes` makes."""
    parser.addoption("--fuzz", type=int, default=80, metavar="N", help="damaged files a kind; make fuzz takes 1800")


def pytest_configure(config: pytest.Config) -> None:
    """Known before the test's module is imported."""
    os.environ["FUZZ_EXAMPLES"] = str(config.getoption("--fuzz"))
