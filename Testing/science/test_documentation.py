"""The texts for readers are true: links lead somewhere, code runs, and what they list is what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from science.documents import ROOT, Block, blocks, cells, documents, headings, links, notebooks
from science.small_cases import SHAPE, write_small_case
from science.synthetic import head_of, oblique_grid
from science.test_architecture import ROOMS
from stunet_perfusion.cli import VERBS, main
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


@pytest.fixture(scope="module")
def writer():
    """Utilities/write_command_line.py"""
    specification = spec_from_file_location("write_command_line", ROOT / "Utilities" / "write_command_line.py")
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_command_line_is_described_as_help_knows_it(writer):
    text = writer.DOCUMENT.read_text("utf-8")
    assert writer.with_tables(text, list(VERBS)) == text, "run: python Utilities/write_command_line.py"
    assert set(re.findall(r"^### (\w+)$", text, flags=re.M)) == set(VERBS)


def commands_in(text: str) -> list[list[str]]:
    """The calls of `stunet-perfusion` in a block of a shell, as lists of words."""
    joined = text.replace("\\\n", " ")
    calls = [shlex.split(line, comments=True) for line in joined.splitlines() if "stunet-perfusion " in line]
    return [words[1:] for words in calls if words and words[0].endswith("stunet-perfusion")]


SHELL_BLOCKS = [block for document in documents() for block in blocks(document) if block.language in ("sh", "bash")]


def name_of(block: Block) -> str:
    return f"{block.document.relative_to(ROOT)}:{block.line}"


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=name_of)
def test_commands_name_verbs_and_options_that_there_are(block, writer):
    for words in commands_in(block.code):
        verb = words[0]
        if verb.startswith("-"):
            continue
        assert verb in VERBS
        if verb == "benchmark":
            continue
        known = {"--help"} | {
            name
            for parameter in writer.commands(verb)[verb].params
            for name in parameter.opts + parameter.secondary_opts
        }
        assert {word.split("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(
    "document", [each for each in documents() if any(block.runs for block in blocks(each))], ids=lambda path: path.name
)
def test_blocks_that_say_so_run_one_after_another(document, readers_folder, monkeypatch, capfd):
    monkeypatch.chdir(readers_folder)
    for block in blocks(document):
        if not block.runs:
            continue
        if block.language == "python":
            exec(compile(block.code, name_of(block), "exec"), {})
            continue
        calls = commands_in(block.code)
        assert calls, "a block that runs calls stunet-perfusion"
        for words in calls:
            assert main(words) == 0, f"{name_of(block)}: {capfd.readouterr().err}"


def test_the_readme_is_short_and_links_to_what_the_project_stands_on():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 150
    for address in (
        "hal.science/hal-03128610",
        "10.7937/K9/TCIA.2016.5DI84Js8",
        "www.slicer.org",
        "fsl.fmrib.ox.ac.uk",
    ):
        assert address in text
    # Who ran `make demo` has the command in .venv/bin.
    assert ".venv/bin/stunet-perfusion" in text


ARCHITECTURE = ROOT / "Documentation" / "architecture.md"


def test_the_drawing_of_the_rooms_names_them_in_their_order():
    (drawing,) = [block.code for block in blocks(ARCHITECTURE) if block.language == "mermaid"]
    known = dict.fromkeys(re.findall(r"__\w+__|\b[a-z_]+\b", drawing))
    assert set(ROOMS) <= set(known)
    # A box that stands in an arrow comes after what it knows.
    for line in drawing.splitlines():
        chain = [room for room in re.findall(r"\b\w+\b", line) if room in ROOMS]
        assert chain == sorted(chain, key=ROOMS.index), line
    boxes = re.findall(r"subgraph (\w+) .*?\n(.*?)\n  end", drawing, flags=re.S)
    rooms_of = {box: [room for room in re.findall(r"\w+", inside) if room in ROOMS] for box, inside in boxes}
    assert {room for rooms in rooms_of.values() for room in rooms} == set(ROOMS)
    (row,) = re.findall(r"^  (shared --> .*)$", drawing, flags=re.M)
    assert row.split(" --> ") == list(rooms_of)


def test_the_table_of_the_rooms_is_their_order():
    section = ARCHITECTURE.read_text("utf-8").split("## The rooms of the science")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, flags=re.M)) == ROOMS


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_functions_are_where_links_say(document):
    """`[`name`](file.py)`: the file defines the name."""
    for name, file in re.findall(r"\[`(\w+)`\]\(([\w./-]+\.py)\)", document.read_text("utf-8")):
        assert re.search(rf"^(def|class) {name}\b", (document.parent / file).read_text("utf-8"), re.M), (
            f"{name}: {file}"
        )


def test_every_guarantee_names_a_test_that_there_is():
    text = (ROOT / "Documentation" / "guarantees.md").read_text("utf-8")
    named = re.findall(r"`((?:science|mrml|gui)/\w+\.py)(?:::(\w+))?", text)
    assert len(named) > 10
    for file, name in named:
        assert (ROOT / "Testing" / file).is_file(), file
        if name:
            assert re.search(rf"^def {name}\b", (ROOT / "Testing" / file).read_text("utf-8"), re.M), f"{file}::{name}"
