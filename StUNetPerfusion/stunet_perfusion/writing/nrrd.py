"""NRRD volumes, and sequences as 3D Slicer opens them.

The list axis comes first, which every version of Slicer reads (versions of 2025 and later also read it last).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from stunet_perfusion.reading.simulated_dose import attributes_of
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.progress import Progress, no_progress

_TYPES = {"u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32", "i4": "int32", "f4": "float"}
_COMPRESSION = 1


def write_nrrd_volume(path: Path, array: np.ndarray, grid: Grid) -> None:
    """Write (Z, Y, X)."""
    fields = {
        "sizes": " ".join(map(str, array.shape[::-1])),
        "space directions": _directions(grid),
        "kinds": "domain domain domain",
    }
    with open(path, "wb") as file:
        file.write(_header(array.dtype, 3, grid, fields, {}))
        with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as stream:
            stream.write(np.ascontiguousarray(array).data)


def write_nrrd_sequence(path: Path, series: DscSeries, progress: Progress = no_progress) -> None:
    """Write a series: times as index values in seconds, TE as Slicer's MultiVolume attribute (milliseconds)."""
    frames, slices, rows, columns = series.signal.shape
    fields = {
        "sizes": f"{frames} {columns} {rows} {slices}",
        "space directions": "none " + _directions(series.grid),
        "kinds": "list domain domain domain",
        "labels": '"time" "" "" ""',
        "units": '"s" "" "" ""',
    }
    attributes = {
        "DataNodeClassName": "vtkMRMLScalarVolumeNode",
        "axis 0 index type": "numeric",
        "axis 0 index values": " ".join(f"{time:.9g}" for time in series.times),
    }
    if series.echo_time is not None:
        attributes["MultiVolume.DICOM.EchoTime"] = f"{series.echo_time * 1000:.9g}"
    if series.simulated is not None:
        attributes |= attributes_of(series.simulated)
    with open(path, "wb") as file:
        file.write(_header(series.signal.dtype, 4, series.grid, fields, attributes))
        with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as stream:
            for z in range(slices):
                stream.write(np.ascontiguousarray(np.moveaxis(series.signal[:, z], 0, -1)).data)
                progress((z + 1) / slices, f"writing {path.name}")


def _header(dtype: np.dtype, dimension: int, grid: Grid, fields: dict[str, str], attributes: dict[str, str]) -> bytes:
    lines = [
        "NRRD0005",
        f"type: {_TYPES[dtype.str[1:]]}",
        f"dimension: {dimension}",
        "space: left-posterior-superior",
        *(f"{key}: {value}" for key, value in fields.items()),
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(grid.lps_origin)}",
        *(f"{key}:={value}" for key, value in attributes.items()),
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _directions(grid: Grid) -> str:
    return " ".join(_vector(grid.lps_direction[:, axis] * grid.spacing[axis]) for axis in range(3))


def _vector(numbers: np.ndarray) -> str:
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"
