"""The arterial input as a request names its source."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.kinetics.aif import ArterialInput, ArterialInputOfVoxels, aif_from_vessels, automatic_aif
from stunet_perfusion.kinetics.reference.case import concentration_unit
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import CheckCancelled
from stunet_perfusion.worker.arrays import read_mask
from stunet_perfusion.worker.protocol import AifSource


class AifFinder:
    """Finds the arterial input in a series at any dose.

    :param source: as in the protocol
    :param shape: (Z, Y, X) of the series
    :param folder: what the names of files are relative to
    :param check_cancelled: called between two pieces of the search
    :raises InputError: a source that is none, a mask that does not fit, or voxels outside of the series
    """

    def __init__(
        self, source: AifSource, shape: tuple[int, int, int], folder: Path, check_cancelled: CheckCancelled
    ) -> None:
        self._check_cancelled = check_cancelled
        self._how = "automatic"
        self._mask: np.ndarray | None = None
        if source == "auto":
            return
        if not isinstance(source, dict) or len(source) != 1 or not {"vessels", "voxels"} & source.keys():
            fact = f"{json.dumps(source)[:60]} is no source"
            raise InputError("arterial input", fact, 'give "auto", {"vessels": file} or {"voxels": [[k, j, i], ...]}')
        (self._how,) = source
        if self._how == "vessels":
            self._mask = read_mask(folder / str(source["vessels"]), shape, "vessel mask")
        else:
            self._mask = _mask_of(source["voxels"], shape)

    def __call__(self, prepared: PreparedSeries, baseline_frames: int | None = None) -> ArterialInputOfVoxels:
        """The arterial input in a series.

        :param baseline_frames: frames that S0 is the mean of; None takes all before arrival
        :raises InputError: as `automatic_aif` and `aif_from_vessels`
        """
        if self._mask is None:
            return automatic_aif(prepared, baseline_frames, check_cancelled=self._check_cancelled)
        aif = aif_from_vessels(prepared, self._mask, baseline_frames)
        if self._how == "vessels":
            return aif
        count = int(aif.voxels.sum())
        return replace(aif, source="one chosen voxel" if count == 1 else f"mean of {count} chosen voxels")


def describe_aif(aif: ArterialInput, prepared: PreparedSeries) -> dict[str, Any]:
    """The fields of a reply that tell about an arterial input."""
    return {
        "curve": [float(value) for value in aif.curve],
        "times": [float(time) for time in prepared.series.times],
        "source": aif.source,
        "unit": concentration_unit(prepared.series),
    }


def _mask_of(voxels: Any, shape: tuple[int, int, int]) -> np.ndarray:
    """(Z, Y, X) bool of a list of [k, j, i]."""
    try:
        indices = np.array(voxels)
    except ValueError:
        indices = np.empty(0)
    if indices.ndim != 2 or indices.shape[1] != 3 or indices.dtype.kind != "i":
        raise InputError("arterial input", "has no list of voxels [k, j, i]", "give at least one voxel")
    if (indices < 0).any() or (indices >= shape).any():
        raise InputError("arterial input", "has a voxel outside of the series", "place it inside of an artery")
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(indices.T)] = True
    return mask
