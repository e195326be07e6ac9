"""What a result was made from and with, so that it can be made again.

Inputs are known by the hashes of what is in them, and found by paths relative to the report. A path that names the
patient is not written; see `identity`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion import __version__
from stunet_perfusion.reading.report import ReportedInput
from stunet_perfusion.reading.report import sha256_of_array as sha256_of_array
from stunet_perfusion.reading.volume_files import natural_key
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.folders import files_below
from stunet_perfusion.support.identity import Identity
from stunet_perfusion.support.resources import RESOURCES
from stunet_perfusion.support.temporary import temporary_folder

#: Packages whose version can change a number.
_PACKAGES = ("numpy", "scipy", "torch", "SimpleITK", "scikit-image", "pydicom", "nibabel")

_IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr")
_BLOCK = 1 << 20


def versions() -> dict[str, str]:
    """Versions of everything whose version can change a number; packages that are not installed are left out."""
    found = {"stunet-perfusion": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def sha256_of_path(path: Path) -> str:
    """Hash of what a file or a folder of images holds, whatever they are called.

    A file is hashed as it is. Of a folder, the pixel data of every DICOM image are hashed, and the sorted hashes once
    more, so that neither names nor headers count; and in the order of their names the NIfTI and NRRD files, of which
    each may be a frame. What headers say is in `sha256_of_acquisition`.

    :returns: 64 hexadecimal digits
    :raises InputError: missing
    """
    if path.is_file():
        return _sha256(_blocks(path))
    if not path.is_dir():
        raise InputError(path, "does not exist", "check the path")
    files = sorted(files_below(path), key=natural_key)
    images = [_sha256(_blocks(file)) for file in files if file.name.lower().endswith(_IMAGE_ENDINGS)]
    pixels = sorted(digest for file in files if (digest := _sha256_of_pixels(file)) is not None)
    return _sha256(digest.encode("ascii") for digest in (*images, *pixels))


def sha256_of_acquisition(series: DscSeries) -> str:
    """Hash of what was understood besides the voxels: times, TE and geometry, from headers, sidecars and options.

    Times are rounded to a microsecond and geometry to a micrometer, so that rounding in a header does not count.
    """
    document = {
        "times": np.round(series.times, 6).tolist(),
        "echo_time": series.echo_time,
        "shape": [series.frames, *series.grid.shape],
        # + 0.0 turns -0.0 into 0.0
        "ijk_to_ras": (np.round(series.grid.ijk_to_ras, 3) + 0.0).tolist(),
    }
    return _sha256([json.dumps(document, sort_keys=True).encode("ascii")])


def describe_files(files: Mapping[str, Path | None], folder: Path | None, identity: Identity) -> dict[str, Any]:
    """Where the inputs of a run are, and what is in them.

    :param files: role to path; roles without one are left out
    :param folder: where the report will be: paths are relative to it. None leaves them out
    :param identity: of the patient, whom no path may name
    :returns: role to `{"path": ..., "sha256": ...}`; a file that ships with the program has `shipped` instead of
        `path`, and one whose path names the patient neither
    :raises InputError: a file that is missing
    """
    return {role: _describe_file(path, folder, identity) for role, path in files.items() if path is not None}


def find_file(entry: ReportedInput, report: Path) -> Path | None:
    """The path of an input from its description, or None where the report does not say.

    :param report: its path
    :raises InputError: it says what is no path
    """
    if "\0" in f"{entry.shipped}{entry.path}":
        raise InputError(report, "names an input by what is no path", "use a report that this program wrote")
    if entry.shipped:
        path = Path(os.path.normpath(RESOURCES / entry.shipped))
        if not path.is_relative_to(RESOURCES):
            fact = "names a file as the program's own that is not"
            raise InputError(report, fact, "use a report that this program wrote")
        return path
    return None if entry.path is None else Path(os.path.normpath(report.parent / entry.path))


def _describe_file(path: Path, folder: Path | None, identity: Identity) -> dict[str, Any]:
    digest = sha256_of_path(path)
    if path.resolve().is_relative_to(RESOURCES):
        return {"shipped": path.resolve().relative_to(RESOURCES).as_posix(), "sha256": digest}
    if folder is None:
        return {"sha256": digest}
    relative = _relative(path, folder)
    return ({} if identity.is_named_in(relative) else {"path": relative}) | {"sha256": digest}


def _relative(path: Path, folder: Path) -> str:
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # Another drive of Windows.
        return path.as_posix()


def _sha256_of_pixels(file: Path) -> str | None:
    """None where the file is no DICOM image."""
    from stunet_perfusion.support.dicom_dataset import is_deflated, pixel_blocks

    try:
        if not is_deflated(file):
            pixels = pixel_blocks(file, file.parent)
            return None if pixels is None else _sha256(pixels)
        with temporary_folder() as folder:
            pixels = pixel_blocks(file, folder)
            return None if pixels is None else _sha256(pixels)
    except MemoryError:
        raise
    except Exception:  # no DICOM file, or a damaged one
        return None


def _blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _sha256(blocks: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()
