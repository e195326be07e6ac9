"""Where torch computes: which devices there are, and what is said when the memory of one runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from stunet_perfusion.support.errors import InputError, Setting

#: What torch says where it has no exception of its own for memory that ran out: on Apple's GPUs, and on the CPU.
_SIGNS_OF_EXHAUSTED_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Device:
    """A device that torch can compute on.

    :param name: as torch names it
    :param label: for people, with cores or memory
    :param memory_bytes: of its own, or None
    """

    name: str
    label: str
    memory_bytes: int | None = None


def list_devices(cores: int) -> list[Device]:
    """All devices of this computer, the CPU first.

    :param cores: of the CPU, for its label
    """
    found = [Device("cpu", f"CPU ({cores} core{'s' if cores > 1 else ''})")]
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            memory = int(properties.total_memory)
            found.append(Device(f"cuda:{number}", f"{properties.name} ({memory / 2**30:.0f} GB)", memory))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU (memory shared with the CPU)"))
    return found


def choose_device(name: str = "auto") -> str:
    """The device to compute on.

    :param name: `auto` takes the first GPU, else Apple's, else the CPU; anything else is taken as torch names it
    :raises InputError: a device that is not there
    """
    if name == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(Setting.DEVICE, f"'{name}' cannot be used ({reason})", "choose the CPU (cpu)") from None
    return name


@contextmanager
def naming_exhausted_memory(device: str, batch: int | None = None) -> Iterator[None]:
    """Memory that runs out while the block computes becomes one sentence, and what torch hoards is given back.

    :param batch: strips at a time, where the block predicts some
    :raises InputError: memory ran out
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        exhausted = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not exhausted and not any(sign in str(error).lower() for sign in _SIGNS_OF_EXHAUSTED_MEMORY):
            raise
        give_back_memory(device)
        fact = "has not enough memory" + ("" if batch is None else f" for {batch} strips at a time")
        way_out = "close other programs, or predict fewer strips at a time" if device == "cpu" else "choose the CPU"
        raise InputError(f"device {device}", fact, way_out) from None


def give_back_memory(device: str) -> None:
    """Let other programs have the memory of a device that torch keeps for later."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
