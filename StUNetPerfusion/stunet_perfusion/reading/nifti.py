"""NIfTI-1 and NIfTI-2, `.nii` and `.nii.gz`."""

from __future__ import annotations

import gzip
import math
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from stunet_perfusion.reading.nifti_header import NiftiHeader, read_header
from stunet_perfusion.reading.recording import Recording, check_grid, empty_signal
from stunet_perfusion.reading.stream import Encoding, check_capacity, fill_frames, readable
from stunet_perfusion.reading.timing import seconds_in, unknown_unit
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress

#: What software writes as the frame interval where it does not know it.
_PLACEHOLDER_INTERVAL = 1.0


def open_nifti(path: Path) -> Recording:
    """Read the header of a volume (one frame) or a series.

    :raises InputError: no NIfTI file, or one that holds no volume or series of plain numbers
    """
    header = _header(path)
    shape = header.shape
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise InputError(
            path.name, f"has {len(shape)} dimensions ({_by(shape)})", "give a series of x, y, z and time, or a volume"
        )
    if header.dtype is None:
        fact = f"holds voxels of NIfTI's type {header.type_code}, not plain numbers"
        raise InputError(path.name, fact, "export it as a magnitude image")
    columns, rows, slices = shape[:3]
    grid = check_grid(path.name, Grid((slices, rows, columns), header.ijk_to_ras))
    frames = shape[3] if len(shape) == 4 else 1
    times, notes = _times(header, frames)
    encoding = Encoding(header.dtype, header.slope, header.intercept)
    size = header.dtype.itemsize * math.prod(shape)
    compressed = path.name.lower().endswith(".gz")

    def load(progress: Progress) -> np.ndarray:
        check_capacity(path.name, path, size, 0 if compressed else header.offset, compressed)
        signal = empty_signal(path.name, frames, grid)
        with readable(path.name), _open(path) as stream:
            stream.seek(header.offset)
            fill_frames(signal, stream, encoding, path.name, progress)
        return signal

    return Recording(frames, grid, times, None, notes + _geometry_notes(header), load)


def _header(path: Path) -> NiftiHeader:
    try:
        with readable(path.name), open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if packed != path.name.lower().endswith(".gz"):
            raise ValueError("not compressed as its name says")
        with readable(path.name), _open(path) as stream:
            return read_header(stream)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            path.name, "is not a NIfTI file, whatever its name says", "give a NIfTI file, or export it again"
        ) from error


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")


def _times(header: NiftiHeader, frames: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """(T,) seconds and notes; None where the header does not say."""
    interval, unit = header.interval, header.time_unit
    if frames < 2 or not (np.isfinite(interval) and interval > 0):
        return None, ()
    notes: tuple[str, ...] = ()
    seconds = seconds_in(unit)
    if seconds is None:
        if unit != "unknown" or interval == _PLACEHOLDER_INTERVAL:
            return None, ()
        seconds, note = unknown_unit(interval)
        notes = (note,)
    # The header holds 32-bit numbers; 1.4 s must not become 1.399999976 s.
    interval = float(np.format_float_positional(np.float32(interval))) * seconds
    start = header.start * seconds if np.isfinite(header.start) else 0.0
    return start + np.arange(frames) * interval, notes


def _geometry_notes(header: NiftiHeader) -> tuple[str, ...]:
    if header.sform is None and header.qform is None:
        return ("The file does not say where its voxels are in the patient; left and right may be swapped.",)
    if header.sform is not None and header.qform is not None:
        corners = np.array([[0, 0, 0, 1], [*(np.array(header.shape[:3]) - 1), 1]], dtype=float).T
        apart = np.abs((header.sform - header.qform) @ corners).max()
        if apart > 1:
            return (f"The file's two geometries (sform, qform) are up to {apart:.0f} mm apart; its sform is used.",)
    return ()


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
