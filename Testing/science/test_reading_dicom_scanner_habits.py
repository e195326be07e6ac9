"""DICOM series that are more, or less, than their frames: moved slices, the scanner's maps, grids, packed files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from science.dicom_folder import write_dicom_folder
from science.dicom_habits import whole_numbers
from stunet_perfusion.reading import read_series
from stunet_perfusion.support.errors import InputError

SERIES = whole_numbers()
SLICES = SERIES.grid.shape[0]


def test_the_scanner_s_own_maps_are_left_out(tmp_path: Path) -> None:
    def maps_at_end(dataset, frame, z):
        if frame >= SERIES.frames - 2:
            dataset.ImageType = ["DERIVED", "SECONDARY", "CBV"]

    series = read_series(write_dicom_folder(tmp_path / "dicom", SERIES, change=maps_at_end))
    assert series.frames == SERIES.frames - 2
    np.testing.assert_array_equal(series.signal, SERIES.signal[:-2])
    assert f"{2 * SLICES} derived images of the series, such as maps of the scanner, were left out." in series.notes


def test_a_series_that_is_derived_as_a_whole_is_read(tmp_path: Path) -> None:
    def derived(dataset, frame, z):
        dataset.ImageType = ["DERIVED", "PRIMARY", "M", "MOCO"]

    series = read_series(write_dicom_folder(tmp_path / "dicom", SERIES, change=derived))
    np.testing.assert_array_equal(series.signal, SERIES.signal)


@pytest.mark.parametrize("shift", [0.3, 1.2])
def test_slices_that_move_in_mid_series_stay_slices(tmp_path: Path, shift: float) -> None:
    normal = SERIES.grid.lps_direction[:, 2]

    def moved(dataset, frame, z):
        if frame > 10:
            place = np.array(dataset.ImagePositionPatient, dtype=float) + shift * normal
            dataset.ImagePositionPatient = [round(float(value), 6) for value in place]

    series = read_series(write_dicom_folder(tmp_path / "dicom", SERIES, change=moved))
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    assert series.grid.matches(SERIES.grid, 1e-3)
    assert any(f"moved by up to {shift:.2g} mm" in note for note in series.notes)


def test_packed_files_are_named(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "dicom", SERIES)
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with pytest.raises(InputError, match=r"holds compressed files .* unpack with gunzip"):
        read_series(folder)
    archive = tmp_path / "study.zip"
    archive.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"is zip-compressed; unpack with"):
        read_series(archive)


def test_pairs_of_label_and_control_are_named(tmp_path: Path) -> None:
    def pairs(dataset, frame, z):
        dataset.TemporalPositionIdentifier = frame // 2 + 1

    folder = write_dicom_folder(tmp_path / "dicom", SERIES, tags=("TemporalPositionIdentifier",), change=pairs)
    with pytest.raises(InputError, match="label and control of arterial spin labeling"):
        read_series(folder)


def grid_of_slices(with_places: bool):
    """United Imaging's grid: all slices of a frame in the file of its first one, 3 columns of them."""
    rows, columns = SERIES.grid.shape[1:]

    def change(dataset, frame, z):
        if z:
            return False
        dataset.Manufacturer, dataset.ImageType = "UIH", ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
        tiles = np.zeros((2, 3, rows, columns), np.float32)
        tiles.reshape(6, rows, columns)[:SLICES] = SERIES.signal[frame]
        stored = (tiles - dataset.RescaleIntercept) / dataset.RescaleSlope
        stored = np.rint(stored.swapaxes(1, 2).reshape(2 * rows, 3 * columns)).astype("<u2")
        dataset.PixelData, (dataset.Rows, dataset.Columns) = stored.tobytes(), stored.shape
        first = np.array(dataset.ImagePositionPatient, dtype=float)
        step = SERIES.grid.lps_direction[:, 2] * SERIES.grid.spacing[2]
        del dataset.ImagePositionPatient
        if with_places:
            block = dataset.private_block(0x0065, "Image Private Header", create=True)
            items = []
            for number in range(SLICES):
                item = Dataset()
                item.ImagePositionPatient = [round(float(value), 5) for value in first + number * step]
                items.append(item)
            block.add_new(0x51, "SQ", Sequence(items))
        return None

    return change


def test_grids_of_united_imaging_are_read_where_the_places_are_known(tmp_path: Path) -> None:
    # Five slices in a grid for six: the sequence holds as many items as there are slices.
    folder = write_dicom_folder(tmp_path / "dicom", SERIES, change=grid_of_slices(True))
    series = read_series(folder)
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    assert series.grid.matches(SERIES.grid, 1e-3)


def test_grids_of_united_imaging_without_places_are_named(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "dicom", SERIES, change=grid_of_slices(False))
    with pytest.raises(InputError, match=r"grid of slices by United Imaging \(VFRAME\)"):
        read_series(folder)
