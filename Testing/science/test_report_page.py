"""The page of a run: it can be drawn from any run, its text is text, and it leads with the number that is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from science.test_regions_command import GRID, SHAPE, run  # noqa: F401
from stunet_perfusion.cli import main
from stunet_perfusion.regions.region_error import Interval
from stunet_perfusion.runs.report_page import key_slices, with_interval
from stunet_perfusion.writing import write_map

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'stunet-perfusion[demo]'")


@pytest.fixture
def whole(run: Path) -> Path:  # noqa: F811
    """The run with its baseline, curves and a quality that is not all green."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    head = (x / 0.85) ** 2 + (y / 0.95) ** 2 + (z / 2) ** 2 < 1
    write_map(run / "run" / "baseline.nii.gz", np.where(head, 500 + 100 * np.cos(9 * x) * np.cos(7 * y), 0), GRID)
    report = json.loads((run / "run" / "report.json").read_text())
    times = np.arange(40) * 1.5
    curve = (100 - 20 * np.exp(-(((times - 20) / 5) ** 2))).tolist()
    finding = {"light": "yellow", "title": "Motion", "meaning": "The head moves by 3 mm.", "advice": "Check the map."}
    report |= {
        "images": {"baseline": {"file": "baseline.nii.gz"}},
        "curves": {"times_s": times.tolist(), "brain": curve, "white_matter": curve},
        "quality": {"light": "yellow", "findings": [finding], "mended": []},
        "notes": ["Normal white matter was found automatically."],
    }
    (run / "run" / "report.json").write_text(json.dumps(report))
    return run


@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_a_page_is_drawn(whole: Path, capsys, ending: str) -> None:
    page = whole / f"page.{ending}"
    words = ["report", str(whole / "run"), "--region", str(whole / "tumor.nii.gz"), "--mirror", "--output", str(page)]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"].startswith("tumor: 4.00 (")
    assert answer["result"].endswith("100 % of it above 1.75.")
    written = page.read_bytes()
    if ending == "pdf":
        assert written.startswith(b"%PDF")
        assert b"/FontFile2" in written, "text is text, in a font that comes along"
        assert b"/Type3" not in written
        assert main(words) == 0
        assert page.read_bytes() == written, "the same run makes the same file"
    else:
        assert written.startswith(b"\x89PNG")


def test_a_page_without_regions_and_with_an_anatomy(whole: Path, capsys) -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    write_map(whole / "t1.nii.gz", 300 - 100 * np.cos(9 * x) * np.cos(7 * y) + 20 * z, GRID)
    words = ["report", str(whole / "run"), "--anatomy", str(whole / "t1.nii.gz"), "--as-headers-say"]
    assert main([*words, "--output", str(whole / "page.png"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"] == "No region was given: the maps alone are shown."
    assert "The anatomy was taken where its header says." in answer["notes"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("page.docx", "page.docx: has an ending that names no known format; end it in .pdf or .png"),
        ("no/such/file.pdf", None),
    ],
)
def test_where_the_page_goes(whole: Path, capsys, output: str, sentence: str | None) -> None:
    status = main(["report", str(whole / "run"), "--output", str(whole / output)])
    assert status == (2 if sentence else 0)
    if sentence:
        assert sentence in capsys.readouterr().err
    else:
        assert (whole / output).is_file()


def test_key_slices_go_through_the_regions() -> None:
    brain, tumor = np.ones((12, 4, 4), bool), np.zeros((12, 4, 4), bool)
    tumor[2:9] = True
    assert key_slices({"tumor": tumor}, brain) == [2, 4, 6, 8]
    assert len(key_slices({}, brain)) == 4
    tumor[:] = False
    tumor[5] = True
    assert key_slices({"tumor": tumor}, brain) == [3, 4, 5, 6]
    assert key_slices({}, brain[:2]) == [0, 1]


def test_numbers_have_their_interval() -> None:
    assert with_interval(Interval(4.0, 3.8, 4.2)) == "4.00 (3.80–4.20)"
    assert with_interval(Interval(0.834, 0.8, 0.86), 100, 0) == "83 (80–86)"
    assert with_interval(Interval(4.0)) == "4.00"
