"""Files that ship with the package: checkpoints and the color table."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.support.errors import InputError, Setting

_PACKAGE = Path(__file__).resolve().parents[1]

#: In a wheel they are within the package; 3D Slicer and the source tree have them beside it.
_IN_A_WHEEL = _PACKAGE / "shipped_resources"

RESOURCES = _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _PACKAGE.parent / "Resources"


def ships(network: str) -> bool:
    """Whether a checkpoint of a network ships."""
    return _place(network).is_file()


def shipped_checkpoint(network: str = "stunet") -> Path:
    """The checkpoint that ships for a network.

    :raises InputError: none ships for it
    """
    path = _place(network)
    if not path.is_file():
        fact = f"does not exist, so there is no shipped checkpoint for {network}"
        raise InputError(path, fact, "give a checkpoint", Setting.CHECKPOINT)
    return path


def _place(network: str) -> Path:
    return RESOURCES / "Checkpoints" / f"{network}.safetensors"
