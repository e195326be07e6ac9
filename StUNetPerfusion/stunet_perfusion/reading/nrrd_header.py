"""The text at the start of an NRRD file. Read here, since 3D Slicer brings no library for it.

The format is told at teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from io import BufferedIOBase
from typing import Any

import numpy as np

#: The newest version of the format that there is.
_NEWEST = 5

#: A longer header is no text.
_LONGEST_HEADER = 1 << 24


def read_header(file: BufferedIOBase) -> dict[str, Any]:
    """Read the header, and leave the file where the voxels begin.

    :returns: fields (`field: value`) and attributes (`key:=value`) by name. Numbers are numbers, lists are lists or
        arrays; `space directions` is an array of one row an axis, NaN where it is `none`. What is not used here, and
        all attributes, are strings.
    :raises ValueError: no NRRD file, a newer one, or a field that cannot be read
    """
    magic = file.readline(16).decode("ascii", "ignore")
    if not magic.startswith("NRRD") or int(magic[4:]) > _NEWEST:
        raise ValueError(f"'{magic.strip()}' is no NRRD file of a known version")
    header: dict[str, Any] = {}
    length = 0
    while line := file.readline(_LONGEST_HEADER):
        length += len(line)
        if length > _LONGEST_HEADER:
            raise ValueError("a header without an end")
        text = line.decode("utf-8", "ignore").rstrip()
        if not text:
            break
        if text.startswith("#"):
            continue
        name, colon, value = text.partition(":")
        name = name.strip()
        if not colon or name in header:
            raise ValueError(f"line '{text[:40]}' is no field, or a field that was there before")
        is_attribute = value.startswith("=")
        if is_attribute and (name in _PARSERS or name in _TEXTS):
            raise ValueError(f"'{name}' is a field, and stands as an attribute")
        parse = str if is_attribute else _PARSERS.get(name, str)
        header[name] = parse(value[is_attribute:].strip())
    return header


def _vector(text: str) -> np.ndarray:
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(f"'{text[:40]}' is no vector")
    return np.array([float(number) for number in text[1:-1].split(",")])


def _directions(text: str) -> np.ndarray:
    """(axes, 3) or (axes, 4)."""
    words = text.replace(" ", "").replace("none", " none ").replace(")", ") ").split()
    vectors = [None if word == "none" else _vector(word) for word in words]
    lengths = {len(vector) for vector in vectors if vector is not None}
    if len(lengths) != 1:
        raise ValueError(f"'{text[:40]}' holds no vectors of one length")
    nothing = np.full(lengths.pop(), np.nan)
    return np.array([nothing if vector is None else vector for vector in vectors])


def _integers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _numbers(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.split()])


#: Fields that are text.
_TEXTS = ("type", "encoding", "endian", "space", "data file", "datafile")

_PARSERS: dict[str, Callable[[str], Any]] = {
    "dimension": int,
    "line skip": int,
    "lineskip": int,
    "byte skip": int,
    "byteskip": int,
    "sizes": _integers,
    "spacings": _numbers,
    "kinds": str.split,
    "units": shlex.split,
    "space origin": _vector,
    "space directions": _directions,
}
