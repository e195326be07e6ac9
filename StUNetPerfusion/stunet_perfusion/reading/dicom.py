"""A folder of single-frame MR DICOM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from stunet_perfusion.errors import InputError
from stunet_perfusion.progress import Progress
from stunet_perfusion.reading.dicom_frames import sort_into_frames
from stunet_perfusion.reading.dicom_geometry import grid_of, slices_of
from stunet_perfusion.reading.dicom_headers import ImageHeader, one_series, read_headers
from stunet_perfusion.reading.recording import Recording, empty_signal
from stunet_perfusion.reading.stream import readable


def open_dicom_folder(folder: Path, progress: Progress) -> Recording:
    """Read all headers, and decide slices, frames, times and geometry.

    :raises InputError: no series or several; slices or frames missing, doubled, or of different geometry
    """
    headers = one_series(folder, read_headers(folder, progress))
    slices = slices_of(folder.name, headers)
    frames = sort_into_frames(folder.name, slices)
    grid = grid_of([of_slice[0] for of_slice in slices])

    def load(progress: Progress) -> np.ndarray:
        signal = empty_signal(folder.name, len(frames.table), grid)
        for frame, row in enumerate(frames.table):
            for z, header in enumerate(row):
                signal[frame, z] = _pixels(header)
            progress((frame + 1) / len(frames.table), f"reading frame {frame + 1} of {len(frames.table)}")
        return signal

    return Recording(len(frames.table), grid, frames.times, headers[0].echo_time, frames.notes, load)


def _pixels(header: ImageHeader) -> np.ndarray:
    """(Y, X) float32 signal of one file."""
    name = header.path.name
    with readable(name):
        dataset = pydicom.dcmread(header.path)
    try:
        stored = dataset.pixel_array
    except (AttributeError, ValueError, NotImplementedError, RuntimeError, KeyError) as error:
        syntax = getattr(dataset.file_meta.get("TransferSyntaxUID"), "name", "unknown")
        way_out = "copy it again, or decompress the series first (for example with gdcmconv --raw)"
        raise InputError(name, f"has pixels that cannot be decoded ({syntax})", way_out) from error
    if stored.shape != header.shape:
        raise InputError(name, "has pixels that do not fit its header", "export the series again")
    return stored.astype(np.float32) * np.float32(header.slope) + np.float32(header.intercept)
