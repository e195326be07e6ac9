"""The JSON files beside and above a series, as BIDS has them: what NIfTI cannot say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.reading.bids import BidsName, sidecars_of
from stunet_perfusion.support.documents import read_json
from stunet_perfusion.support.errors import InputError, Setting

#: Keys under which times of single frames are given, in seconds: BIDS for fMRI, BIDS for PET, and ours.
_TIME_KEYS = ("VolumeTiming", "FrameTimesStart", "FrameTimes")


@dataclass(frozen=True)
class Sidecar:
    """What the JSON files say. Values are checked where they are used, so that an option can overrule a wrong one.

    :param name: the nearest file's name for messages; empty where there is none
    :param values: the document; of several files, all that they say, where the nearest has the last word
    :param origins: for the keys that another file says, its name
    """

    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def echo_time(self) -> float | None:
        """TE, seconds by the standard."""
        return self._number("EchoTime", "0.03")

    @property
    def repetition_time(self) -> float | None:
        """TR, seconds by the standard."""
        return self._number("RepetitionTime", "1.5")

    def origin(self, key: str) -> str:
        """The name of the file that says `key`."""
        return self.origins.get(key, self.name)

    @property
    def timing_origin(self) -> str:
        """The name of the file that gives the times of frames."""
        return self.origin(next((key for key in _TIME_KEYS if key in self.values), ""))

    def volume_timing(self, frames: int) -> np.ndarray | None:
        """(T,) seconds, or None where no frame times are given.

        :raises InputError: not one number a frame
        """
        key = next((key for key in _TIME_KEYS if key in self.values), None)
        if key is None:
            return None
        try:
            times = np.asarray(self.values[key], dtype=float)
        except (TypeError, ValueError):
            times = np.empty(0)
        if times.shape != (frames,):
            raise InputError(
                f"{self.origin(key)}: {key}",
                f"is not a list of {frames} numbers, one a frame",
                "mend it, or give the time between frames in seconds",
                Setting.FRAME_INTERVAL,
            )
        return times

    def _number(self, key: str, example: str) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(
                f"{self.origin(key)}: {key}",
                f"is {json.dumps(value)[:40]}",
                f"write one number of seconds, as {example}",
            )
        return float(value)


def sidecar_path(path: Path) -> Path:
    """Where the JSON file of a series is: beside it, with the same name."""
    name = path.name
    for ending in (".nii.gz", ".seq.nrrd", ".nii", ".nrrd", ".nhdr"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
            break
    return path.with_name(name + ".json")


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of the series at `path`; an empty one where there is none.

    :raises InputError: it is no JSON object
    """
    if BidsName.of(path).is_of_subject:
        return _joined(sidecars_of(path))
    return _joined([file for file in (sidecar_path(path),) if file.is_file()])


def read_sidecar_of_volumes(folder: Path, files: Sequence[Path]) -> Sidecar:
    """The sidecar of a series that is kept as one volume a frame.

    That of the first volume (all have the same TE and TR), or the only one in the folder, or that beside the folder.

    :param folder: the one that was given as the series
    :param files: the volumes
    :raises InputError: it is no JSON object
    """
    of_first = read_sidecar(files[0])
    if of_first.name:
        return of_first
    inside = sorted(file for file in files[0].parent.glob("*.json") if file.is_file())
    return _joined(inside) if len(inside) == 1 else read_sidecar(folder)


def _joined(files: Sequence[Path]) -> Sidecar:
    """What several files say, of which a later one overrules those before it."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file in files:
        document = read_json(file)
        values |= document
        origins |= dict.fromkeys(document, file.name)
    return Sidecar(files[-1].name if files else "", values, origins)
