"""Nothing is lost, and nothing is mixed: where results go, what they replace, and what a killed process leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from science.small_cases import small_checkpoint, write_small_case
from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.reading.report import sha256_of_array
from stunet_perfusion.runs.output import former_run
from stunet_perfusion.support import staged, staged_folder
from stunet_perfusion.support.errors import InputError, OutputError
from stunet_perfusion.support.folders import files_below
from stunet_perfusion.support.held import hold, is_held
from stunet_perfusion.support.staged import staged_file, staged_output
from stunet_perfusion.support.temporary import temporary_folder
from stunet_perfusion.writing import write_json, write_map

posix = pytest.mark.skipif(sys.platform == "win32", reason="processes end as POSIX has them end")

GRID = make_series(frames=16, shape=(2, 3, 4)).grid


@pytest.fixture
def case(tmp_path: Path) -> Path:
    write_small_case(tmp_path, "case")
    small_checkpoint(tmp_path / "small.safetensors")
    return tmp_path


def run_of(verb: str, folder: Path, *options: str) -> int:
    words = [verb, str(folder / "case" / "dsc.nii.gz"), "--mask", str(folder / "case" / "mask.nii.gz"), *options]
    if verb == "predict":
        words += ["--checkpoint", str(folder / "small.safetensors"), "--stride", "16"]
    return main([*words, "--output", str(folder / "out"), "--json"])


def write_run(folder: Path, names: tuple[str, ...], value: float) -> None:
    """What a verb leaves: maps, and the report that tells of them."""
    maps = {}
    for name in names:
        values = np.full(GRID.shape, value, np.float32)
        write_map(folder / f"{name}.nii.gz", values, GRID)
        maps[name] = {"file": f"{name}.nii.gz", "sha256": sha256_of_array(values)}
    write_json(folder / "report.json", {"value": value, "maps": maps, "provenance": {"verb": "predict"}})


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_run_replaces_the_whole_of_a_run_before(case: Path, capsys) -> None:
    assert run_of("reference", case) == 0
    assert {"cbf.nii.gz", "mtt.nii.gz"} <= set(names_in(case / "out"))
    (case / "out").chmod(0o750)
    assert run_of("predict", case) == 0
    assert not {"cbf.nii.gz", "mtt.nii.gz"} & set(names_in(case / "out"))
    assert former_run(case / "out") == frozenset(names_in(case / "out"))
    assert (case / "out").stat().st_mode & 0o777 == 0o750
    assert not list(case.rglob(".stunet-perfusion-*"))


def test_maps_that_somebody_changed_are_not_replaced_unasked(case: Path, capsys) -> None:
    assert run_of("predict", case) == 0
    values, grid = read_map(case / "out" / "cbv.nii.gz")
    write_map(case / "out" / "cbv.nii.gz", values * 2, grid)
    kept = (case / "out" / "cbv.nii.gz").read_bytes()
    capsys.readouterr()
    assert run_of("predict", case) == 2
    error = capsys.readouterr().err
    assert "is there already, and is not a part of what one run" in error
    assert "(--overwrite)" in error
    assert (case / "out" / "cbv.nii.gz").read_bytes() == kept
    assert run_of("predict", case, "--overwrite") == 0
    assert former_run(case / "out") is not None


def test_other_files_in_the_folder_stay(case: Path) -> None:
    (case / "out").mkdir()
    (case / "out" / "letter.txt").write_text("mine")
    for verb in ("reference", "predict"):
        assert run_of(verb, case) == 0
    assert (case / "out" / "letter.txt").read_text() == "mine"
    assert former_run(case / "out") == frozenset(names_in(case / "out")) - {"letter.txt"}


@pytest.mark.parametrize("words", [["compare", "--mask"], ["export", "--output"], ["repeat"]])
def test_maps_of_another_run_are_refused(case: Path, capsys, words: list[str]) -> None:
    assert run_of("predict", case) == 0
    write_map(case / "out" / "cbv.nii.gz", *read_map(case / "out" / "ncbv.nii.gz"))
    capsys.readouterr()
    out = case / "out"
    rest = {
        "compare": [str(out / "ncbv.nii.gz"), str(out / "cbv.nii.gz"), "--mask", str(case / "case" / "mask.nii.gz")],
        "export": [str(out), "--output", str(case / "dicom")],
        "repeat": [str(out / "report.json")],
    }[words[0]]
    assert main([words[0], *rest]) == 2
    assert "cbv.nii.gz: is not the map that its report tells of" in capsys.readouterr().err


def test_a_report_may_not_name_maps_elsewhere(case: Path, capsys) -> None:
    assert run_of("predict", case) == 0
    report = case / "out" / "report.json"
    document = json.loads(report.read_text())
    for name in ("../secret.nii.gz", "/etc/passwd", "a\\b.nii.gz", "..", ""):
        document["maps"]["cbv"]["file"] = name
        report.write_text(json.dumps(document))
        for verb in (["repeat", str(report)], ["export", str(case / "out"), "--output", str(case / "dicom")]):
            capsys.readouterr()
            assert main(verb) == 2
            assert "names a map outside of its folder" in capsys.readouterr().err


def simulate(series: Path, output: Path, *options: str) -> int:
    return main(["simulate", str(series), "--dose", "0.5", "--output", str(output), "--json", *options])


def test_simulate_writes_over_nothing(case: Path, capsys) -> None:
    series = case / "case" / "dsc.nii.gz"
    kept = {path: path.read_bytes() for path in (series, series.with_name("dsc.json"))}
    os.link(series, case / "case" / "same.nii.gz")
    (case / "case" / "link.nii.gz").symlink_to(series)
    # dsc.nii would get dsc.json as its sidecar, which is that of the input.
    for name in ("dsc.nii.gz", "same.nii.gz", "link.nii.gz", "dsc.nii"):
        assert simulate(series, case / "case" / name, "--overwrite") == 2
        assert "is read, and would be written over" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in kept} == kept
    low = case / "low.nii.gz"
    assert simulate(series, low) == 0
    kept_low = low.read_bytes()
    assert simulate(series, low, "--seed", "1") == 2
    assert "low.nii.gz: is there already" in capsys.readouterr().err
    assert low.read_bytes() == kept_low
    assert simulate(series, low, "--seed", "1", "--overwrite") == 0
    assert low.read_bytes() != kept_low


def test_results_do_not_replace_what_they_are_made_from(case: Path, capsys) -> None:
    assert run_of("predict", case) == 0
    brain = case / "out" / "ncbv.nii.gz"
    kept = brain.read_bytes()
    capsys.readouterr()
    words = ["predict", str(case / "case" / "dsc.nii.gz"), "--checkpoint", str(case / "small.safetensors")]
    words += ["--stride", "16", "--output", str(case / "out")]
    for options in (["--mask", str(brain)], ["--mask", str(brain), "--overwrite"]):
        assert main([*words, *options]) == 2
        assert "is read, and would be replaced by the results" in capsys.readouterr().err
    assert brain.read_bytes() == kept


def ended_at(count: int, action: Callable[[], None]) -> bool:
    """Whether a process that does it and is killed before its so-many-th change of the file system got to that."""
    child = os.fork()
    if child == 0:
        left = [count]

        def counted(change: Callable) -> Callable:
            def instead(*arguments, **options):
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                return change(*arguments, **options)

            return instead

        for name in ("replace", "rename", "unlink", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        staged_folder._exchange = counted(staged_folder._exchange)
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@posix
@pytest.mark.parametrize("exchange", [True, False], ids=["at once", "one after the other"])
@pytest.mark.parametrize("other_file", [False, True], ids=["alone", "beside other files"])
def test_killed_at_any_moment_the_folder_is_one_runs(tmp_path: Path, monkeypatch, exchange, other_file) -> None:
    if not exchange:
        monkeypatch.setattr(staged_folder, "_exchange", lambda one, other: False)
    folder = tmp_path / "out"

    def second_run() -> None:
        with staged_folder.staged_folder(folder, former_run) as stage:
            write_run(stage, ("cbv", "ncbv"), 2.0)

    count, seen = 0, set()
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        write_run(folder, ("cbv", "cbf", "mtt"), 1.0)
        if other_file:
            (folder / "letter.txt").write_text("mine")
        killed = ended_at(count, second_run)
        # The next run in this place, whatever it writes, puts everything in order. A folder that was just made, and
        # holds nothing, could be that of a process that is about to lock it: an hour later it could not.
        for made in tmp_path.rglob(".stunet-perfusion-*"):
            if not (made / ".held").exists():
                assert names_in(made) == []
                os.utime(made, (0, 0))
        for place in (tmp_path, folder):
            with staged_output(place):
                pass
        assert not other_file or (folder / "letter.txt").read_text() == "mine"
        values = {float(read_map(path)[0].max()) for path in folder.glob("*.nii.gz")}
        assert len(values) <= 1, "maps of two runs"
        if (folder / "report.json").exists():
            report = json.loads((folder / "report.json").read_text())
            assert {report["value"]} == values
            assert {entry["file"] for entry in report["maps"].values()} == {path.name for path in folder.glob("*.gz")}
            seen.add(report["value"])
        elif not other_file:
            pytest.fail("neither the one run nor the other")
        assert not list(tmp_path.rglob(".stunet-perfusion-*"))
        if not killed:
            break
        count += 1
    assert count >= 5
    assert seen == {1.0, 2.0}


def test_a_file_that_came_meanwhile_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_run(folder, ("cbv",), 1.0)
    with staged_folder.staged_folder(folder, former_run) as stage:
        write_run(stage, ("cbv",), 2.0)
        (folder / "letter.txt").write_text("mine")
    assert (folder / "letter.txt").read_text() == "mine"
    assert json.loads((folder / "report.json").read_text())["value"] == 2.0


def test_the_folder_that_somebody_stands_in_stays_the_same(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "out"
    write_run(folder, ("cbv", "mtt"), 1.0)
    monkeypatch.chdir(folder)
    before = folder.stat().st_ino
    with staged_folder.staged_folder(Path("."), former_run) as stage:
        write_run(stage, ("cbv",), 2.0)
    assert folder.stat().st_ino == before
    assert names_in(folder) == ["cbv.nii.gz", "report.json"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with staged_folder.staged_folder(tmp_path / "out", former_run) as stage:
        write_run(stage, ("cbv",), 2.0)
    assert (tmp_path / "out").is_symlink()
    assert names_in(tmp_path / "disk") == ["cbv.nii.gz", "report.json"]


def test_what_is_in_the_way_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "cbv.nii.gz").write_text("of somebody")
    with pytest.raises(OutputError, match="is there already"):  # noqa: SIM117
        with staged_folder.staged_folder(tmp_path, former_run, expected=("cbv.nii.gz",)):
            pytest.fail("computed")
    with pytest.raises(InputError, match="is read"):  # noqa: SIM117
        with staged_folder.staged_folder(tmp_path, inputs=[tmp_path / "cbv.nii.gz"], overwrite=True) as stage:
            (stage / "cbv.nii.gz").write_text("new")
    assert (tmp_path / "cbv.nii.gz").read_text() == "of somebody"


def test_files_are_on_the_disk_before_they_appear(tmp_path: Path, monkeypatch) -> None:
    events = []
    monkeypatch.setattr(os, "fsync", lambda handle: events.append("fsync"))
    move = staged_folder._put_in_place
    monkeypatch.setattr(staged_folder, "_put_in_place", lambda *where: (events.append("move"), move(*where)))
    with staged_folder.staged_folder(tmp_path / "out") as stage:
        (stage / "a.txt").write_text("a")
    assert events[:3] == ["fsync", "fsync", "move"], "the file and its folder, and then the folder above"
    assert events[3:] == ["fsync"]


PROGRAM = """
import sys, time
from pathlib import Path
from stunet_perfusion.support.staged import staged_output
from stunet_perfusion.support.temporary import temporary_folder
from stunet_perfusion.support.termination import termination_interrupts
with termination_interrupts(), temporary_folder() as temporary, staged_output(Path(sys.argv[1])) as stage:
    (stage / "half.nii.gz").write_text("half")
    (temporary / "patient.txt").write_text("name")
    print(temporary, flush=True)
    time.sleep(60)
"""


def begun(folder: Path) -> tuple[subprocess.Popen, Path]:
    """A process that has begun to write into a folder, and its temporary folder."""
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@posix
def test_a_process_that_is_asked_to_end_leaves_nothing(tmp_path: Path) -> None:
    process, temporary = begun(tmp_path / "out")
    assert temporary.is_dir()
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert not temporary.exists()
    assert not (tmp_path / "out").exists()


@posix
def test_what_a_killed_process_leaves_is_ignored_and_swept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "of_mine").mkdir(parents=True)
    process, temporary = begun(folder)
    holder = next(folder.glob(".stunet-perfusion-*"))
    assert is_held(holder)
    assert [path.name for path in files_below(folder)] == [], "readers see nothing of it"
    with staged_output(folder):
        assert holder.exists(), "what is in use is left alone"
    with temporary_folder():
        assert temporary.exists()
    process.kill()
    process.wait()
    assert not is_held(holder)
    with staged_file(folder / "a.txt") as file:
        file.write_text("a")
    assert names_in(folder) == ["a.txt", "of_mine"]
    with temporary_folder():
        assert not temporary.exists()


def test_folders_of_other_machines_are_left_alone_until_they_are_old(tmp_path: Path) -> None:
    holder = tmp_path / ".stunet-perfusion-1"
    (holder / staged.CONTENT).mkdir(parents=True)
    (holder / ".held").write_text("elsewhere 1\n")
    assert is_held(holder)
    os.utime(holder, (0, 0))
    assert not is_held(holder)
    with hold(holder):
        os.utime(holder, (0, 0))
        assert is_held(holder)


def test_remains_beside_a_series_are_not_a_second_one(case: Path, capsys) -> None:
    hidden = case / "case" / ".stunet-perfusion-x" / "content"
    hidden.mkdir(parents=True)
    shutil.copy(case / "case" / "dsc.nii.gz", hidden / "dsc.nii.gz")
    assert main(["info", str(case / "case"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "dsc.nii.gz"
