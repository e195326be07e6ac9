"""The command line itself: no verb, no such verb, and what no verb was prepared for."""

from __future__ import annotations

import errno
import json
import os
import re

import pytest

from stunet_perfusion.cli import VERBS, info, main, options
from stunet_perfusion.support.resources import shipped_checkpoint


def test_without_a_verb_there_is_help_and_no_error(capsys):
    assert main([]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", printed.out)


@pytest.mark.parametrize("arguments", [["guess"], ["--loud"], ["info"], ["info", "a", "--loud"]])
def test_words_that_mean_nothing_are_refused_in_one_line(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.endswith(". Try --help.\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (MemoryError(), "error: not enough memory; "),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "dsc.nii"), "error: dsc.nii: cannot be read or writ"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "error: a file: cannot be read or written: Input/output error; "),
        (OSError("the decoder\ngave up"), "error: a file: cannot be read or written: the decoder gave up; "),
    ],
)
def test_what_no_verb_was_prepared_for_is_said_in_one_line(monkeypatch, capsys, failure, sentence):
    def fail(*arguments, **keywords):
        raise failure

    monkeypatch.setattr(info, "read_series", fail)
    assert main(["info", "dsc.nii"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1


def test_progress_shows_names_that_look_like_markup(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(options, "console", options.Console(stderr=True, force_terminal=True, markup=False))
    with options.progress_bar(quiet=False) as progress:
        progress(0.5, "writing a[/b].nii.gz")
    assert "writing a[/b].nii.gz" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(shipped_checkpoint().parent.glob("*.safetensors")), ids=lambda path: path.stem)
def test_every_shipped_checkpoint_can_be_described(path, capsys):
    assert main(["checkpoint", str(path), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["megabytes"] == pytest.approx(path.stat().st_size / 1e6, abs=0.01)
    assert described["multiply_accumulates_per_strip"] > 10**8
    assert main(["checkpoint", str(path)]) == 0
    table = capsys.readouterr().err
    assert described["network"] in table
    # For people: every argument by its name and no Python in it.
    assert all(f"{name}: " in table for name in described["arguments"])
    assert not set("{}[]") & set(table)


def test_all_shipped_checkpoints_together_are_small_enough_for_a_download():
    files = list(shipped_checkpoint().parent.glob("*.safetensors"))
    assert 1 <= len(files) <= 3
    assert sum(path.stat().st_size for path in files) < 10e6
