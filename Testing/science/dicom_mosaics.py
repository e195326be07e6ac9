"""Siemens mosaics with their private CSA header."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset

from science.dicom_datasets import (
    START,
    add_mr_tags,
    add_place,
    decimal,
    new_object,
    save,
    series_dataset,
    slice_position,
    stored,
    time_of_day,
)
from science.dicom_encodings import jpeg_2000
from stunet_perfusion.series import DscSeries

#: A check number that Siemens writes behind the numbers of a CSA header.
_CHECK = 77

#: A tag with values has at least so many items, of which the last ones are empty.
_FEWEST_ITEMS = 6


def ascending(folder: Path, series: DscSeries) -> None:
    """As product sequences write them: the lowest slice first."""
    _write(folder, series)


def descending(folder: Path, series: DscSeries) -> None:
    """The slices run against the normal of rows and columns, and the number of them is in the private header only."""
    _write(folder, series, reverse=True, number_of_images_tag=False)


def old_private_header(folder: Path, series: DscSeries) -> None:
    """The first version of the private header, as scanners before syngo MR B wrote it."""
    _write(folder, series, number_of_images_tag=False, csa=csa_version_1)


def in_jpeg_2000(folder: Path, series: DscSeries) -> None:
    """Compressed by an archive."""
    _write(folder, series, finish=jpeg_2000)


def mosaic_of(volume: np.ndarray) -> np.ndarray:
    """The slices of (Z, Y, X) side by side, row by row, in the smallest square that holds them."""
    slices, rows, columns = volume.shape
    tiles = math.ceil(math.sqrt(slices))
    mosaic = np.zeros((tiles * rows, tiles * columns), volume.dtype)
    for z, image in enumerate(volume):
        row, column = divmod(z, tiles)
        mosaic[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns] = image
    return mosaic


def csa_version_2(tags: Mapping[str, Sequence[str]]) -> bytes:
    """The private header as syngo MR B and later write it."""
    return b"SV10\4\3\2\1" + _csa(tags, 0)


def csa_version_1(tags: Mapping[str, Sequence[str]]) -> bytes:
    """The private header as syngo MR A writes it: the first tag's number of items is added to every length."""
    return _csa(tags, _FEWEST_ITEMS)


def _csa(tags: Mapping[str, Sequence[str]], added: int) -> bytes:
    content = struct.pack("<2I", len(tags), _CHECK)
    for name, values in tags.items():
        items = [value.encode() + b"\0" for value in values]
        items += [b""] * (_FEWEST_ITEMS - len(items) if items else 0)
        content += struct.pack("<64si4s3i", name.encode(), len(values), b"FD\0\0", 4, len(items), _CHECK)
        for text in items:
            length = len(text) + added
            content += struct.pack("<4i", length, length, _CHECK, length) + text + bytes(-len(text) % 4)
    return content


def _write(
    folder: Path,
    series: DscSeries,
    *,
    reverse: bool = False,
    number_of_images_tag: bool = True,
    csa: Callable[[Mapping[str, Sequence[str]]], bytes] = csa_version_2,
    finish: Callable[[FileDataset], None] = lambda dataset: None,
) -> None:
    common = series_dataset(series, maker="SIEMENS", model="TrioTim", description="ep2d_perf_moco")
    common.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    slices = series.grid.shape[0]
    names = np.random.default_rng(3).permutation(series.frames)
    for frame in range(series.frames):
        dataset = new_object(common)
        add_mr_tags(dataset, series)
        add_place(dataset, series, 0)
        volume = stored(series.signal[frame])
        mosaic = mosaic_of(volume[::-1] if reverse else volume)
        dataset.Rows, dataset.Columns = mosaic.shape
        dataset.PixelData = mosaic.tobytes()
        position = _mosaic_position(series, slices - 1 if reverse else 0, mosaic.shape)
        dataset.ImagePositionPatient = [decimal(value) for value in position]
        dataset.AcquisitionTime = time_of_day(START + series.times[frame])
        dataset.AcquisitionNumber = dataset.InstanceNumber = frame + 1
        if number_of_images_tag:
            dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", slices)
        normal = series.grid.lps_direction[:, 2] * (-1 if reverse else 1)
        tags = {
            "EchoLinePosition": ["64", "64"],
            "NumberOfImagesInMosaic": [str(slices)],
            "UsedChannelMask": [],
            "SliceNormalVector": [f"{value:.8f}" for value in normal],
            "ProtocolSliceNumber": ["0"],
        }
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa(tags))
        finish(dataset)
        save(dataset, folder, f"{names[frame]:06d}.IMA")


def _mosaic_position(series: DscSeries, first: int, shape: tuple[int, int]) -> np.ndarray:
    """(3,) where the first pixel of the mosaic would be if its middle were that of the first slice, mm."""
    spacing, direction = series.grid.spacing, series.grid.lps_direction
    _, rows, columns = series.grid.shape
    half = np.array([(shape[1] - columns) / 2, (shape[0] - rows) / 2])
    return slice_position(series, first) - direction[:, :2] @ (half * spacing[:2])
