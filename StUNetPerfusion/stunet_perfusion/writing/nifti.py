"""NIfTI-1, compressed where the name ends in `.gz`."""

from __future__ import annotations

import gzip
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stunet_perfusion.series import Grid
from stunet_perfusion.support.progress import Progress, no_progress

if TYPE_CHECKING:
    import nibabel

#: NIfTI's code for "coordinates of the scanner".
_SCANNER = 1

#: Noise hardly compresses: the fastest level makes files as small as the slowest, in a tenth of the time.
_COMPRESSION = 1


def write_nifti(
    path: Path,
    array: np.ndarray,
    grid: Grid,
    times: np.ndarray | None = None,
    progress: Progress = no_progress,
    description: str = "",
) -> None:
    """Write (Z, Y, X), or (T, Z, Y, X) frame by frame.

    :param times: (T,) seconds of a series; NIfTI holds their start and median step only
    :param description: for the header, at most 79 letters of ASCII
    """
    frames = array if times is not None else array[None]
    header = _header(array, grid, times)
    header["descrip"] = description.encode("ascii", "replace")[:79]
    with _create(path) as stream:
        header.write_to(stream)
        for frame, volume in enumerate(frames):
            stream.write(np.ascontiguousarray(volume).data)
            progress((frame + 1) / len(frames), f"writing {path.name}")


def _header(array: np.ndarray, grid: Grid, times: np.ndarray | None) -> nibabel.Nifti1Header:
    import nibabel

    header = nibabel.Nifti1Header(endianness="<")
    header["magic"] = b"n+1"
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape[::-1])
    header.set_data_offset(352)
    header.set_slope_inter(1.0, 0.0)
    zooms = [*grid.spacing]
    if times is not None:
        zooms.append(float(np.median(np.diff(times))))
        header["toffset"] = times[0]
    header.set_zooms(zooms)
    # strip_shears: a qform is a rotation; the sform beside it keeps the exact matrix.
    header.set_qform(grid.ijk_to_ras, _SCANNER, strip_shears=True)
    header.set_sform(grid.ijk_to_ras, _SCANNER)
    header.set_xyzt_units("mm", "sec")
    return header


def _create(path: Path) -> BufferedIOBase:
    if path.name.lower().endswith(".gz"):
        # Without the time of writing in it, the same data make the same file.
        return gzip.GzipFile(path, "wb", _COMPRESSION, mtime=0)
    return open(path, "wb")
