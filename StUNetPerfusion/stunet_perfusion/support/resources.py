"""Files that ship beside the package: checkpoints and the color table."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.support.errors import InputError

#: 3D Slicer installs it beside the package, as the source tree has it.
RESOURCES = Path(__file__).resolve().parents[2] / "Resources"


def ships(network: str) -> bool:
    """Whether a checkpoint of a network ships."""
    return _place(network).is_file()


def shipped_checkpoint(network: str = "stunet") -> Path:
    """The checkpoint that ships for a network.

    :raises InputError: none ships for it
    """
    path = _place(network)
    if not path.is_file():
        raise InputError(path, f"does not exist, so there is no shipped checkpoint for {network}", "give --checkpoint")
    return path


def _place(network: str) -> Path:
    return RESOURCES / "Checkpoints" / f"{network}.safetensors"
