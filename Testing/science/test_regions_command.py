"""`stunet-perfusion regions`: from a run's folder and masks to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.series import Grid
from stunet_perfusion.writing import write_json, write_map

SHAPE = (6, 60, 56)
GRID = Grid(SHAPE, np.array([[3.0, 0, 0, -82.5], [0, 3, 0, -88.5], [0, 0, 6, -15], [0, 0, 0, 1]]))


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder as `reference --maps all` leaves it: a symmetric head, a tumor on the patient's right."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    brain = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 2) ** 2 < 1
    ncbv = np.where((x / 0.6) ** 2 + (y / 0.7) ** 2 < 1, 1.0, 2.2)
    tumor, white = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    tumor[2:4, 24:32, 38:44] = True
    white[2:4, 24:32, 12:18] = True
    ncbv[tumor] = 4
    tmax = np.where(tumor, 8.0, 1.0)
    maps = {"ncbv": ncbv, "ncbv_uncertainty": 0.1 * ncbv, "tmax": tmax, "cbf": np.full(SHAPE, 0.01), "psr": 90 + 0 * x}
    for name, values in maps.items():
        write_map(tmp_path / "run" / f"{name}.nii.gz", np.where(brain, values, 0), GRID)
    for name, mask in (("tumor", tumor), ("white", white)):
        write_map(tmp_path / f"{name}.nii.gz", mask, GRID)
    write_map(tmp_path / "run" / "nawm.nii.gz", white, GRID)
    entries = {name: {"file": f"{name}.nii.gz", "unit": ""} for name in maps}
    regions = {"nawm": {"file": "nawm.nii.gz"}}
    write_json(tmp_path / "run" / "report.json", {"aif": {}, "maps": entries, "regions": regions})
    return tmp_path


def ask(run: Path, capsys, *options: str) -> dict:
    status = main(["regions", str(run / "run"), *options, "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return json.loads(printed.out)


def test_numbers_of_regions_their_other_side_and_files(run, capsys):
    masks = ["--region", str(run / "tumor.nii.gz"), "--region", str(run / "white.nii.gz")]
    answer = ask(run, capsys, *masks, "--mirror", "--output", str(run / "out"))
    tumor = answer["regions"]["tumor"]
    assert tumor["milliliters"] == pytest.approx(96 * 0.054)
    assert tumor["ncbv"]["value"] == pytest.approx(4)
    assert tumor["ncbv"]["low"] < 4 < tumor["ncbv"]["high"]
    assert tumor["mirror"]["ncbv"]["value"] == pytest.approx(1, abs=0.15)
    assert tumor["means"] == {"psr": pytest.approx(90), "tmax": pytest.approx(8)}
    assert tumor["tumor_burden"][2]["share"]["value"] == 1
    assert answer["delayed_tissue"]["tmax_above_6_s_ml"] == pytest.approx(96 * 0.054)
    assert set(answer["histogram"]["shares"]) == {"tumor", "white", "white matter"}
    assert answer["plane_of_symmetry"]["agreement"] > 0.9
    labels, grid = read_map(run / "out" / answer["files"]["tumor tumor_burden"])
    assert grid.matches(GRID)
    assert np.unique(labels[labels > 0]).tolist() == [3]
    mirror, _ = read_map(run / "out" / answer["files"]["tumor mirror"])
    assert np.argwhere(mirror > 0)[:, 2].mean() == pytest.approx(55 - 40.5, abs=1.2)
    assert json.loads((run / "out" / "regions.json").read_text()) == answer


def test_without_regions_late_tissue_and_the_histogram_are_told(run, capsys):
    answer = ask(run, capsys)
    assert answer["regions"] == {}
    assert set(answer["histogram"]["shares"]) == {"white matter"}


def test_the_table_leads_with_what_is_read(run, capsys):
    assert main(["regions", str(run / "run"), "--region", str(run / "tumor.nii.gz"), "--mirror"]) == 0
    printed = capsys.readouterr().out
    for words in ("nCBV, x white matter", "mean nCBV", "4.00 (", "hot spot", "burden above 1.75, %", "other side"):
        assert words in printed
    assert "Research use only: not for diagnosis." in printed


def test_a_region_over_the_midline_has_a_sentence(run, capsys):
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 26:34, 22:36] = True
    write_map(run / "middle.nii.gz", mask, GRID)
    notes = ask(run, capsys, "--region", str(run / "middle.nii.gz"), "--mirror")["notes"]
    assert any(note.startswith("middle lies on both sides of the midline") for note in notes)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda mask: None, "bad.nii.gz: is empty: no voxel is above 0.5"),
        (lambda mask: mask.__setitem__((slice(None), 0, 0), True), "bad.nii.gz: lies outside the brain"),
    ],
)
def test_a_region_that_cannot_be_used_is_one_line(run, capsys, write, sentence):
    mask = np.zeros(SHAPE, bool)
    write(mask)
    write_map(run / "bad.nii.gz", mask, GRID)
    assert main(["regions", str(run / "run"), "--region", str(run / "bad.nii.gz")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}")
    assert error.count("\n") == 1


def test_a_region_of_another_patient_is_refused(run, capsys):
    matrix = GRID.ijk_to_ras.copy()
    matrix[:3, 3] += 1000
    write_map(run / "far.nii.gz", np.ones(SHAPE, bool), Grid(SHAPE, matrix))
    assert main(["regions", str(run / "run"), "--region", str(run / "far.nii.gz")]) == 2
    assert "far.nii.gz: lies outside of the series" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--turn", "3"], "error: --turn and --shift: move the plane of --mirror; give --mirror, too"),
        (["--thresholds", "one"], "error: --thresholds: 'one' are no numbers; write for example 1.0,1.75"),
        (["--region", "nowhere.nii.gz"], "error: nowhere.nii.gz: does not exist"),
    ],
)
def test_wrong_options_are_one_line(run, capsys, options, sentence):
    assert main(["regions", str(run / "run"), *options]) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_a_folder_without_ncbv_is_refused(run, capsys):
    (run / "run" / "report.json").unlink()
    (run / "run" / "ncbv.nii.gz").unlink()
    assert main(["regions", str(run / "run")]) == 2
    assert "holds no nCBV map; run 'predict' or 'reference' again" in capsys.readouterr().err


def test_nothing_is_written_into_the_run_that_is_read(run, capsys):
    before = sorted(path.name for path in (run / "run").iterdir())
    for words in (["regions", str(run / "run")], ["anatomy", str(run / "run"), str(run / "tumor.nii.gz")]):
        assert main([*words, "--output", str(run / "run")]) == 2
        assert "is inside of the folder that is read; choose a folder beside it" in capsys.readouterr().err
    assert sorted(path.name for path in (run / "run").iterdir()) == before
