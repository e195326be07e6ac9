"""The JSON file beside a series, as BIDS has it: what NIfTI cannot say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.errors import InputError

#: Keys under which times of single frames are given, in seconds: BIDS for fMRI, BIDS for PET, and ours.
_TIME_KEYS = ("VolumeTiming", "FrameTimesStart", "FrameTimes")


@dataclass(frozen=True)
class Sidecar:
    """What the JSON file says. Values are checked where they are used, so that an option can overrule a wrong one.

    :param name: the file's name for messages; empty where there is none
    :param values: its document
    """

    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def echo_time(self) -> float | None:
        """TE, seconds by the standard."""
        return self._number("EchoTime", "0.03")

    @property
    def repetition_time(self) -> float | None:
        """TR, seconds by the standard."""
        return self._number("RepetitionTime", "1.5")

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
                f"{self.name}: {key}",
                f"is not a list of {frames} numbers, one a frame",
                "mend it, or give --frame-interval SECONDS",
            )
        return times

    def _number(self, key: str, example: str) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(
                f"{self.name}: {key}", f"is {json.dumps(value)[:40]}", f"write one number of seconds, as {example}"
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
    file = sidecar_path(path)
    if not file.is_file():
        return Sidecar()
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(file, "is not readable as JSON", "mend it, or move it away") from error
    if not isinstance(values, dict):
        raise InputError(file, "holds no JSON object", "mend it, or move it away")
    return Sidecar(file.name, values)
