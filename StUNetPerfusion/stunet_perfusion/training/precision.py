"""Which precision a processor can train in.

`bf16-mixed` pays on a CPU only with instructions for it (`avx512_bf16` or `amx_bf16` among the flags that Linux tells):
without them a step takes many times as long as in 32 bits. And where it has them, a library may still be wrong: with
torch 2.13 the gradients of a 7x3x3 convolution over four frames write beyond their memory on an AMD processor. So one
step is taken in another process first, which is all that such a fault ends.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

from stunet_perfusion.support.devices import choose_device
from stunet_perfusion.training.settings import ComputingSettings, NetworkSettings, Precision, StripSettings

_CPU_FLAGS = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}

_FULL: Precision = "32-true"

#: Columns of the strip that is tried: enough for every reduction.
_COLUMNS = 64


def usable_precision(
    computing: ComputingSettings, network: NetworkSettings, strips: StripSettings, flags: Path = _CPU_FLAGS
) -> tuple[ComputingSettings, str]:
    """The settings with a precision that this computer can train in, and a sentence where that is another.

    :param flags: what Linux tells of the processor
    :raises InputError: a device that is not there
    """
    if computing.precision == _FULL or choose_device(computing.device) != "cpu":
        return computing, ""
    full = replace(computing, precision=_FULL)
    if computing.precision == "16-mixed":
        return full, "Training in 32 bits: 16-mixed is for GPUs."
    if not has_bf16(flags):
        return full, "Training in 32 bits: this processor has no instructions for bf16, which would be slower here."
    if not _survives(network, strips):
        return full, "Training in 32 bits: a first step in bf16 failed on this processor."
    return computing, ""


def has_bf16(flags: Path = _CPU_FLAGS) -> bool:
    """Whether the processor has instructions for bf16, as far as the system tells.

    :param flags: a file with `flags : ...`, as Linux has it; none is taken for no
    """
    try:
        lines = flags.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    named = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return any(_BF16_FLAGS.intersection(names) for names in named)


def _survives(network: NetworkSettings, strips: StripSettings) -> bool:
    """Whether another process takes a step in bf16 and is alive afterwards."""
    process = multiprocessing.get_context("spawn").Process(target=_step_in_bf16, args=(network, strips.rows))
    process.start()
    process.join()
    return process.exitcode == 0


def _step_in_bf16(network: NetworkSettings, rows: int) -> None:
    import torch

    from stunet_perfusion.networks.build import build_network
    from stunet_perfusion.networks.memory_layout import use_channels_last
    from stunet_perfusion.networks.quantities import MAPS

    torch.set_num_threads(1)
    maps = MAPS[network.input]
    built = use_channels_last(build_network(network.name, network.arguments | ({"maps": maps} if maps else {})))
    # What is written beyond its memory need not end a process at the first step.
    for _ in range(3):
        strip = torch.randn(2, network.frames + maps, rows, _COLUMNS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            prediction = built(strip)
        prediction.float().square().mean().backward()
