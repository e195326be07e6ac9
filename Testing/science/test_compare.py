"""The verb `compare` as a user calls it, on files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from science.synthetic import oblique_grid
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.writing import write_map

SHAPE = (3, 32, 28)


@pytest.fixture
def folder(tmp_path):
    grid = oblique_grid(SHAPE)
    reference = np.random.default_rng(0).gamma(4, 0.01, SHAPE).astype(np.float32)
    tumor, nawm = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    tumor[1, 5:10, 5:10], nawm[1, 20:25, 5:10] = 1, 1
    reference[tumor > 0], reference[nawm > 0] = 0.06, 0.02
    write_map(tmp_path / "reference.nii.gz", reference, grid)
    values = reference + np.float32(0.01)
    write_map(tmp_path / "map.nii.gz", values, grid)
    write_map(tmp_path / "mask.nii.gz", np.ones(SHAPE, np.float32), grid)
    write_map(tmp_path / "tumor.nii.gz", tumor, grid)
    write_map(tmp_path / "nawm.nii.gz", nawm, grid)
    return tmp_path


def compare(folder, *more: str) -> int:
    paths = [str(folder / "map.nii.gz"), str(folder / "reference.nii.gz"), "--mask", str(folder / "mask.nii.gz")]
    return main(["compare", *paths, *more])


def test_json_holds_the_numbers_that_are_known(folder, capsys):
    regions = ["--tumor", str(folder / "tumor.nii.gz"), "--nawm", str(folder / "nawm.nii.gz")]
    assert compare(folder, *regions, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["standardized"] is True
    assert document["ssim_range"] == 10
    assert document["voxels"] == {"mask": 3 * 32 * 28, "tumor": 25, "nawm": 25}
    # An offset is nothing to z-scores, 0.01 to the bias, and 7/3 instead of 3 to the tumor's ratio.
    assert document["l1"] == pytest.approx(0, abs=1e-4)
    assert document["ssim"] == pytest.approx(1, abs=1e-4)
    assert document["bias"] == pytest.approx(0.01, rel=1e-4)
    assert document["nrcbv_reference"] == pytest.approx(3, rel=1e-5)
    assert document["nrcbv"] == pytest.approx(7 / 3, rel=1e-5)
    assert document["nrcbv_error"] == pytest.approx(7 / 3 - 3, rel=1e-5)


def test_physical_maps_and_a_range_on_request(folder, capsys):
    assert compare(folder, "--physical", "--range", "0.2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["standardized"] is False
    assert document["ssim_range"] == 0.2
    assert document["l1"] == pytest.approx(0.01, rel=1e-4)
    assert document["l2"] == pytest.approx(1e-4, rel=1e-3)


def test_people_read_a_table_that_says_what_was_standardized(folder, capsys):
    assert compare(folder) == 0
    table = capsys.readouterr().out
    for words in ("SSIM", "z-scores, cut to [-5, 5]", "maps as they are", "Research use only"):
        assert words in table
    assert "nRCBV" not in table


def test_another_grid_is_refused_with_both_names(folder, capsys):
    write_map(folder / "reference.nii.gz", np.ones((3, 32, 20), np.float32), oblique_grid((3, 32, 20)))
    assert compare(folder) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    for words in ("map.nii.gz", "reference.nii.gz", "28 x 32 x 3", "20 x 32 x 3"):
        assert words in error


def test_the_same_voxels_at_another_place_are_refused(folder, capsys):
    write_map(folder / "reference.nii.gz", np.ones(SHAPE, np.float32), oblique_grid(SHAPE, (2.0, 2.0, 4.0)))
    assert compare(folder) == 2
    assert "different places" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "inf", "nan"])
def test_a_range_must_be_positive_and_finite(folder, capsys, value):
    assert compare(folder, "--range", value) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --range: {value} is not positive and finite; ")
    assert error.count("\n") == 1


def test_names_that_look_like_markup_are_printed_as_they_are(folder, capsys):
    odd = folder / "a [red]b :smile:.nii.gz"
    (folder / "map.nii.gz").rename(odd)
    paths = [str(odd), str(folder / "reference.nii.gz"), "--mask", str(folder / "mask.nii.gz")]
    assert main(["compare", *paths]) == 0
    assert "a [red]b :smile:.nii.gz against reference.nii.gz" in " ".join(capsys.readouterr().out.split())


def test_maps_of_different_units_are_brought_together_and_it_is_said(folder, capsys):
    reference, grid = read_map(folder / "reference.nii.gz")
    write_map(folder / "map.nii.gz", np.float32(8.8) * reference, grid)
    assert compare(folder, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["factor"] == pytest.approx(1 / 8.8, rel=1e-4)
    assert document["concordance"] == pytest.approx(1, abs=1e-5)
    assert document["bias"] == pytest.approx(0, abs=1e-6)
    assert document["notes"] == [
        "The maps are in different units: map.nii.gz was multiplied by 0.1136, which fits reference.nii.gz best over "
        "the brain."
    ]
    assert compare(folder, "--factor", "none", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["factor"], document["notes"]) == (1.0, [])
    assert document["concordance"] < 0.1


def test_units_that_reports_name_decide(folder, capsys):
    """The maps are alike in size here, but one is in multiples of white matter, or both are the same unit."""
    reference, grid = read_map(folder / "reference.nii.gz")
    for unit, factor in (("x white matter", 1 / 1.2), ("fraction", 1.0)):
        write_map(folder / unit / "cbv.nii.gz", np.float32(1.2) * reference, grid)
        write_map(folder / "other" / "cbv.nii.gz", reference, grid)
        for place, its in ((unit, unit), ("other", "fraction")):
            (folder / place / "report.json").write_text(
                json.dumps({"maps": {"cbv": {"file": "cbv.nii.gz", "unit": its}}})
            )
        paths = [str(folder / unit / "cbv.nii.gz"), str(folder / "other" / "cbv.nii.gz")]
        assert main(["compare", *paths, "--mask", str(folder / "mask.nii.gz"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["factor"] == pytest.approx(factor, rel=1e-4)


def test_a_factor_that_is_no_choice(folder, capsys):
    assert compare(folder, "--factor", "some") == 2
    assert capsys.readouterr().err == "error: --factor: 'some' is not known; write auto, fit or none\n"
