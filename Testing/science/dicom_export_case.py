"""A patient's DICOM series, and maps on its grid whose every number is known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset

from science.dicom_folder import write_dicom_folder
from science.synthetic import make_series, oblique_grid
from stunet_perfusion.dicom_export import MapOrigin
from stunet_perfusion.series import Grid

#: (Z, Y, X), all different.
SHAPE = (5, 14, 11)
FRAMES = 20

#: What `grid_named` knows.
GRIDS = ("axial", "oblique", "double oblique", "sagittal")

ORIGIN = MapOrigin("stU-Net", "stunet.safetensors", "0123456789abcdef" * 4, 0.25, "noise-matched", "0.1.0")

#: What the source says of its patient. Nothing of it may be anywhere but in DICOM files.
PATIENT = {
    "PatientName": "Lovelace^Ada",
    "PatientID": "HOSP-48151623",
    "PatientBirthDate": "18151210",
    "PatientSex": "F",
    "AccessionNumber": "ACC4242424",
    "StudyID": "S77",
    "StudyDate": "20240229",
    "StudyTime": "101112",
    "StudyDescription": "MR brain with contrast",
    "ReferringPhysicianName": "Babbage^Charles",
    "PatientAge": "036Y",
    "PatientWeight": "61.5",
}
#: What it says of where it was taken, which is no business of a derived object.
PLACE = {
    "InstitutionName": "Analytical Engine Hospital",
    "StationName": "MRC25017",
    "OperatorsName": "Menabrea^Luigi",
    "Manufacturer": "SCANNERMAKER",
    "DeviceSerialNumber": "SN-998877",
}


def grid_named(name: str) -> Grid:
    """`axial`, `oblique` (tilted about one axis), `double oblique` with unequal pixels, or `sagittal`."""
    origin = np.array([-104.53125, 87.0001, -33.333333])
    if name == "axial":
        return Grid.from_lps(SHAPE, origin, np.array([1.71875, 1.71875, 5.0]), np.eye(3))
    if name == "oblique":
        return oblique_grid(SHAPE)
    if name == "sagittal":
        direction = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
        return Grid.from_lps(SHAPE, origin, np.array([0.9375, 0.9375, 4.0]), direction)
    axes, _ = np.linalg.qr(np.array([[1.0, 0.3, -0.2], [-0.25, 1, 0.4], [0.1, -0.35, 1]]))
    axes *= np.sign(np.diag(axes))
    return Grid.from_lps(SHAPE, origin, np.array([1.71875, 1.8, 5.3]), axes)


def write_source(folder: Path, grid: Grid, **values: object) -> Path:
    """The patient's series, 20 frames on a grid.

    :param values: attributes that differ from PATIENT and PLACE, or elements; None leaves one out
    """

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        for keyword, value in {**PATIENT, **PLACE, "PatientPosition": "HFS", **values}.items():
            if isinstance(value, DataElement | RawDataElement):
                dataset[value.tag] = value
            elif value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                del dataset[keyword]

    return write_dicom_folder(folder, make_series(FRAMES, SHAPE, grid=grid), change=change)


def known_maps() -> dict[str, np.ndarray]:
    """Maps that differ in every voxel of the inside and are 0 at the border, as outside of a brain; as the package
    computes them: CBV a fraction up to 0.11, CBF in 1/s up to 0.02, MTT 3 to 9 s.
    """
    z, y, x = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    rising = (1 + x + 11 * y + 11 * 14 * z) / (11 * 14 * 5)
    brain = (y > 0) & (y < SHAPE[1] - 1) & (x > 0) & (x < SHAPE[2] - 1)
    maps = {
        "cbv": 0.01 + 0.1 * rising,
        "cbf": 0.005 + 0.015 * rising[:, ::-1],
        "mtt": 3 + 6 * rising[::-1],
        "cbv_uncertainty": 0.001 + 0.004 * rising[:, :, ::-1],
        "cbv_standardized": -5 + 10 * rising,
        "tmax": 0.2 + 8 * rising,
        "peak_height": 5 + 30 * rising,
        "psr": 60 + 50 * rising,
        "ncbv": 0.4 + 5 * rising,
        "ncbv_uncertainty": 0.05 + 0.3 * rising[:, :, ::-1],
    }
    return {name: np.where(brain, values, 0).astype(np.float32) for name, values in maps.items()}


def series_of(folder: Path) -> list[pydicom.Dataset]:
    """The images of an exported series, in the order of their slices."""
    return [pydicom.dcmread(file) for file in sorted(folder.iterdir())]


def validator_errors(file: Path) -> list[str]:
    """What David Clunie's `dciodvfy` calls errors in a DICOM file; skips the test where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy, from the Debian package dicom3tools")
    result = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    # The name of the information object comes first: the file was understood.
    assert any(word in said for word in ("MRImage", "ParametricMap", "PseudoColorSoftcopyPresentationState")), said
    return [line for line in said.splitlines() if line.startswith(("Error", "Abort"))]
