"""Slices of maps that are kept for the figure of maps, in multiples of normal-appearing white matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stunet_perfusion.evaluation.methods import Table
from stunet_perfusion.evaluation.subjects import Regions
from stunet_perfusion.runs.figures import busiest_slice, cropped
from stunet_perfusion.support.staged import staged_file

TRUTH = "truth"


class PanelKeeper:
    """Keeps of every map the slice that is shown. A `Watcher` of `score_subject`."""

    def __init__(self) -> None:
        self.images: dict[str, np.ndarray] = {}

    def __call__(
        self, table: Table, dose: float, method: str, cbv: np.ndarray, regions: Regions, truth: np.ndarray | None
    ) -> None:
        if regions.nawm is None or not regions.nawm.any():
            return
        unit = float(cbv[regions.nawm].mean())
        tumor = np.zeros_like(regions.mask) if regions.tumor is None else regions.tumor
        z = busiest_slice(tumor, regions.mask)
        if unit > 0:
            self.images[panel_name(table, dose, method)] = _shown(cbv, unit, regions, z)
        if truth is not None:
            self.images[TRUTH] = _shown(truth, float(truth[regions.nawm].mean()), regions, z)

    def write(self, path: Path) -> None:
        """Write the slices as `.npz`, where there are any.

        :raises OutputError: the file cannot be written
        """
        if self.images:
            with staged_file(path) as file, open(file, "wb") as stream:
                # numpy types all that goes by name as its own argument `allow_pickle`.
                np.savez_compressed(stream, **self.images)  # type: ignore[arg-type]


def panel_name(table: Table, dose: float, method: str) -> str:
    """The name of a slice in the file."""
    return f"{table}|{dose:g}|{method}"


def _shown(cbv: np.ndarray, unit: float, regions: Regions, z: int) -> np.ndarray:
    return cropped(cbv[z] / unit, regions.mask[z]).astype(np.float32)
