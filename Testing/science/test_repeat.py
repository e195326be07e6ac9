"""A run from its report once more: the same maps, or a sentence that says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from science.small_cases import SHAPE, small_checkpoint, small_series, write_small_case
from science.synthetic import gamma_variate
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.runs.provenance import sha256_of_array
from stunet_perfusion.writing import write_map, write_series

#: Maps of a prediction, in the order of its report.
NAMES = ["ncbv", "ncbv_uncertainty", "cbv", "cbv_standardized", "cbv_uncertainty"]


@pytest.fixture
def folder(tmp_path):
    """A case with its prediction in `out`, by a checkpoint of its own, at a quarter of the dose."""
    write_small_case(tmp_path, "case")
    small_checkpoint(tmp_path / "small.safetensors")
    return tmp_path


def predict(folder: Path, *options: str) -> None:
    case = folder / "case"
    words = ["predict", str(case / "dsc.nii.gz"), "--mask", str(case / "mask.nii.gz"), "--stride", "16", "--json"]
    words += ["--checkpoint", str(folder / "small.safetensors"), "--output", str(folder / "out"), "--dose", "0.25"]
    assert main([*words, "--method", "noise-matched", "--seed", "7", *options]) == 0


def repeat(report: Path, capsys, *options: str) -> tuple[int, dict]:
    capsys.readouterr()
    status = main(["repeat", str(report), "--json", *options])
    return status, json.loads(capsys.readouterr().out)


def change_report(path: Path, change) -> None:
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_a_prediction_comes_out_again_and_is_kept_where_asked_for(folder, capsys):
    predict(folder)
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    status, answer = repeat(folder / "out" / "report.json", capsys)
    assert status == 0
    assert answer["equal"]
    assert [map_["name"] for map_ in answer["maps"]] == NAMES
    assert all(map_["identical"] for map_ in answer["maps"])
    assert answer["other_versions"] == {}
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before
    assert repeat(folder / "out" / "report.json", capsys, "--output", str(folder / "again"))[0] == 0
    assert (folder / "again" / "cbv.nii.gz").read_bytes() == before["cbv.nii.gz"]


def test_the_whole_folder_may_move(folder, capsys):
    predict(folder)
    moved = folder.parent / f"{folder.name}-moved"
    folder.rename(moved)
    assert repeat(moved / "out" / "report.json", capsys)[0] == 0


def test_the_report_holds_the_hash_of_every_map(folder):
    predict(folder)
    report = json.loads((folder / "out" / "report.json").read_text())
    assert list(report["maps"]) == NAMES
    for entry in report["maps"].values():
        values, _ = read_map(folder / "out" / entry["file"])
        assert entry["sha256"] == sha256_of_array(values)


def test_absolute_maps_come_out_again(folder, capsys):
    series = small_series()
    np.savetxt(folder / "aif.txt", 400 * gamma_variate(series.times, 16.0, 5.0))
    words = ["reference", str(folder / "case" / "dsc.nii.gz"), "--output", str(folder / "out"), "--json"]
    assert main([*words, "--absolute", "--aif", str(folder / "aif.txt")]) == 0
    status, answer = repeat(folder / "out" / "report.json", capsys)
    assert status == 0
    assert all(map_["identical"] for map_ in answer["maps"])


@pytest.mark.parametrize("baseline", ["first", "6"])
def test_reference_maps_come_out_again(folder, capsys, baseline):
    mask = np.zeros(SHAPE, bool)
    mask[1, 18:22, 8:12] = True
    write_map(folder / "vessels.nii.gz", mask, small_series().grid)
    words = ["reference", str(folder / "case" / "dsc.nii.gz"), "--output", str(folder / "out"), "--json"]
    words += ["--baseline", baseline, "--leakage-correction", "--echo-time", "0.04"]
    assert main([*words, "--vessels", str(folder / "vessels.nii.gz")]) == 0
    status, answer = repeat(folder / "out" / "report.json", capsys)
    assert status == 0
    assert [map_["name"] for map_ in answer["maps"]] == ["ncbv", "cbv", "cbf", "mtt", "k2"]
    assert all(map_["identical"] for map_ in answer["maps"])


def test_another_result_is_status_1_and_tells_by_how_much(folder, capsys):
    predict(folder)
    cbv = NAMES.index("cbv")
    report = folder / "out" / "report.json"
    change_report(report, lambda document: document["provenance"]["arguments"]["settings"].update(dose=0.5))
    status, answer = repeat(report, capsys)
    assert status == 1
    assert not answer["equal"]
    old, _ = read_map(folder / "out" / "cbv.nii.gz")
    main(["repeat", str(report), "--output", str(folder / "again")])
    new, _ = read_map(folder / "again" / "cbv.nii.gz")
    expected = np.abs(new - old).max() / old.std()
    assert answer["maps"][cbv]["difference"] == pytest.approx(expected, rel=1e-6)
    assert expected > 0.01
    assert "cbv: different, by " in capsys.readouterr().err
    # Rounding is no difference.
    write_map(folder / "out" / "cbv.nii.gz", new * np.float32(1 + 1e-6), small_series().grid)
    rounded = sha256_of_array(new * np.float32(1 + 1e-6))
    change_report(report, lambda document: document["maps"]["cbv"].update(sha256=rounded))
    _, answer = repeat(report, capsys)
    assert not answer["maps"][cbv]["identical"]
    assert 0 < answer["maps"][cbv]["difference"] < 1e-3
    # Of a map that is gone, only the hash is left to compare with.
    (folder / "out" / "cbv.nii.gz").unlink()
    status, answer = repeat(report, capsys)
    assert (status, answer["maps"][cbv]["difference"]) == (1, None)


def test_other_versions_are_named(folder, capsys):
    predict(folder)
    report = folder / "out" / "report.json"
    change_report(report, lambda document: document["provenance"]["versions"].update(scipy="0.1", magic="2"))
    _, answer = repeat(report, capsys)
    assert answer["other_versions"]["scipy"][0] == "0.1"
    assert answer["other_versions"]["magic"] == ["2", None]


def break_series(folder):
    write_series(folder / "case" / "dsc.nii.gz", small_series(1))


def break_times(folder):
    sidecar = folder / "case" / "dsc.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"RepetitionTime": 1.6}))


@pytest.mark.parametrize(
    ("break_something", "sentence"),
    [
        (
            break_series,
            "dsc.nii.gz: was the report's input, and has changed since; restore it, or give the original (--input ",
        ),
        (break_times, "dsc.nii.gz: is read with other times, another echo time or another geometry"),
        (
            lambda folder: small_checkpoint(folder / "small.safetensors", seed=1),
            "small.safetensors: was the report's checkpoint, and has changed since",
        ),
        (
            lambda folder: (folder / "case" / "mask.nii.gz").unlink(),
            "mask.nii.gz: was the report's mask, and is not there any more; say where it is now (--mask FILE)",
        ),
        (lambda folder: shutil.rmtree(folder / "out"), "report.json: does not exist"),
        (
            lambda folder: (folder / "out" / "report.json").write_text('{"provenance": {"verb": "batch"}}'),
            "report.json: is of a whole cohort; give the report.json of one of its cases",
        ),
        (
            lambda folder: (folder / "out" / "report.json").write_text('{"notes": []}'),
            "report.json: does not tell how its maps were made",
        ),
        (
            lambda folder: change_report(
                folder / "out" / "report.json", lambda report: report["provenance"]["arguments"].update(magic=1)
            ),
            "report.json: describes a run that this version does not know",
        ),
    ],
)
def test_what_changed_is_refused_in_one_line_and_nothing_is_written(folder, capsys, break_something, sentence):
    predict(folder)
    break_something(folder)
    capsys.readouterr()
    assert main(["repeat", str(folder / "out" / "report.json"), "--output", str(folder / "again")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not (folder / "again").exists()


def test_a_file_that_moved_is_found_where_the_user_says(folder, capsys):
    predict(folder)
    (folder / "case" / "dsc.nii.gz").rename(folder / "renamed.nii.gz")
    (folder / "case" / "dsc.json").rename(folder / "renamed.json")
    report = folder / "out" / "report.json"
    assert main(["repeat", str(report)]) == 2
    assert repeat(report, capsys, "--input", str(folder / "renamed.nii.gz"))[0] == 0


def test_bids_names_and_sidecars(folder, capsys):
    raw = folder / "raw" / "sub-07" / "ses-a" / "perf"
    write_series(raw / "sub-07_ses-a_run-2_dsc.nii.gz", small_series())
    (folder / "case" / "dsc.nii.gz").rename(folder / "old.nii.gz")
    words = ["--stride", "16", "--checkpoint", str(folder / "small.safetensors"), "--output", str(folder / "maps")]
    words += ["--dose", "0.5", "--method", "equation1", "--bids", "--json"]
    assert main(["predict", str(raw / "sub-07_ses-a_run-2_dsc.nii.gz"), *words]) == 0
    place = folder / "maps" / "sub-07" / "ses-a" / "perf"
    stem = "sub-07_ses-a_run-2_desc-hessDose050Eq1"
    additions = ("", "Standardized", "Uncertainty", "Normalized", "NormalizedUncertainty")
    stems = [*(f"{stem}{addition}_cbv" for addition in additions), f"{stem}Baseline_dscref"]
    assert sorted(path.name for path in place.iterdir()) == sorted(s + e for s in stems for e in (".json", ".nii.gz"))
    description = json.loads((folder / "maps" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "StUNetPerfusion"
    sidecar = json.loads((place / f"{stem}_cbv.json").read_text())
    assert sidecar["Units"] == "fraction of the arterial input's first pass"
    assert sidecar["StUNetPerfusion"]["settings"]["dose"] == 0.5
    status, answer = repeat(place / f"{stem}Standardized_cbv.json", capsys)
    assert status == 0
    assert all(map_["identical"] for map_ in answer["maps"])


def test_a_whole_bids_data_set_as_input(folder, capsys):
    """The report names the file, and other files of the data set do not matter."""
    raw = folder / "raw"
    write_series(raw / "sub-07" / "perf" / "sub-07_dsc.nii.gz", small_series())
    (raw / "dataset_description.json").write_text('{"Name": "raw", "BIDSVersion": "1.10.0"}')
    words = ["reference", str(raw), "--bids", "--json", "--output"]
    assert main([*words, str(raw)]) == 2
    sentence = "is a BIDS data set of other files; give a folder of its own, for example"
    assert sentence in capsys.readouterr().err
    assert "raw" in (raw / "dataset_description.json").read_text()
    for _ in range(2):
        assert main([*words, str(raw / "derivatives" / "maps")]) == 0
    sidecar = raw / "derivatives" / "maps" / "sub-07" / "perf" / "sub-07_desc-reference_cbv.json"
    inputs = json.loads(sidecar.read_text())["StUNetPerfusion"]["provenance"]["inputs"]
    assert inputs["series"]["path"] == "../../../../sub-07/perf/sub-07_dsc.nii.gz"
    write_series(raw / "sub-08" / "perf" / "sub-08_dsc.nii.gz", small_series(1))
    assert repeat(sidecar, capsys)[0] == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            (),
            "old.nii.gz: has no sub-LABEL in its name, so the subject of the BIDS names is not known; give",
        ),
        (("--subject", "Doe, John"), "--subject: 'Doe, John' is no BIDS label"),
    ],
)
def test_bids_needs_a_subject(folder, capsys, options, sentence):
    (folder / "case" / "dsc.nii.gz").rename(folder / "old.nii.gz")
    words = ["reference", str(folder / "old.nii.gz"), "--bids", *options, "--output", str(folder / "maps")]
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("error: " + sentence)
    assert not (folder / "maps").exists()


def test_reference_maps_with_bids_names_of_a_given_subject(folder):
    words = ["reference", str(folder / "case" / "dsc.nii.gz"), "--bids", "--subject", "sub-P3", "--json"]
    assert main([*words, "--output", str(folder / "maps")]) == 0
    names = {path.name for path in (folder / "maps" / "sub-P3" / "perf").iterdir()}
    ends = ("_cbv", "_cbf", "_mtt", "Normalized_cbv", "Baseline_dscref")
    stems = [f"sub-P3_desc-reference{end}" for end in ends]
    assert names == {stem + ending for stem in stems for ending in (".json", ".nii.gz")}
