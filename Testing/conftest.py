"""What all tests share."""

from __future__ import annotations

import os

import hypothesis
import pytest

# Whether something is right does not depend on how long it took: another program may have had the processor.
hypothesis.settings.register_profile(
    "without clocks", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("without clocks")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many damaged files of each kind `test_any_bytes` makes."""
    parser.addoption("--fuzz", type=int, default=80, metavar="N", help="damaged files a kind; make fuzz takes 1800")


def pytest_configure(config: pytest.Config) -> None:
    """Known before the test's module is imported."""
    os.environ["FUZZ_EXAMPLES"] = str(config.getoption("--fuzz"))
