"""A small collection of phantoms in the layout of TCIA QIN-BRAIN-DSC-MRI, as NBIA's retriever leaves it.

<root>/QIN-BRAIN-DSC-MRI/<PatientID>/<date>-<study>-<end of UID>/<number>.000000-<series>-<end of UID>/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from science.dicom_folder import write_dicom_folder
from science.heads import ball, ellipsoid_head
from stunet_perfusion.phantom import Phantom, Protocol, make_phantom
from stunet_perfusion.series import DscSeries, Grid

#: TE and TR of the collection; few and small frames.
PROTOCOL = Protocol(
    echo_time=0.030, repetition_time=1.25, flip_angle=72.0, frames=48, matrix=64, arrival=17.0, tilt=12.0
)
SLICES = (9, 11, 13)


@cache
def person(seed: int) -> Phantom:
    """A head with a tumor; each seed is another person."""
    head = ellipsoid_head(4.0)
    return make_phantom(head, tumor=ball(head, (0.0, 5.0, 34.0), 16.0), protocol=PROTOCOL, seed=seed, slices=SLICES)


def regions(phantom: Phantom) -> dict[str, np.ndarray]:
    """(Z, Y, X) bool by the names of the table of cases. NACC is cortex of the side without the tumor."""
    cortex = phantom.mask & ~phantom.nawm & ~phantom.tumor
    return {"mask": phantom.mask, "tumor": phantom.tumor, "nawm": phantom.nawm, "nacc": cortex}


def finer(grid: Grid, factor: int) -> Grid:
    """The grid whose pixels are `factor` times as many each way in the same places."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, :2].sum(axis=1) * (factor - 1) / (2 * factor)
    matrix[:3, :2] /= factor
    slices, rows, columns = grid.shape
    return Grid((slices, rows * factor, columns * factor), matrix)


def repeated(volumes: np.ndarray, factor: int) -> np.ndarray:
    """(..., Y, X) with every pixel `factor` x `factor` times."""
    return volumes.repeat(factor, axis=-2).repeat(factor, axis=-1)


class FakeCollection:
    """Writes studies and series, one call each, below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "QIN-BRAIN-DSC-MRI"
        self._uids: dict[tuple[str, str, str], str] = {}

    def write_series(
        self,
        subject: str,
        date: str,
        study: str,
        number: int,
        description: str,
        series: DscSeries,
        change: Callable = lambda dataset, frame, z: None,
    ) -> Path:
        """One series of a study. The study is the same for the same subject, date (YYYYMMDD) and name."""
        uid = self._uids.setdefault((subject, date, study), generate_uid())
        series_uid = generate_uid()

        def of_collection(dataset, frame, z):
            dataset.PatientID = dataset.PatientName = subject
            dataset.StudyDate, dataset.StudyDescription = date, study
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, series_uid
            dataset.Manufacturer = "GE MEDICAL SYSTEMS"
            return change(dataset, frame, z)

        american_date = f"{date[4:6]}-{date[6:]}-{date[:4]}"
        folder = self.root / subject / f"{american_date}-{study}-{uid[-5:]}"
        folder /= f"{number}.000000-{description.replace('/', '')}-{series_uid[-5:]}"
        return write_dicom_folder(folder, series, description=description, number=number, change=of_collection)

    def write_dsc(self, subject: str, date: str, study: str, series: DscSeries, acquired: int = 0) -> Path:
        """A dynamic series; `acquired` is written as its acquisition matrix."""

        def change(dataset, frame, z):
            if acquired:
                dataset.AcquisitionMatrix = [acquired, 0, 0, acquired]
            dataset.ScanningSequence = ["EP", "GR"]

        return self.write_series(subject, date, study, 8, "GRE-EPI", series, change)

    def write_volume(
        self, subject: str, date: str, study: str, number: int, description: str, values: np.ndarray, grid: Grid
    ) -> Path:
        """An image or a mask: one file a slice. The masks were made by another program."""
        frames = np.stack([values, values]).astype(np.float32)

        def only_first(dataset, frame, z):
            if description.lower().startswith("mask"):
                dataset.Manufacturer = "Imaging Biometrics LLC"
            dataset.ScanningSequence = ["SE"]
            return frame == 0

        series = DscSeries(frames, np.array([0.0, 1.25]), grid, 0.03)
        return self.write_series(subject, date, study, number, description, series, only_first)


def stored(series: DscSeries) -> DscSeries:
    """The series as the files hold it: whole numbers."""
    return replace(series, signal=np.rint(series.signal))
