"""Maps and series into the format that the file's name asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np

from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import OutputError
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.support.staged import staged_file
from stunet_perfusion.writing.documents import write_sidecar
from stunet_perfusion.writing.nifti import write_nifti
from stunet_perfusion.writing.nrrd import write_nrrd_sequence, write_nrrd_volume

_Choice = TypeVar("_Choice")


def write_map(path: str | Path, array: np.ndarray, grid: Grid) -> None:
    """Write a volume on its grid, whole or not at all: masks as 8-bit, labels as they are, everything else as float32.

    :param path: `.nii.gz`, `.nii` or `.nrrd`
    :param array: (Z, Y, X)
    :raises OutputError: another format, or it cannot be written
    """
    path = Path(path)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype.kind not in "iu" or array.dtype.itemsize > 4:
        array = array.astype(np.float32)
    if array.shape != grid.shape:
        raise ValueError(f"array {array.shape} and grid {grid.shape} differ")
    write = _for_format(path, nifti=write_nifti, nrrd=write_nrrd_volume)
    with staged_file(path) as file:
        write(file, array, grid)


def write_series(path: str | Path, series: DscSeries, progress: Progress = no_progress) -> None:
    """Write a series as float32, one frame or slice at a time, and whole or not at all.

    NIfTI cannot hold TE or uneven times, so a JSON sidecar goes beside it. NRRD becomes a sequence of 3D Slicer.

    :param path: `.nii.gz`, `.nii`, `.nrrd` or `.seq.nrrd`
    :raises OutputError: another format, or it cannot be written
    """
    path = Path(path)
    nifti = _for_format(path, nifti=True, nrrd=False)
    with staged_file(path) as file:
        if nifti:
            description = "" if series.simulated is None else series.simulated.sentence
            write_nifti(file, series.signal, series.grid, series.times, progress, description)
            write_sidecar(file, series)
        else:
            write_nrrd_sequence(file, series, progress)


def _for_format(path: Path, nifti: _Choice, nrrd: _Choice) -> _Choice:
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return nifti
    if name.endswith(".nrrd"):
        return nrrd
    raise OutputError(path, "has an ending that names no known format", "end it in .nii.gz, .nii, .nrrd or .seq.nrrd")
