"""The whole job on a phantom with the checkpoint that ships, and the figure that it leaves."""

import csv
import json
import re
from contextlib import redirect_stderr

import numpy as np
import pytest
from matplotlib.image import imread

from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.runs.figures import (
    Panel,
    busiest_slice,
    cropped,
    save_comparison,
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo with strips that overlap by a quarter: faster, and no better for it."""
    folder = tmp_path_factory.mktemp("run") / "demo"
    with open(folder.parent / "told.txt", "w", encoding="utf-8") as told, redirect_stderr(told):
        assert main(["demo", "--output", str(folder), "--stride", "24"]) == 0
    return folder


def test_in_a_pipe_the_progress_is_told_in_lines_and_then_one_table(demo):
    told = (demo.parent / "told.txt").read_text(encoding="utf-8")
    lines = [line for line in told.splitlines() if re.match(r" *\d+ %  \w", line)]
    shares = [int(line.split(" %")[0]) for line in lines]
    assert shares == sorted(set(shares))
    assert shares[0] == 0
    assert shares[-1] == 90
    assert len(shares) >= 6
    assert lines[0] == "  0 %  Making the phantom"
    assert told.count("Standardized CBV against") == 1
    assert "against the phantom's truth" in told


def scores(folder, against):
    rows = json.loads((folder / "scores.json").read_text())["rows"]
    return {(row["method"], row["dose"]): row for row in rows if row["against"] == against}


def test_the_shipped_checkpoint_finds_the_blood_volume_of_a_head_it_has_not_seen(demo):
    """The MNI152 head is in no training set. 0.9 is what the first checkpoint has to reach at full dose."""
    row = scores(demo, "truth")["stunet", 1.0]
    assert row["pearson"] >= 0.9


def test_the_network_loses_less_with_the_dose_than_the_closed_form(demo):
    truth = scores(demo, "truth")
    loss = {method: truth[method, 1.0]["ssim"] - truth[method, 0.25]["ssim"] for method in ("stunet", "reference")}
    assert loss["stunet"] < loss["reference"]
    assert truth["stunet", 0.25]["l2"] < truth["reference", 0.25]["l2"]


def test_every_map_is_there_and_on_the_grid_of_the_phantom(demo):
    _, grid = read_map(demo / "phantom" / "truth_cbv.nii.gz")
    for dose in ("dose-100", "dose-050", "dose-025"):
        for name in (
            "reference_cbv", "reference_cbf", "reference_mtt",
            "stunet_cbv", "stunet_cbv_standardized", "stunet_cbv_uncertainty",
        ):  # fmt: skip
            image, own = read_map(demo / dose / f"{name}.nii.gz")
            assert own.matches(grid, 1e-4)
            assert np.isfinite(image).all()
            assert image.std() > 0


def test_the_table_says_the_same_in_both_files(demo):
    rows = json.loads((demo / "scores.json").read_text())["rows"]
    with (demo / "scores.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(line["l1"]) for line in table] == pytest.approx([row["l1"] for row in rows], rel=1e-5)
    assert {(line["dose"], line["method"], line["against"]) for line in table} == {
        (f"{row['dose']:.6g}", row["method"], row["against"]) for row in rows
    }
    assert ("reference", 1.0) not in scores(demo, "reference"), "a map is not scored against itself"


def test_the_figure_holds_a_panel_a_dose_and_map(demo):
    image = imread(demo / "comparison.png")
    height, width = image.shape[:2]
    assert width > 800
    assert height > 800
    assert (image[0, 0, :3] == 0).all()
    # Three rows of three panels: every ninth of the part between captions and color bar shows a map.
    part = image[int(0.08 * height) : int(0.95 * height), int(0.08 * width) : int(0.9 * width), :3]
    for row in np.array_split(part, 3, axis=0):
        for panel in np.array_split(row, 3, axis=1):
            assert panel.std() > 0.1


def test_the_slice_with_most_tumor_is_shown_else_with_most_brain():
    brain = np.zeros((4, 8, 8), bool)
    brain[2, :6], brain[1, :2] = True, True
    tumor = np.zeros_like(brain)
    assert busiest_slice(tumor, brain) == 2
    tumor[1, 0, 0] = True
    assert busiest_slice(tumor, brain) == 1


def test_a_slice_is_cropped_to_its_brain_and_black_outside():
    brain = np.zeros((20, 20), bool)
    brain[8:12, 6:15] = True
    image = np.ones((20, 20))
    part = cropped(image, brain, margin=2)
    assert part.shape == (8, 13)
    assert part.sum() == brain.sum()


def test_colors_of_a_figure_are_those_of_the_color_table(tmp_path):
    """Zero is black and the top of the window is the table's last color, in one window for all panels."""
    from stunet_perfusion.support.colormap import perfusion_colors

    flat = {"a": [Panel(np.zeros((30, 30))), Panel(np.full((30, 30), 6.0))]}
    save_comparison(tmp_path / "figure.png", flat, ["zero", "top"], "title", "note")
    image = imread(tmp_path / "figure.png")[..., :3]
    height, width = image.shape[:2]
    middle = image[height // 2]
    assert (middle[int(0.3 * width)] == 0).all()
    np.testing.assert_allclose(middle[int(0.6 * width)], perfusion_colors()[-1], atol=1 / 128)
