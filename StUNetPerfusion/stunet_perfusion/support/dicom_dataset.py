"""The header of a DICOM file, of which no more is taken into memory than a header has.

A file of the deflated transfer syntax is compressed as a whole: a megabyte of it may become gigabytes. It is inflated
as far as its header goes, and for its pixels into a temporary file of the size that the header tells.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom import uid
from pydicom.errors import InvalidDicomError

#: Bytes of an inflated header; those of thousands of frames have a few.
LARGEST_HEADER = 64 << 20

_PREAMBLE = 128
#: Where the value of the length of the group of meta information is, and where that group begins to be counted.
_LENGTH, _AFTER_LENGTH = slice(140, 144), 144
_BLOCK = 1 << 20
_PIXEL_DATA = 0x7FE00010
_DEFLATED = str(uid.DeflatedExplicitVRLittleEndian).encode("ascii")
#: The element before its value: tag, type, length.
_TRANSFER_SYNTAX = b"\x02\0\x10\0UI" + len(_DEFLATED).to_bytes(2, "little")


def read_header(path: Path, tags: Sequence[Any] | None = None) -> pydicom.Dataset:
    """What is before the pixels.

    :param tags: what is wanted; None takes all
    :raises InvalidDicomError: no DICOM file
    :raises Exception: what pydicom raises for damaged files
    """
    specific = None if tags is None else list(tags)
    if not is_deflated(path):
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=specific)
    with open(path, "rb") as file:
        meta = _meta(file)
        inflated = bytearray()
        for block in _inflated(file):
            inflated += block
            if len(inflated) > LARGEST_HEADER:
                break
    return pydicom.dcmread(BytesIO(_as_not_deflated(meta) + inflated), stop_before_pixels=True, specific_tags=specific)


def is_deflated(path: Path) -> bool:
    """Whether a file says of itself that it is compressed as a whole."""
    with open(path, "rb") as file:
        return _TRANSFER_SYNTAX + _DEFLATED in file.read(4096)


@contextmanager
def inflated_file(path: Path, folder: Path) -> Iterator[Path]:
    """A deflated file as one that is not, for its pixels.

    :param folder: where it may be written for a moment
    :raises ValueError: it grows larger than its header tells
    """
    header = read_header(path, ("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "SamplesPerPixel"))
    pixels = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
    room = pixels * (int(header.BitsAllocated) + 7) // 8 * int(header.get("SamplesPerPixel") or 1) + LARGEST_HEADER
    target = folder / "inflated.dcm"
    with open(path, "rb") as file, open(target, "wb") as written:
        written.write(_as_not_deflated(_meta(file)))
        for block in _inflated(file):
            room -= len(block)
            if room < 0:
                raise ValueError("compressed data that grow larger than their header tells")
            written.write(block)
    yield target


def _meta(file: Any) -> bytes:
    """The start of a file up to its compressed part, where the file is left."""
    start = file.read(_AFTER_LENGTH)
    if start[_PREAMBLE : _PREAMBLE + 4] != b"DICM" or start[132:138] != b"\x02\0\0\0UL":
        raise InvalidDicomError("no DICOM file")
    length = int.from_bytes(start[_LENGTH], "little")
    if length > _BLOCK:
        raise ValueError("meta information of more than a megabyte")
    return start + file.read(length)


def _as_not_deflated(meta: bytes) -> bytes:
    """The same with another transfer syntax. Both are of the same length, filled up with zero bytes."""
    plain = str(uid.ExplicitVRLittleEndian).encode("ascii")
    place = meta.index(_DEFLATED)
    return meta[:place] + plain.ljust(len(_DEFLATED), b"\0") + meta[place + len(_DEFLATED) :]


def _inflated(file: Any) -> Iterator[bytes]:
    """The rest of a file, inflated block by block."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while block := file.read(_BLOCK):
        while block and not inflate.eof:
            yield inflate.decompress(block, _BLOCK)
            block = inflate.unconsumed_tail
        if inflate.eof:
            return
    if rest := inflate.flush():
        yield rest


def pixel_blocks(path: Path, folder: Path) -> Iterator[bytes] | None:
    """The value of a file's pixel data, block by block; None where it has none.

    :param folder: where a deflated file may be written for a moment
    :raises InvalidDicomError: no DICOM file
    """
    if is_deflated(path):
        return _inflated_pixels(path, folder)
    with open(path, "rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["Rows"])
        syntax = uid.UID(str(dataset.file_meta.get("TransferSyntaxUID") or uid.ImplicitVRLittleEndian))
        place = file.tell()
    if syntax.is_compressed:
        value = pydicom.dcmread(path, specific_tags=["PixelData"]).get("PixelData")
        return None if value is None else iter([value])
    return _native_pixels(path, place, syntax)


def _inflated_pixels(path: Path, folder: Path) -> Iterator[bytes] | None:
    with inflated_file(path, folder) as inflated:
        return pixel_blocks(inflated, folder)


def _native_pixels(path: Path, place: int, syntax: uid.UID) -> Iterator[bytes] | None:
    """The value of the element at `place`, as it is in the file."""
    order: Any = "little" if syntax.is_little_endian else "big"
    with open(path, "rb") as file:
        file.seek(place)
        head = file.read(8 if syntax.is_implicit_VR else 12)
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag != _PIXEL_DATA:
        return None
    return _blocks(path, place + len(head), int.from_bytes(head[-4:], order))


def _blocks(path: Path, place: int, length: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        file.seek(place)
        while length and (block := file.read(min(length, _BLOCK))):
            length -= len(block)
            yield block
