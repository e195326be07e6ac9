"""Text from outside, as terminals, logs and spreadsheets may have it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from stunet_perfusion.cases import Case, read_cases, write_cases
from stunet_perfusion.cli import main, options
from stunet_perfusion.cohort.jobs import CaseOutcome
from stunet_perfusion.cohort.summary import summary_rows, write_summary
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.plain_text import as_written, defused, one_error, one_line
from stunet_perfusion.worker.failures import failure_of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc\r\n", "a b c"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("ring\x07, back\x08", "ring\N{REPLACEMENT CHARACTER}, back\N{REPLACEMENT CHARACTER}"),
        ("gnp\u202egnp.nii", "gnp\N{REPLACEMENT CHARACTER}gnp.nii"),
        ("Größe 12 µm, 脑", "Größe 12 µm, 脑"),
        ("x" * 5000, "x" * 999 + "…"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_an_error_holds_no_other_error() -> None:
    text = "net: cannot be built (error: no such thing)\nTraceback (most recent call last):\n  File x"
    assert one_error(text) == "net: cannot be built (no such thing)"


def test_names_of_files_give_the_terminal_no_commands(tmp_path: Path, capsys) -> None:
    path = tmp_path / "a\x1b[2J\x1b]0;owned\x07\nerror: b.nii"
    assert main(["info", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert error.count("error:") == 1
    assert "\x1b" not in error
    assert "\x07" not in error
    reply = failure_of(InputError(str(path), "is\x1b[31m odd", "mend it")).as_reply()
    assert "\x1b" not in reply["message"] + reply["subject"] + reply["fact"]


def test_notes_give_the_terminal_no_commands(capsys, monkeypatch) -> None:
    monkeypatch.setattr(options, "console", options.plain_console())
    options.console.print("series 3 '\x1b[2Jperfusion'")
    assert capsys.readouterr().out == "series 3 'perfusion'\n"


def test_cells_that_begin_a_formula(tmp_path: Path) -> None:
    formulas = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", '=HYPERLINK("http://x")']
    for text in formulas:
        assert defused(text) == "'" + text
        assert as_written(defused(text)) == text
    for kept in ("-1.5", "+3", "1e-3", "abc", "", "'quoted'", 3.5, None, "-inf"):
        assert defused(kept) == kept
    facts = {"grade": "=1+1", "scanner": "A"}
    case = Case("one", tmp_path / "dsc.nii", facts=facts)
    write_cases(tmp_path / "cases.csv", [case])
    assert "'=1+1" in (tmp_path / "cases.csv").read_text()
    assert read_cases(tmp_path / "cases.csv")[0].facts == facts
    outcome = CaseOutcome("one", "failed", {}, "=cmd: does not exist")
    write_summary(tmp_path / "summary.csv", summary_rows([case], {"one": outcome}))
    row = next(csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_text())))
    assert (row["grade"], row["error"]) == ("'=1+1", "'=cmd: does not exist")


@pytest.mark.parametrize("name", ["summary.csv", "Overview.html", "report.json", "a/b", "x" * 300])
def test_a_case_is_not_called_as_a_file_of_the_results(tmp_path: Path, name: str) -> None:
    (tmp_path / "cases.csv").write_text(f"case,series\n{name},dsc.nii\n")
    with pytest.raises(InputError, match=r"name of a file of the results|cannot be the name of a folder"):
        read_cases(tmp_path / "cases.csv")


def test_control_characters_in_a_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_bytes(b"case,series\none,ds\0c.nii\n")
    with pytest.raises(InputError):
        read_cases(tmp_path / "cases.csv")
