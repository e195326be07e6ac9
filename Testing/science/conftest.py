"""What tests of the science share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stunet_perfusion.support.threads import torch_threads


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many threads torch takes in this test."""
    with torch_threads(request.param):
        yield request.param
