"""Hashes of what was computed from, and paths that name nobody."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from science.dicom_folder import write_dicom_folder
from science.synthetic import make_series
from stunet_perfusion.reading.report import ReportedInput
from stunet_perfusion.runs.provenance import (
    describe_files,
    find_file,
    sha256_of_acquisition,
    sha256_of_array,
    sha256_of_path,
)
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.identity import Identity, identity_of
from stunet_perfusion.support.resources import shipped_checkpoint


def test_a_file_is_hashed_as_it_is_whatever_it_is_called(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"abc")
    (tmp_path / "b.txt").write_bytes(b"abc")
    # NIST's test vector of SHA-256.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of_path(tmp_path / "a.nii") == sha256_of_path(tmp_path / "b.txt") == expected
    with pytest.raises(InputError, match="does not exist"):
        sha256_of_path(tmp_path / "c")


def change_first(folder: Path, change) -> None:
    file = sorted(folder.rglob("IM*"))[0]
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)


def test_a_dicom_folder_is_its_pixels_and_not_its_names_or_headers(tmp_path):
    series = make_series(frames=16, shape=(2, 8, 6))
    one = write_dicom_folder(tmp_path / "one", series, seed=1)
    other = write_dicom_folder(tmp_path / "two", series, seed=2, description="another", number=9)
    (other / "LICENSE.txt").write_text("terms")
    digest = sha256_of_path(one)
    assert sha256_of_path(other) == digest
    nested = tmp_path / "three"
    (nested / "sub").mkdir(parents=True)
    for number, file in enumerate(sorted(one.iterdir())):
        file.rename(nested / ("sub" if number % 2 else "") / file.name)
    assert sha256_of_path(nested) == digest
    change_first(nested, lambda dataset: setattr(dataset, "PatientName", "Another^One"))
    assert sha256_of_path(nested) == digest

    def change_pixel(dataset):
        dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]

    change_first(nested, change_pixel)
    assert sha256_of_path(nested) != digest


def test_a_map_is_its_voxels_and_its_shape():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    digest = sha256_of_array(values)
    assert digest == hashlib.sha256(b"(2, 3, 4)" + values.tobytes()).hexdigest()
    assert sha256_of_array(np.asfortranarray(values)) == digest
    assert sha256_of_array(values.reshape(4, 3, 2)) != digest
    assert sha256_of_array(np.nextafter(values, np.inf)) != digest


def test_times_echo_time_and_geometry_count_beyond_rounding():
    series = make_series()
    digest = sha256_of_acquisition(series)
    assert sha256_of_acquisition(replace(series, signal=series.signal + 1, name="x")) == digest
    assert sha256_of_acquisition(replace(series, times=series.times + 1e-8)) == digest
    assert sha256_of_acquisition(replace(series, times=series.times * 1.001)) != digest
    assert sha256_of_acquisition(replace(series, echo_time=0.031)) != digest
    moved = series.grid.ijk_to_ras.copy()
    moved[0, 3] += 0.1
    assert sha256_of_acquisition(replace(series, grid=replace(series.grid, ijk_to_ras=moved))) != digest


def test_inputs_are_found_from_the_report(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "dsc.nii").write_bytes(b"abc")
    reports = tmp_path / "out" / "reports"
    files = {"series": tmp_path / "in" / "dsc.nii", "checkpoint": shipped_checkpoint(), "mask": None}
    entries = describe_files(files, reports, Identity())
    assert entries["series"]["path"] == "../../in/dsc.nii"
    assert entries["checkpoint"]["shipped"] == "Checkpoints/stunet.safetensors"
    assert list(entries) == ["series", "checkpoint"]
    assert find_file(ReportedInput(**entries["series"]), reports / "report.json") == tmp_path / "in" / "dsc.nii"
    assert find_file(ReportedInput(**entries["checkpoint"]), reports / "report.json") == shipped_checkpoint()
    withheld = describe_files(files, reports, Identity(frozenset({"dsc"})))["series"]
    assert "path" not in withheld
    assert find_file(ReportedInput(**withheld), reports / "report.json") is None
    for entry in (ReportedInput("", shipped="../secret"), ReportedInput("", path="a\0b")):
        with pytest.raises(InputError, match="names"):
            find_file(entry, reports / "report.json")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("data/Quillfeather_Zebedee/dsc", True),
        ("data/QuillfeatherZebedee1953", True),
        ("data/zebedee", True),
        ("ZQ 99-8877", True),
        ("zq998877", True),
        ("19531127", True),
        ("1953-11-27", False),
        ("ann/dsc", True),
        ("planned/dsc", False),
        ("data/dsc", False),
    ],
)
def test_a_patient_is_recognized_in_a_path(tmp_path, text, named):
    def identify(dataset, frame, z):
        dataset.PatientName, dataset.PatientID = "Quillfeather^Zebedee Ann", "ZQ-99-8877"
        dataset.PatientBirthDate = "19531127"

    folder = write_dicom_folder(tmp_path / "in", make_series(frames=16, shape=(1, 6, 6)), change=identify)
    (folder / "A_README").write_text("not DICOM")
    identity = identity_of(folder)
    assert identity.is_named_in(text) == named
    assert ("[patient]" in identity.withheld_from(text)) == named
    assert not identity.is_named_in(identity.withheld_from(text))


def test_other_formats_name_nobody(tmp_path):
    (tmp_path / "doe.nii").write_bytes(b"abc")
    assert identity_of(tmp_path / "doe.nii") == identity_of(tmp_path) == identity_of(tmp_path / "no") == Identity()
