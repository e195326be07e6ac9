"""The papers of the project: what successors, citing authors and build machines read."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
import yaml

from science.documents import ROOT
from stunet_perfusion import __version__


@pytest.fixture
def make() -> ModuleType:
    """Utilities/make.py"""
    specification = spec_from_file_location("make", ROOT / "Utilities" / "make.py")
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def recipes() -> dict[str, list[str]]:
    """What each target of the Makefile runs in .venv."""
    text = (ROOT / "Makefile").read_text()
    found = re.findall(r"^(\w+):.*\n((?:\t.*\n?)*)", text, flags=re.M)
    return {
        target: [line.strip().removeprefix(".venv/bin/") for line in lines.splitlines() if ".venv/bin/" in line]
        for target, lines in found
    }


def test_windows_runs_what_the_makefile_runs(make):
    assert recipes() == make.TARGETS


def test_what_is_installed_is_not_installed_again(make, monkeypatch, tmp_path):
    monkeypatch.setattr(make, "STAMP", tmp_path / "installed")
    monkeypatch.setattr(make, "PROGRAMS", tmp_path)
    ran: list[str] = []
    monkeypatch.setattr(make, "run", ran.append)
    make.install()
    assert len(ran) == 2
    make.install()
    assert len(ran) == 2
    monkeypatch.setattr(make, "wanted", lambda: b"other pins")
    make.install()
    assert len(ran) == 4


def test_a_program_that_fails_ends_the_run(make, monkeypatch, tmp_path):
    monkeypatch.setattr(make, "PROGRAMS", tmp_path)
    (tmp_path / "python").symlink_to(sys.executable)
    make.run("python -V")
    with pytest.raises(SystemExit) as ended:
        make.run("python -c raise(SystemExit(3))")
    assert ended.value.code == 3


@pytest.mark.parametrize("words", [[], ["guess"], ["demo", "test"]])
def test_other_words_are_refused(make, words):
    with pytest.raises(SystemExit, match="usage: "):
        make.main(words)


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert citation["license"] == "MIT"
    paper = citation["references"][0]
    assert paper["url"] == "https://hal.science/hal-03128610"
    assert [author["family-names"] for author in paper["authors"]] == [
        *("Veron Vialard", "Rohé", "Robert", "Nicolas", "Bône")
    ]
    for author in ("Veron Vialard", "Rohé", "Robert", "Nicolas", "Bône"):
        assert author in (ROOT / "README.md").read_text("utf-8")


def test_the_changelog_has_every_version_with_its_date_newest_first():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, flags=re.M)
    names = [name for name, _ in headings]
    assert names[0] == "Unreleased"
    assert __version__ in names
    dates = [date for _, date in headings[1:]]
    assert all(dates)
    assert dates == sorted(dates, reverse=True)
    kinds = set(re.findall(r"^### (\w+)$", text, flags=re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for name in names:
        assert f"\n[{name}]: https://" in text


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_runs_files_that_exist(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert "run" in step or "uses" in step
            for file in re.findall(r"\bUtilities/[\w.]+", step.get("run", "")):
                assert (ROOT / file).is_file()


def test_the_workflow_goes_through_linux_windows_and_macos():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))["jobs"]
    assert jobs["linux"]["runs-on"] == "ubuntu-latest"
    assert jobs["windows-and-macos"]["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]


def test_hooks_before_a_commit_are_ruff_and_mypy():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert {"ruff", "ruff-format", "mypy"} <= {hook["id"] for hook in hooks}
