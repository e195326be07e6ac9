"""Nothing that is written tells who the patient is, beyond what the source already had."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from science.dask_workers import workers_in_this_process
from science.dicom_folder import write_dicom_folder
from science.small_cases import SHAPE, small_checkpoint, small_series
from science.synthetic import head_of
from stunet_perfusion.cases import Case, write_cases
from stunet_perfusion.cli import batch, main
from stunet_perfusion.series import Grid
from stunet_perfusion.writing import write_map, write_series

#: The patient, and how the words could turn up, in lower case.
NAME, PATIENT_ID, BIRTH_DATE = "Quillfeather^Zebedee", "ZQ-998877", "19531127"
WORDS = (b"quillfeather", b"zebedee", b"998877", b"19531127", b"1953-11-27")


@pytest.fixture
def source(tmp_path) -> Path:
    """A DICOM folder, and masks, that are called after their patient; the mask is on another grid, which is noted."""
    series = small_series()

    def identify(dataset, frame, z):
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, PATIENT_ID, BIRTH_DATE
        dataset.OtherPatientIDs = "MRN998877"

    folder = write_dicom_folder(tmp_path / "archive" / "Quillfeather_Zebedee", series, change=identify)
    fine = series.grid.ijk_to_ras.copy()
    fine[:3, 3] -= fine[:3, :2].sum(axis=1) / 4
    fine[:3, :2] /= 2
    mask = head_of(SHAPE).repeat(2, axis=1).repeat(2, axis=2)
    write_map(folder.parent / "zebedee_brain.nii.gz", mask, Grid(mask.shape, fine))
    small_checkpoint(tmp_path / "small.safetensors")
    return folder


def assert_anonymous(folder: Path) -> None:
    """Neither a name nor a byte in the folder, unpacked where it is packed, names the patient."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for file in files:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for text in (str(file.relative_to(folder)).encode(), data):
            assert not [word for word in WORDS if word in text.lower()], file


def test_the_source_names_the_patient(source):
    """Otherwise the tests below would find nothing whatever is written."""
    with pytest.raises(AssertionError):
        assert_anonymous(source.parent)
    with pytest.raises(AssertionError):
        assert_anonymous(source)


@pytest.mark.parametrize("options", [(), ("--bids", "--subject", "01")])
@pytest.mark.parametrize("verb", ["predict", "reference"])
def test_maps_reports_and_what_is_printed(source, tmp_path, capfd, verb, options):
    words = [verb, str(source), "--mask", str(source.parent / "zebedee_brain.nii.gz"), *options]
    if verb == "predict":
        words += ["--checkpoint", str(tmp_path / "small.safetensors"), "--stride", "16"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    assert main([*words, "--output", str(tmp_path / "out"), "--json"]) == 0
    assert_anonymous(tmp_path / "out")
    printed = capfd.readouterr()
    assert "[mask].nii.gz is on another grid" in printed.err, "the note is there, without the name"
    assert not [word for word in WORDS if word.decode() in (printed.out + printed.err).lower()]


def test_a_report_that_may_not_say_where_its_input_is_asks_for_it(source, tmp_path, capsys):
    mask = source.parent / "zebedee_brain.nii.gz"
    words = ["predict", str(source), "--checkpoint", str(tmp_path / "small.safetensors"), "--stride", "16"]
    assert main([*words, "--mask", str(mask), "--output", str(tmp_path / "out")]) == 0
    inputs = json.loads((tmp_path / "out" / "report.json").read_text())["provenance"]["inputs"]
    assert list(inputs["series"]) == ["sha256"]
    assert list(inputs["mask"]) == ["sha256"]
    assert inputs["checkpoint"]["path"] == "../small.safetensors"
    report = str(tmp_path / "out" / "report.json")
    capsys.readouterr()
    assert main(["repeat", report]) == 2
    sentence = (
        "does not say where its input is, since the path would name the patient, or was to be left out; "
        "give the file (--input PATH)"
    )
    assert sentence in capsys.readouterr().err
    assert main(["repeat", report, "--input", str(source), "--mask", str(mask), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]


def test_a_cohort_with_a_case_that_fails(source, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(batch, "local_workers", workers_in_this_process)
    missing = {"mask": source.parent / "Quillfeather" / "mask.nii.gz"}
    write_cases(tmp_path / "cases.csv", [Case("one", source), Case("two", source, files=missing)])
    words = ["batch", str(tmp_path / "cases.csv"), "--checkpoint", str(tmp_path / "small.safetensors")]
    assert main([*words, "--stride", "16", "--output", str(tmp_path / "out")]) == 1
    assert_anonymous(tmp_path / "out")
    assert "[mask]: does not exist" in (tmp_path / "out" / "summary.csv").read_text()
    printed = capfd.readouterr()
    assert not [word for word in WORDS if word.decode() in (printed.out + printed.err).lower()]


#: A name that is in paths, sidecars and names of files, where nothing but the report's path may repeat it.
PLANTED = ("quillfeather", "zebedee")


@pytest.fixture
def named_files(tmp_path) -> Path:
    """A folder called after the patient: a series, a sidecar that names the patient, and a mask on another grid."""
    folder = tmp_path / "Quillfeather Zebedee"
    series = small_series()
    write_series(folder / "zebedee_dsc.nii.gz", series)
    sidecar = folder / "zebedee_dsc.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"PatientName": "Quillfeather^Zebedee"}))
    shape = tuple(2 * n for n in SHAPE)
    grid = Grid(shape, series.grid.ijk_to_ras @ np.diag([0.5, 0.5, 0.5, 1.0]))
    write_map(folder / "zebedee_brain.nii.gz", head_of(shape), grid)
    small_checkpoint(tmp_path / "small.safetensors")
    return folder


def planted_in(folder: Path) -> list[str]:
    """Files of a folder that hold the planted name, in their text or their name."""
    found = []
    for path in folder.rglob("*"):
        content = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        content += gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else b""
        if any(word.encode() in content.lower() for word in PLANTED):
            found.append(path.name)
    return found


@pytest.mark.parametrize("verb", ["predict", "reference"])
def test_the_report_names_its_files_in_one_field_and_on_request_nowhere(named_files, tmp_path, capsys, verb):
    words = [verb, str(named_files / "zebedee_dsc.nii.gz"), "--mask", str(named_files / "zebedee_brain.nii.gz")]
    if verb == "predict":
        words += ["--checkpoint", str(tmp_path / "small.safetensors"), "--stride", "16"]
    assert main([*words, "--output", str(tmp_path / "out"), "--json"]) == 0
    assert planted_in(tmp_path / "out") == ["report.json"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    paths = [entry.pop("path") for entry in report["provenance"]["inputs"].values() if "path" in entry]
    assert "../Quillfeather Zebedee/zebedee_dsc.nii.gz" in paths
    assert not any(word in json.dumps(report).lower() for word in PLANTED)
    assert any("[mask].nii.gz is on another grid" in note for note in report["notes"])

    assert main([*words, "--output", str(tmp_path / "shared"), "--anonymous", "--json"]) == 0
    assert planted_in(tmp_path / "shared") == []
    capsys.readouterr()
    assert main(["repeat", str(tmp_path / "shared" / "report.json")]) == 2
    assert "does not say where its input is" in capsys.readouterr().err
    given = ["--input", words[1], "--mask", words[3], "--json"]
    given += ["--checkpoint", str(tmp_path / "small.safetensors")] if verb == "predict" else []
    assert main(["repeat", str(tmp_path / "shared" / "report.json"), *given]) == 0
    wrong = [*given[:3], str(tmp_path / "out" / "cbv.nii.gz"), *given[4:]]
    assert main(["repeat", str(tmp_path / "shared" / "report.json"), *wrong]) == 2

    assert main(["export", str(tmp_path / "out"), "--output", str(tmp_path / "dicom"), "--json"]) == 0
    assert planted_in(tmp_path / "dicom") == []


def test_what_a_cohort_shares_names_nobody(named_files, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "local_workers", workers_in_this_process)
    masks = {"mask": named_files / "zebedee_brain.nii.gz"}
    missing = {"mask": named_files / "zebedee_no.nii.gz"}
    series = named_files / "zebedee_dsc.nii.gz"
    write_cases(tmp_path / "cases.csv", [Case("one", series, files=masks), Case("two", series, files=missing)])
    words = ["batch", str(tmp_path / "cases.csv"), "--checkpoint", str(tmp_path / "small.safetensors")]
    assert main([*words, "--stride", "16", "--output", str(tmp_path / "out")]) == 1
    shared = ["summary.csv", "overview.html", "case.json"]
    assert not set(planted_in(tmp_path / "out")) & set(shared)
    assert "[mask]: does not exist" in (tmp_path / "out" / "summary.csv").read_text()
