"""`stunet-perfusion export`: from the output of other verbs, and without telling anybody who the patient is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag

from science.dicom_export_case import PATIENT, PLACE, grid_named, known_maps, write_source
from science.dicom_folder import write_dicom_folder
from science.synthetic import head_of, make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.writing import write_json, write_map

pytest.importorskip("highdicom", reason="needs highdicom: pip install 'stunet-perfusion[dicom]'")

GRID = grid_named("oblique")
DIGEST = "89abcdef" * 8

#: What a report of `predict` holds, as far as an export reads it.
REPORT = {
    "checkpoint": {"name": "stunet.safetensors", "network": "stunet"},
    "settings": {"dose": 0.25, "method": "noise-matched"},
    "maps": {
        "cbv": {"file": "cbv.nii.gz", "unit": "fraction"},
        "cbv_uncertainty": {"file": "cbv_uncertainty.nii.gz", "unit": "fraction"},
    },
    "provenance": {
        "versions": {"stunet-perfusion": "0.1.0"},
        "inputs": {"checkpoint": {"shipped": "Checkpoints/stunet.safetensors", "sha256": DIGEST}},
    },
}


def write_run(folder: Path, report: dict | None = REPORT, names: tuple[str, ...] = ("cbv", "cbv_uncertainty")) -> Path:
    """A folder as `predict` leaves it."""
    maps = known_maps()
    for name in names:
        write_map(folder / f"{name}.nii.gz", maps.get(name, maps["cbv"]), GRID)
    if report is not None:
        write_json(folder / "report.json", report)
    return folder


def run(arguments: list, capsys) -> dict:
    status = main(["export", *map(str, arguments), "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return json.loads(printed.out)


def refusal(arguments: list, capsys) -> str:
    assert main(["export", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


def image_of(folder: Path, name: str) -> pydicom.Dataset:
    return pydicom.dcmread(folder / "mr" / name / "IM0001.dcm")


def description(folder: Path, name: str = "cbv") -> str:
    return image_of(folder, name).DerivationDescription


def test_a_folder_that_predict_wrote(tmp_path: Path, capsys) -> None:
    source = write_source(tmp_path / "dsc", GRID)
    report = run([write_run(tmp_path / "run"), "--source", source, "--output", tmp_path / "dicom"], capsys)
    assert report["notes"] == []
    assert sorted(report["files"]) == sorted(
        file.relative_to(tmp_path / "dicom").as_posix() for file in (tmp_path / "dicom").rglob("*") if file.is_file()
    )
    assert report["files"][:2] == ["mr/cbv/IM0001.dcm", "mr/cbv/IM0002.dcm"]
    assert "parametric-map/cbv_uncertainty.dcm" in report["files"]
    for words in ("stU-Net", "stunet.safetensors", DIGEST, "25 %", "noise-matched"):
        assert words in description(tmp_path / "dicom")
    values = pydicom.dcmread(tmp_path / "dicom" / "parametric-map" / "cbv.dcm").pixel_array
    assert values.max() == pytest.approx(100 * known_maps()["cbv"].max(), rel=1e-6)


def test_a_folder_that_reference_wrote_in_absolute_units(tmp_path: Path, capsys) -> None:
    units = {"cbv": "ml/100 g", "cbf": "ml/100 g/min", "mtt": "s", "k2": "1/s"}
    report = {
        "aif": {"source": "automatic"},
        "leakage_correction": {"method": "Boxerman-Schmainda-Weisskoff"},
        "maps": {name: {"file": f"{name}.nii.gz", "unit": unit} for name, unit in units.items()},
    }
    folder = write_run(tmp_path / "run", report, tuple(units))
    printed = run([folder, "--output", tmp_path / "dicom", "--format", "mr", "--patient-id", "phantom 3"], capsys)
    assert printed["notes"] == []
    assert (tmp_path / "dicom" / "mr" / "k2" / "IM0001.dcm").is_file()
    assert not (tmp_path / "dicom" / "parametric-map").exists()
    assert "Made by closed form, leakage-corrected of StUNetPerfusion" in description(tmp_path / "dicom")
    assert "dose as given" in description(tmp_path / "dicom")
    image = pydicom.dcmread(tmp_path / "dicom" / "mr" / "cbf" / "IM0001.dcm")
    assert image.PatientID == "phantom 3"
    mapping = image.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "ml/(100.g)/min"


def test_from_the_scanner_to_the_archive(tmp_path: Path, capsys) -> None:
    """The whole way: a series as DICOM, its maps, and their export, on the voxels of the series."""
    series = make_series(40, (4, 24, 20), noise=4)
    source = write_dicom_folder(tmp_path / "dsc", series)
    assert main(["reference", str(source), "--output", str(tmp_path / "run"), "--json"]) == 0
    capsys.readouterr()
    assert run([tmp_path / "run", "--source", source, "--output", tmp_path / "dicom"], capsys)["notes"] == []
    for name, factor in (("cbv", 100), ("cbf", 6000), ("mtt", 1)):
        computed, _ = read_map(tmp_path / "run" / f"{name}.nii.gz")
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "dicom" / "mr" / name)))
        image = reader.Execute()
        grid = type(GRID).from_lps(computed.shape, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
        assert grid.matches(series.grid, 1e-4)
        head = head_of(computed.shape)
        expected, width = factor * computed[head], float(image_of(tmp_path / "dicom", name).WindowWidth)
        shown = np.abs(expected) <= width
        assert shown.mean() > 0.9
        np.testing.assert_allclose(sitk.GetArrayFromImage(image)[head][shown], expected[shown], atol=2e-4 * width)
    assert "Made by closed form of StUNetPerfusion" in description(tmp_path / "dicom")


def test_maps_with_the_names_of_a_bids_derivative(tmp_path: Path, capsys) -> None:
    maps = known_maps()
    names = {
        "cbv": "sub-01_desc-stunetDose025Eq1_cbv",
        "cbv_uncertainty": "sub-01_desc-stunetDose025Eq1Uncertainty_cbv",
    }
    report = {**REPORT, "maps": {name: {"file": f"{file}.nii.gz", "unit": "fraction"} for name, file in names.items()}}
    for name, file in names.items():
        write_map(tmp_path / "perf" / f"{file}.nii.gz", maps[name], GRID)
        write_json(tmp_path / "perf" / f"{file}.json", {"Units": "fraction", "StUNetPerfusion": report})
    run([tmp_path / "perf", "--output", tmp_path / "dicom", "--format", "mr"], capsys)
    assert sorted(path.name for path in (tmp_path / "dicom" / "mr").iterdir() if path.is_dir()) == list(names)
    assert DIGEST in description(tmp_path / "dicom", "cbv_uncertainty")


def test_single_files_without_a_report(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path / "run", None, ("cbv", "mtt"))
    report = run([folder / "mtt.nii.gz", "--output", tmp_path / "dicom", "--format", "parametric-map"], capsys)
    assert report["files"] == ["parametric-map/mtt.dcm", "parametric-map/mtt_colors.dcm"]
    assert report["notes"] == [
        "No report is beside the maps: their model and dose are not named, and units are taken as usual."
    ]


def test_maps_that_were_flipped_on_the_way(tmp_path: Path, capsys) -> None:
    """Converters to NIfTI store rows the other way around."""
    source = write_source(tmp_path / "dsc", GRID)
    flipped = GRID.ijk_to_ras.copy()
    flipped[:, 3] += (GRID.shape[1] - 1) * flipped[:, 1]
    flipped[:, 1] *= -1
    volume = known_maps()["mtt"]
    write_map(tmp_path / "mtt.nii.gz", volume[:, ::-1], type(GRID)(GRID.shape, flipped))
    report = run([tmp_path / "mtt.nii.gz", "--source", source, "--output", tmp_path / "dicom"], capsys)
    assert "The maps were brought into the slice order of the source." in report["notes"]
    images = [pydicom.dcmread(file) for file in sorted((tmp_path / "dicom" / "mr" / "mtt").iterdir())]
    values = np.array([float(image.RescaleSlope) * image.pixel_array for image in images])
    np.testing.assert_allclose(values, volume, atol=2e-3)


def test_refusals_in_one_line(tmp_path: Path, capsys) -> None:
    folder, output = write_run(tmp_path / "run"), ["--output", tmp_path / "dicom"]
    source = write_source(tmp_path / "dsc", GRID)
    assert "contradicts --source" in refusal([folder, *output, "--source", source, "--patient-id", "x"], capsys)
    assert "holds no map that can be exported" in refusal([tmp_path / "dsc", *output], capsys)
    assert "does not exist" in refusal([tmp_path / "nowhere.nii.gz", *output], capsys)
    assert "is no folder" in refusal([folder, *output, "--source", folder / "cbv.nii.gz"], capsys)
    assert "is no Patient ID" in refusal([folder, *output, "--patient-id", "a\\b"], capsys)
    assert "is no Patient ID" in refusal([folder, *output, "--patient-id", "9" * 65], capsys)
    assert "use one of parametric-map, mr, both" in refusal([folder, *output, "--format", "seg"], capsys)
    assert "holds files, which an export must not mix with" in refusal([folder, "--output", source], capsys)
    write_map(folder / "mask.nii.gz", known_maps()["cbv"], GRID)
    assert "a name that tells no quantity" in refusal([folder / "mask.nii.gz", *output], capsys)
    other = write_run(tmp_path / "other", {**REPORT, "settings": {"dose": 1.0}}, ("mtt",))
    assert "was not made by the same run" in refusal([folder, other / "mtt.nii.gz", *output], capsys)
    assert "holds the same quantity as" in refusal([folder, folder / "cbv.nii.gz", *output], capsys)
    write_map(tmp_path / "moved" / "mtt.nii.gz", known_maps()["mtt"], grid_named("axial"))
    write_json(tmp_path / "moved" / "report.json", {**REPORT, "maps": {}})
    assert "lies on another grid" in refusal([folder, tmp_path / "moved" / "mtt.nii.gz", *output], capsys)
    (folder / "report.json").write_text("{")
    assert "report.json: is not readable as JSON" in refusal([folder, *output], capsys)
    assert not (tmp_path / "dicom").exists()


#: Every word of the source that could identify its patient, or where they were.
IDENTIFYING = {
    word.lower()
    for keyword, value in {**PATIENT, **PLACE}.items()
    if keyword not in ("PatientSex", "StudyID", "StudyDescription", "StudyTime", "PatientWeight")
    for word in (value, *re.split(r"[\s^]+", value))
}


def identifying_words_in(text: str) -> set[str]:
    return {word for word in IDENTIFYING if word in text.lower()}


def test_the_patient_is_named_in_dicom_files_only(tmp_path: Path) -> None:
    """Run as a user runs it, with folders called after the patient, a date of birth and a weight that break DICOM's
    rules, and a UID made of the patient's number, which breaks them too and which readers quote in a warning.
    """
    home = tmp_path / "Lovelace_Ada_HOSP-48151623"
    broken = {
        "PatientBirthDate": DataElement("PatientBirthDate", "DA", "1815-12-10", validation_mode=config.IGNORE),
        "PatientWeight": RawDataElement(Tag("PatientWeight"), "DS", 4, b"61,5", 0, False, True),
        "StudyInstanceUID": DataElement("StudyInstanceUID", "UI", "1.2.HOSP-48151623", validation_mode=config.IGNORE),
    }
    source = write_source(home / "dsc", GRID, **broken)
    folder = write_run(home / "run")
    command = [sys.executable, "-W", "always", "-m", "stunet_perfusion", "export"]

    def outcome(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)

    as_text = outcome(folder, "--source", source, "--output", home / "dicom")
    as_json = outcome(folder, "--source", source, "--output", home / "again", "--format", "mr", "--json")
    again = outcome(folder, "--source", source, "--output", home / "dicom")
    other = write_source(home / "other", grid_named("axial"), **broken)
    elsewhere = outcome(folder, "--source", other, "--output", home / "other dicom")
    assert [as_text.returncode, as_json.returncode, again.returncode, elsewhere.returncode] == [0, 0, 2, 2]
    assert "Wrote 2 maps as 16 DICOM files" in as_text.stderr
    assert "holds files, which an export must not mix with" in again.stderr
    assert "another grid" in elsewhere.stderr
    for result in (as_text, as_json, again, elsewhere):
        for word in (*IDENTIFYING, "1815-12-10"):
            assert word not in (result.stdout + result.stderr).lower()
    written = [file.relative_to(home) for name in ("dicom", "again") for file in (home / name).rglob("*")]
    assert len(written) > 20
    for file in written:
        assert not identifying_words_in(file.as_posix())
        assert file.suffix == ".dcm" or (home / file).is_dir()
    # In DICOM files the patient is named as before, and nothing else of the source is.
    for file in written:
        if file.suffix == ".dcm":
            assert str(pydicom.dcmread(home / file).PatientName) == PATIENT["PatientName"]
            assert str(pydicom.dcmread(home / file).PatientBirthDate) == "1815-12-10"
            content = (home / file).read_bytes()
            assert not any(value.encode() in content for value in PLACE.values())
            assert str(tmp_path).encode() not in content
