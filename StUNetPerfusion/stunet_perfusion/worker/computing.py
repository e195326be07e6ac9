"""Where and with how many threads a job computes."""

from __future__ import annotations

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.processors import default_threads


def thread_count(threads: int | None) -> int:
    """The number of threads that a request asks for.

    :raises InputError: not positive
    """
    if threads is None:
        return default_threads()
    if threads < 1:
        raise InputError("threads", f"{threads} threads compute nothing", "give 1 or more")
    return threads


def use_device(device: str, threads: int | None) -> str:
    """Set torch up for a job.

    :returns: the device, as torch names it
    :raises InputError: no such device, or no such number of threads
    """
    import torch

    from stunet_perfusion.support.devices import choose_device

    torch.set_num_threads(thread_count(threads))
    return choose_device(device)
