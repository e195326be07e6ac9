"""The texts for readers are true: links lead somewhere, code runs, and what they list is what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from science.documents import ROOT, cells, documents, headings, links, notebooks
from science.small_cases import SHAPE, write_small_case
from science.synthetic import head_of, oblique_grid
from stunet_perfusion.writing import write_map


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory) -> Path:
    """Where a reader types what stands in the texts: a case lies in `case`, smaller than the one that they make."""
    folder = tmp_path_factory.mktemp("reader")
    write_small_case(folder, "case")
    side = np.linspace(1.0, 0.5, SHAPE[2])
    truth = 0.04 * head_of(SHAPE) * side
    write_map(folder / "case" / "truth_cbv.nii.gz", truth.astype(np.float32), oblique_grid(SHAPE))
    return folder


def run(code: str, folder: Path) -> str:
    """Run Python code in a process of its own, as a reader would.

    :returns: what it printed
    """
    environment = {"PYTHONPATH": str(ROOT / "StUNetPerfusion"), "MPLBACKEND": "Agg"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("document", [*documents(), *notebooks()], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(document):
    """Files and headings of this repository; addresses in the net are not asked."""
    text = "\n".join(cells(document, "markdown")) if document.suffix == ".ipynb" else document.read_text("utf-8")
    for link in links(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = document if not name else document.parent / name
        assert target.exists(), f"{link} leads to no file"
        if anchor:
            assert anchor in headings(target), f"{link} leads to no heading"


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: path.name)
def test_a_notebook_runs_from_its_first_cell_to_its_last(notebook, readers_folder):
    printed = run("\n".join(cells(notebook, "code")), readers_folder)
    assert "frames, slices, rows, columns: (50, 3, 40, 36)" in printed
    assert "my series: has 5 frames" in printed
    assert (readers_folder / "cbv.nii.gz").is_file()
