"""Voxels from a stream of bytes, one frame or one slice at a time.

A series is read strictly forward: going back in a compressed file means to decompress it from its start again, and
reading it whole means to hold it twice.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress

#: Compressed data that grow more than so many times are no measurement: noise hardly compresses, and air is a part of
#: an image only. Small ones, such as masks, may grow as they like.
MOST_EXPANSION = 200
FREE_EXPANSION = 256 << 20

#: Bytes that a file may hold before its voxels.
LONGEST_PREFIX = 64 << 20


@dataclass(frozen=True)
class Encoding:
    """How stored numbers become the signal: `slope * stored + intercept`."""

    dtype: np.dtype
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def scales(self) -> bool:
        """Whether stored numbers and signal differ."""
        return (self.slope, self.intercept) != (1.0, 0.0)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turns what libraries raise for damaged files into one sentence.

    :raises InputError: the file ends early, its compression is damaged, or the system cannot read it
    """
    try:
        yield
    except EOFError as error:
        raise _truncated(name) from error
    except zlib.error as error:
        raise InputError(name, "is damaged: its compressed data cannot be read", "copy or export it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(name, f"cannot be read ({reason})", "copy or export it again") from error


def check_capacity(name: str, path: Path, needed: int, offset: int = 0, compressed: bool = False) -> None:
    """Refuse a header that promises more voxels than its file can hold, before there is memory for them.

    :param name: what messages call it
    :param path: of the voxels
    :param needed: bytes of all voxels
    :param offset: of the first of them, in the file
    :raises InputError: the file is too short
    """
    with readable(name):
        held = path.stat().st_size - offset
    if not compressed and needed > held:
        raise _truncated(name)
    if compressed and needed > max(FREE_EXPANSION, MOST_EXPANSION * held):
        fact = f"promises {needed / 1e6:.0f} MB of voxels in {max(held, 0) / 1e6:.3g} MB of compressed data"
        raise InputError(name, fact, "export it again, or uncompressed")


def fill_frames(signal: np.ndarray, stream: BufferedIOBase, encoding: Encoding, name: str, progress: Progress) -> None:
    """Fill (T, Z, Y, X) from a stream in which one whole frame follows the other."""
    for frame, volume in enumerate(signal):
        _fill(volume, _next_block(stream, encoding, volume.shape, name), encoding)
        progress((frame + 1) / len(signal), f"reading frame {frame + 1} of {len(signal)}")
    _check_end(stream)


def fill_interleaved(
    signal: np.ndarray, stream: BufferedIOBase, encoding: Encoding, name: str, progress: Progress
) -> None:
    """Fill (T, Z, Y, X) from a stream in which the frames of one voxel follow each other (list axis first)."""
    frames, slices, rows, columns = signal.shape
    for z in range(slices):
        block = _next_block(stream, encoding, (rows, columns, frames), name)
        _fill(signal[:, z], np.moveaxis(block, -1, 0), encoding)
        progress((z + 1) / slices, f"reading slice {z + 1} of {slices}")
    _check_end(stream)


def _next_block(stream: BufferedIOBase, encoding: Encoding, shape: tuple[int, ...], name: str) -> np.ndarray:
    size = int(np.prod(shape)) * encoding.dtype.itemsize
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        count = stream.readinto(view[filled:])
        if not count:
            raise _truncated(name)
        filled += count
    return np.frombuffer(buffer, encoding.dtype).reshape(shape)


def _fill(target: np.ndarray, stored: np.ndarray, encoding: Encoding) -> None:
    if encoding.scales:
        np.multiply(stored, encoding.slope, out=target, casting="unsafe")
        target += np.float32(encoding.intercept)
    else:
        target[...] = stored


def _check_end(stream: BufferedIOBase) -> None:
    """A compressed stream compares its check sum only when somebody reads on to its end."""
    stream.read(1)


def _truncated(name: str) -> InputError:
    return InputError(name, "ends before its last frame is complete", "copy or export it again")
