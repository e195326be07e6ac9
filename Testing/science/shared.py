"""Data for development that lie beside the repository, and that a user's clone does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[3] / "shared"


def shared_data_exist(path: str) -> bool:
    """Whether `../shared/<path>` lies beside the repository."""
    return (_SHARED / path).exists()


def shared_data(path: str) -> Path:
    """The file or folder `../shared/<path>` beside the repository; skips the test that asks where it is absent.

    :param path: for example "golden/verbena_modelfree.npz"
    """
    found = _SHARED / path
    if not found.exists():
        pytest.skip(f"needs the development data ../shared/{path}, which are not part of the repository")
    return found
