"""NRRD volumes, and NRRD sequences as 3D Slicer, SimpleITK and others write them."""

from __future__ import annotations

import bz2
import gzip
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.reading.nrrd_header import read_header
from stunet_perfusion.reading.nrrd_times import sequence_times
from stunet_perfusion.reading.recording import Recording, check_grid, empty_signal
from stunet_perfusion.reading.simulated_dose import simulated_dose_of_attributes
from stunet_perfusion.reading.stream import (
    LONGEST_PREFIX,
    Encoding,
    check_capacity,
    fill_frames,
    fill_interleaved,
    readable,
)
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress

#: What turns coordinates of each space into left-posterior-superior.
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}

#: Kinds of an axis along which space extends. Every other kind (list, vector, time ...) is a list of frames.
_SPATIAL_KINDS = ("domain", "space")

#: mm; larger steps from voxel to voxel overflow when they are squared.
_LARGEST_STEP = 1e6

_BLOCK = 1 << 16

_NOT_NRRD = "is not an NRRD file, whatever its name says"

#: The format's names for each type of number.
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}


def open_nrrd(path: Path) -> Recording:
    """Read the header of a volume (one frame) or a sequence with its list axis first or last.

    :raises InputError: no NRRD file, damaged, or of an encoding or layout that is not known
    """
    header, offset = _read_header(path)
    dimension, sizes = int(header["dimension"]), [int(n) for n in header["sizes"]]
    if dimension not in (3, 4) or len(sizes) != dimension or min(sizes) < 1:
        raise InputError(path.name, f"has {dimension} dimensions", "give a sequence of volumes, or a volume")
    list_axis = _list_axis(header, path.name) if dimension == 4 else None
    frames = 1 if list_axis is None else sizes[list_axis]
    spatial = [axis for axis in range(dimension) if axis != list_axis]
    grid, notes = _grid(header, [sizes[axis] for axis in spatial], spatial, path.name)
    check_grid(path.name, grid)
    times, echo_time, time_notes = sequence_times(header, frames, list_axis)
    encoding = _encoding(header, path.name)
    fill = fill_interleaved if list_axis == 0 else fill_frames
    size = encoding.dtype.itemsize * math.prod(sizes)

    def load(progress: Progress) -> np.ndarray:
        signal = empty_signal(path.name, frames, grid)
        with readable(path.name), _open_data(path, header, offset, size) as data:
            fill(signal, data, encoding, path.name, progress)
        return signal

    simulated = simulated_dose_of_attributes(path.name, header)
    return Recording(frames, grid, times, echo_time, (*notes, *time_notes), load, simulated)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where in the file it ends."""
    try:
        with readable(path.name), open(path, "rb") as file:
            header = read_header(file)
            offset = file.tell()
        for field in ("dimension", "sizes", "type", "encoding"):
            if field not in header:
                raise InputError(path.name, f"has no '{field}' in its header", "export it again")
    except InputError:
        raise
    except ValueError as error:
        with open(path, "rb") as file:
            fact = "has a header that cannot be read" if file.read(4) == b"NRRD" else _NOT_NRRD
        raise InputError(path.name, fact, "give an NRRD file, or export it again") from error
    return header, offset


def _list_axis(header: dict[str, Any], name: str) -> int:
    """Which of four axes counts the frames.

    :raises InputError: none or several could, or it is neither the first nor the last
    """
    kinds = [str(kind).lower() for kind in header.get("kinds", ["domain"] * 4)]
    candidates = [axis for axis, kind in enumerate(kinds) if kind not in _SPATIAL_KINDS]
    if not candidates:
        # SimpleITK writes four 'domain' axes, and time is the last.
        directions = header.get("space directions")
        without = [] if directions is None else [axis for axis, row in enumerate(directions) if np.isnan(row).all()]
        candidates = without or [3]
    if len(candidates) != 1 or candidates[0] not in (0, 3):
        raise InputError(
            name,
            f"has axes of the kinds {', '.join(kinds)}, of which none is clearly that of the frames",
            "write it with 'kinds: list domain domain domain'",
        )
    return candidates[0]


def _grid(header: dict[str, Any], sizes: list[int], spatial: list[int], name: str) -> tuple[Grid, tuple[str, ...]]:
    """The grid from the three axes `spatial`, whose lengths are `sizes`, and notes."""
    shape = sizes[::-1]
    directions = header.get("space directions")
    if directions is None:
        spacings = np.asarray(header.get("spacings", np.ones(int(header["dimension"]))), dtype=float)[spatial]
        spacing = np.where(np.isfinite(spacings) & (spacings > 0), spacings, 1.0)
        note = "The file does not say where its voxels are in the patient; left and right may be swapped."
        return Grid.from_lps(shape, np.zeros(3), spacing, np.eye(3)), (note,)
    try:
        steps = np.array([directions[axis][:3] for axis in spatial], dtype=float).T
        origin = np.asarray(header.get("space origin", np.zeros(3)), dtype=float)[:3]
    except (TypeError, IndexError) as error:
        raise InputError(name, "has a geometry that is not three-dimensional", "export it again") from error
    largest = np.abs(steps).max(axis=0, initial=0) if steps.shape == (3, 3) else np.zeros(3)
    if not ((largest > 0) & (largest < _LARGEST_STEP)).all():
        raise InputError(name, "has a geometry that is not invertible", "export or convert it again")
    space = str(header.get("space", "left-posterior-superior")).lower()
    signs = next((signs for known, signs in _TO_LPS.items() if space in (known, known + "-time", known + "t")), None)
    notes: tuple[str, ...] = ()
    if signs is None:
        signs = _TO_LPS["left-posterior-superior"]
        notes = (f"The file's space '{space}' is not that of a patient; taken as left-posterior-superior.",)
    to_lps = np.array(signs, dtype=float)
    spacing = np.linalg.norm(steps, axis=0)
    grid = Grid.from_lps(shape, to_lps * np.nan_to_num(origin), spacing, to_lps[:, None] * steps / spacing)
    return grid, notes


def _encoding(header: dict[str, Any], name: str) -> Encoding:
    kind = next((kind for kind, names in _TYPES.items() if header["type"] in names), None)
    endian = {"little": "<", "big": ">"}.get(str(header.get("endian", "little")).lower())
    if kind is None or endian is None:
        raise InputError(name, f"holds voxels of type '{header['type']}'", "export it with plain numbers")
    return Encoding(np.dtype(endian + kind))


@contextmanager
def _open_data(path: Path, header: dict[str, Any], offset: int, size: int) -> Iterator[BufferedIOBase]:
    """The stream of voxels, which are behind the header or in a file of their own.

    :param size: bytes of all voxels
    """
    detached = header.get("data file", header.get("datafile"))
    if detached is not None:
        if detached.split()[:1] == ["LIST"] or "%" in detached:
            raise InputError(path.name, "keeps its voxels in many files", "save it as one .nrrd file")
        path, offset = path.parent / detached, 0
        if not path.is_file():
            raise InputError(path, "does not exist, and the header needs it for its voxels", "put both in one folder")
    encoding = str(header["encoding"]).lower()
    lines = int(header.get("line skip", header.get("lineskip", 0)))
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    if lines < 0 or skip < (-1 if encoding == "raw" else 0) or skip > LONGEST_PREFIX:
        raise InputError(path.name, f"skips {lines} lines and {skip} bytes before its voxels", "export it again")
    with open(path, "rb") as file:
        file.seek(offset)
        _skip_lines(file, lines, path.name)
        if encoding == "raw":
            check_capacity(path.name, path, size, 0 if skip == -1 else file.tell() + skip)
            file.seek(-size, os.SEEK_END) if skip == -1 else file.seek(skip, os.SEEK_CUR)
            yield file
            return
        if encoding in ("gzip", "gz"):
            stream: BufferedIOBase = gzip.GzipFile(fileobj=file, mode="rb")
        elif encoding in ("bzip2", "bz2"):
            stream = bz2.BZ2File(file)
        else:
            raise InputError(path.name, f"has the encoding '{encoding}'", "save it with encoding raw or gzip")
        check_capacity(path.name, path, size, file.tell(), compressed=True)
        with stream:
            stream.seek(skip)
            yield stream


def _skip_lines(file: BufferedIOBase, count: int, name: str) -> None:
    """Leave the file behind so many lines, of which each may be long."""
    while count:
        block = file.read(_BLOCK)
        if not block:
            raise InputError(name, "ends before the lines that its header skips", "export it again")
        ends = block.count(b"\n")
        if ends < count:
            count -= ends
            continue
        place = -1
        for _ in range(count):
            place = block.index(b"\n", place + 1)
        file.seek(place + 1 - len(block), os.SEEK_CUR)
        return
