"""What the worker keeps in memory between requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint

if TYPE_CHECKING:
    from stunet_perfusion.inference.strips.stages import StUNetStages
    from stunet_perfusion.networks.checkpoint import Checkpoint
    from stunet_perfusion.networks.network import CbvNetwork
    from stunet_perfusion.worker.open_series import OpenSeries

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class ReadyNetwork:
    """A network that has nothing left to do before it predicts.

    :param network: in evaluation mode, folded, on its device
    :param stages: what the fast averages over strips are made of, see `take_apart`
    """

    network: CbvNetwork
    stages: StUNetStages | None


class Session:
    """Open series, loaded networks, and what was found out about them.

    :param folder: where arrays pass; names of files in requests are relative to it
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._series: dict[str, OpenSeries] = {}
        self._findings: dict[str, dict[Any, Any]] = {}
        self._checkpoints: dict[Path, tuple[tuple[int, int], Checkpoint, dict[str, ReadyNetwork]]] = {}

    def keep(self, handle: str, series: OpenSeries) -> None:
        """Keep a series open, in the place of what had its handle."""
        self.let_go(handle)
        self._series[handle] = series
        self._findings[handle] = {}

    def let_go(self, handle: str) -> None:
        """Close a series, if it is open."""
        opened = self._series.pop(handle, None)
        if opened is not None and opened.own_file:
            # Where a job still has it mapped, Windows keeps it until the session ends.
            with suppress(OSError):
                opened.path.unlink(missing_ok=True)
        self._findings.pop(handle, None)

    def series(self, handle: str) -> OpenSeries:
        """An open series.

        :raises InputError: none is open under this handle
        """
        if handle not in self._series:
            raise InputError(f"series '{handle}'", "is not open", "open it first")
        return self._series[handle]

    def remember(self, handle: str, key: Any, find: Callable[[], _Value]) -> _Value:
        """What was found out about an open series, found now if it was not before.

        :param key: tells it from other findings
        :param find: finds it
        """
        findings = self._findings[handle]
        if key not in findings:
            findings[key] = find()
        return findings[key]

    def checkpoint(self, path: str | None) -> Checkpoint:
        """A loaded checkpoint; a file that has changed since is loaded again.

        :param path: None for the shipped stU-Net
        :raises InputError: as `checkpoint.load`
        """
        return self._loaded(path)[1]

    def network_on(self, path: str | None, device: str) -> ReadyNetwork:
        """Its network on a device, made ready once."""
        from stunet_perfusion.inference.strips import take_apart
        from stunet_perfusion.networks.folding import fold_batch_normalization
        from stunet_perfusion.networks.memory_layout import use_channels_last
        from stunet_perfusion.support.devices import naming_exhausted_memory

        _, checkpoint, networks = self._loaded(path)
        if device not in networks:
            with naming_exhausted_memory(device):
                network = use_channels_last(fold_batch_normalization(checkpoint.network)).to(device)
                networks[device] = ReadyNetwork(network, take_apart(network, checkpoint.info.input.frames))
        return networks[device]

    def _loaded(self, path: str | None) -> tuple[tuple[int, int], Checkpoint, dict[str, ReadyNetwork]]:
        from stunet_perfusion.networks.checkpoint import load

        place = shipped_checkpoint() if path is None else self.folder / path
        stamp = (0, 0)
        if place.is_file():
            status = place.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        if place not in self._checkpoints or self._checkpoints[place][0] != stamp:
            self._checkpoints[place] = (stamp, load(place), {})
        return self._checkpoints[place]
