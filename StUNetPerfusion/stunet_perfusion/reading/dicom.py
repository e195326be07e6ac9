"""MR series in DICOM: folders of files, one a slice and frame, mosaics, and enhanced (multi-frame) objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stunet_perfusion.reading.dicom_choice import images_of_one_series
from stunet_perfusion.reading.dicom_files import DicomFile, read_file, read_files
from stunet_perfusion.reading.dicom_frames import sort_into_frames
from stunet_perfusion.reading.dicom_geometry import LEAST_MOVEMENT, grid_of, movement, slices_of
from stunet_perfusion.reading.dicom_headers import ImageHeader
from stunet_perfusion.reading.dicom_pixels import stored_frames
from stunet_perfusion.reading.recording import Recording, empty_signal
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress


def open_dicom(path: Path, progress: Progress, wanted: str | None = None) -> Recording:
    """Read all headers, and decide slices, frames, times and geometry.

    :param path: a folder, or one file that holds a whole series
    :param wanted: UID, number or description of the series; None where there is but one
    :raises InputError: no series or several; slices or frames missing, doubled, or of different geometry
    """
    files = read_files(path, progress) if path.is_dir() else _whole_series(path)
    return _recording(path, files, wanted)


def open_dicom_files(paths: Sequence[Path], progress: Progress) -> Recording:
    """`open_dicom` for the files of one series, wherever they lie, as a DICOM database knows them.

    :raises InputError: none is a DICOM image, or as `open_dicom`
    """
    files = [file for path in paths if (file := read_file(path)) is not None]
    if not files:
        raise InputError(paths[0].parent, "holds no DICOM images", "choose a DICOM series")
    progress(1.0, "read DICOM headers")
    return _recording(paths[0].parent, files, None)


def _recording(path: Path, files: list[DicomFile], wanted: str | None) -> Recording:
    images, notes = images_of_one_series(path, files, wanted)
    slices = slices_of(path.name, images)
    frames = sort_into_frames(path.name, slices)
    moved = movement(slices)
    grid = grid_of(frames.table[0] if moved > LEAST_MOVEMENT else [of_slice[0] for of_slice in slices])
    if moved > LEAST_MOVEMENT:
        notes = (
            *notes,
            f"The slices were moved by up to {moved:.2g} mm in mid-series (table, or prospective motion correction).",
        )

    def load(progress: Progress) -> np.ndarray:
        signal = empty_signal(path.name, len(frames.table), grid)
        _fill(signal, frames.table, progress)
        return signal

    return Recording(len(frames.table), grid, frames.times, images[0].echo_time, (*notes, *frames.notes), load)


def _whole_series(path: Path) -> list[DicomFile]:
    """A file that holds many images.

    :raises InputError: it holds one of them, or none
    """
    file = read_file(path)
    if file is None or (file.problem is None and len(file.images) == 1):
        raise InputError(path, "is one file of a DICOM series", "give the folder that holds all of them")
    return [file]


def _fill(signal: np.ndarray, table: list[list[ImageHeader]], progress: Progress) -> None:
    """Fill (T, Z, Y, X), reading every file once and holding one frame of it.

    :param table: for every frame its slices
    """
    files: dict[Path, list[tuple[ImageHeader, np.ndarray]]] = {}
    for volume, row in zip(signal, table, strict=True):
        for target, image in zip(volume, row, strict=True):
            files.setdefault(image.source.path, []).append((image, target))
    read, total = 0, signal.shape[0] * signal.shape[1]
    for path, images in files.items():
        wanted: dict[int, list[tuple[ImageHeader, np.ndarray]]] = defaultdict(list)
        for image, target in images:
            wanted[image.source.frame].append((image, target))
        for number, stored in enumerate(stored_frames(path, images[0][0].source.transfer_syntax)):
            for image, target in wanted.pop(number, ()):
                _rescale(stored, image, target)
                read += 1
            progress(read / total, f"reading image {read} of {total}")
        if wanted:
            raise InputError(
                path.name, f"ends before its frame {min(wanted) + 1} is complete", "copy or export it again"
            )


def _rescale(stored: np.ndarray, image: ImageHeader, target: np.ndarray) -> None:
    """Fill (Y, X) with the signal of an image, from what is stored of it or of the mosaic that it is in."""
    if image.source.corner is not None:
        row, column = image.source.corner
        stored = stored[row : row + image.shape[0], column : column + image.shape[1]]
    if stored.shape != image.shape:
        raise InputError(image.name, "has pixels that do not fit its header", "export the series again")
    np.multiply(stored, np.float32(image.slope), out=target, casting="unsafe")
    target += np.float32(image.intercept)
