"""An error names the setting that mends it; who shows it says what that setting is called."""

from __future__ import annotations

import ast
import pickle
import re
from importlib import import_module
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer

import stunet_perfusion
from stunet_perfusion.cli import VERBS, main
from stunet_perfusion.cli.wording import OPTIONS, worded
from stunet_perfusion.cohort.wording import in_table_words
from stunet_perfusion.support.errors import InputError, OutputError, Refusal, Setting

#: Options of other programs, which users have to type there.
OF_OTHERS = ("gdcmconv --raw", "dask worker --resources GPU=1")

NO_TIMES = InputError("dsc.nii", "has no times", "give the time between frames", Setting.FRAME_INTERVAL)
NO_ARTERY = InputError("dsc.nii", "has no artery", "mark one, or give its curve", Setting.VESSELS, Setting.AIF)
TOO_MANY = InputError(Setting.DROP_FRAMES, "39 of 40 frames cannot be left out", "give 0 to 32, or auto")


def test_an_error_without_a_setting_is_its_three_parts():
    error = InputError(Path("dsc.nii"), "is empty", "copy it again")
    assert (error.subject, error.fact, error.way_out) == ("dsc.nii", "is empty", "copy it again")
    assert (error.settings, error.subject_setting) == ((), None)
    assert str(error) == error.worded(lambda setting: "never asked") == "dsc.nii: is empty; copy it again"
    assert isinstance(error, ValueError)
    assert isinstance(OutputError("out", "is full", "make room"), OSError)


def test_the_text_of_an_error_names_settings_in_plain_words():
    assert str(NO_TIMES) == "dsc.nii: has no times; give the time between frames"
    assert str(TOO_MANY) == "frames to leave out: 39 of 40 frames cannot be left out; give 0 to 32, or auto"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NO_TIMES, "dsc.nii: has no times; give the time between frames (--frame-interval SECONDS)"),
        (NO_ARTERY, "dsc.nii: has no artery; mark one, or give its curve (--vessels MASK or --aif FILE)"),
        (TOO_MANY, "--drop-frames: 39 of 40 frames cannot be left out; give 0 to 32, or auto"),
    ],
)
def test_the_command_line_names_its_options(error: InputError, sentence: str):
    assert worded(error, {option.partition(" ")[0] for option in OPTIONS.values()}) == sentence


def test_only_options_that_the_verb_has_are_named():
    assert worded(NO_ARTERY, {"--mask"}) == str(NO_ARTERY)
    assert worded(NO_ARTERY, {"--aif"}) == "dsc.nii: has no artery; mark one, or give its curve (--aif FILE)"
    assert worded(TOO_MANY, set()) == str(TOO_MANY)


def test_a_cohort_names_the_columns_of_its_table():
    assert in_table_words(NO_TIMES) == "dsc.nii: has no times; give the time between frames (column frame_interval)"
    assert in_table_words(TOO_MANY) == str(TOO_MANY)


def test_every_setting_has_an_option_of_some_verb():
    assert set(OPTIONS) == set(Setting)
    found = set()
    for verb in VERBS:
        app = typer.Typer()
        command = import_module(f"stunet_perfusion.cli.{verb}").command
        if not isinstance(command, typer.Typer):
            app.command()(command)
            found |= {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    assert {option.partition(" ")[0] for option in OPTIONS.values()} <= found


@pytest.mark.parametrize("error", [NO_ARTERY, TOO_MANY, OutputError("out", "is full", "make room", Setting.WORKERS)])
def test_an_error_comes_whole_from_another_process(error: Refusal):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_other_words_keep_the_settings():
    changed = NO_TIMES.rewritten(lambda text: text.replace("dsc.nii", "a series"))
    assert str(changed) == "a series: has no times; give the time between frames"
    assert changed.settings == NO_TIMES.settings


def test_the_verb_that_meets_the_error_names_its_option(tmp_path: Path, capsys):
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 2, 20), np.float32), np.eye(4)), tmp_path / "dsc.nii")
    assert main(["info", str(tmp_path / "dsc.nii")]) == 2
    sentence = "dsc.nii: does not say how much time is between its frames; give the time between frames in seconds"
    assert capsys.readouterr().err == f"error: {sentence} (--frame-interval SECONDS)\n"


def texts_of(file: Path) -> list[tuple[int, str]]:
    """Every text of a file that is no docstring, with its line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]


def test_no_text_of_the_science_names_an_option():
    science = Path(stunet_perfusion.__file__).parent
    found = []
    for file in sorted(science.rglob("*.py")):
        place = file.relative_to(science).as_posix()
        if place.startswith("cli/") or place == "worker/__main__.py":
            continue
        for line, text in texts_of(file):
            for other in OF_OTHERS:
                text = text.replace(other, "")
            if re.search(r"(?<![\w-])--[a-z]", text):
                found.append(f"{place}:{line}: {text}")
    assert not found
