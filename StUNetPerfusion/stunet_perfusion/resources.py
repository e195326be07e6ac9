"""Files that ship beside the package: checkpoints and the color table."""

from __future__ import annotations

from pathlib import Path

from stunet_perfusion.errors import InputError

#: 3D Slicer installs it beside the package, as the source tree has it.
RESOURCES = Path(__file__).resolve().parent.parent / "Resources"

#: The checkpoint of each network that is used where none is named, where it ships.
DEFAULT_CHECKPOINTS = {"stunet": "stunet.safetensors", "hess": "hess.safetensors", "ulas": "ulas.safetensors"}


def shipped_checkpoint(network: str = "stunet") -> Path:
    """The checkpoint that ships for a network.

    :raises InputError: none ships for it
    """
    path = RESOURCES / "Checkpoints" / DEFAULT_CHECKPOINTS[network]
    if not path.is_file():
        raise InputError(path, f"does not exist, so there is no shipped checkpoint for {network}", "give --checkpoint")
    return path
