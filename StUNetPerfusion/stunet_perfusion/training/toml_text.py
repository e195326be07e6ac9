"""TOML, which settings of trainings are written in. Only `train` reads it, and 3D Slicer never does."""

from __future__ import annotations

import sys
from typing import Any

from stunet_perfusion.support.documents import check_depth, too_deep
from stunet_perfusion.support.errors import InputError


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document.

    :raises ValueError: as `parse_json`
    :raises InputError: nothing that is installed reads TOML
    """
    toml = _toml()
    try:
        document: dict[str, Any] = toml.loads(text)
    except RecursionError:
        raise too_deep() from None
    check_depth(document)
    return document


def _toml() -> Any:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    try:
        import tomli
    except ImportError:
        fact = "is not installed, and Python before 3.11 reads no TOML without it"
        raise InputError("tomli", fact, "install it with: pip install tomli") from None
    return tomli
