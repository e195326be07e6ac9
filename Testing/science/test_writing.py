"""Results appear complete or not at all, and what hinders them is said in one sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from science.synthetic import make_series, oblique_grid
from stunet_perfusion.reading import read_series
from stunet_perfusion.support.errors import OutputError
from stunet_perfusion.support.progress import Cancelled
from stunet_perfusion.writing import staged_file, staged_output, write_json, write_map, write_series

SHAPE = (3, 6, 5)


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones included, with what they hold."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_files_move_into_place_together(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    with staged_output(folder) as stage:
        (stage / "cbv.txt").write_text("cbv")
        (stage / "figures").mkdir()
        (stage / "figures" / "one.txt").write_text("one")
        hidden = stage.relative_to(folder)
        assert tree(folder).keys() == {
            *(f"{hidden}/{name}" for name in ("cbv.txt", "figures/one.txt")),
            f"{hidden.parent}/.held",
        }
        assert hidden.parts[0].startswith(".")
    assert tree(folder) == {"cbv.txt": b"cbv", "figures/one.txt": b"one"}
    assert sorted(os.listdir(folder)) == ["cbv.txt", "figures"]


def test_old_results_are_replaced_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "cbv.txt").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged_output(tmp_path) as stage:
        (stage / "cbv.txt").write_text("new")
        assert (tmp_path / "cbv.txt").read_text() == "old"
    assert tree(tmp_path) == {"cbv.txt": b"new", "notes.txt": b"mine"}


def _fail(folder: Path, reason: BaseException) -> None:
    with staged_output(folder) as stage:
        (stage / "cbv.txt").write_text("half")
        raise reason


@pytest.mark.parametrize("reason", [Cancelled("stopped"), KeyboardInterrupt(), ValueError("bug")])
def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path, reason: BaseException) -> None:
    (tmp_path / "cbv.txt").write_text("old")
    for folder in (tmp_path, tmp_path / "not" / "there"):
        with pytest.raises(type(reason)):
            _fail(folder, reason)
    assert os.listdir(tmp_path) == ["cbv.txt"]
    assert (tmp_path / "cbv.txt").read_text() == "old"


def test_a_folder_below_a_file_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(OutputError, match="is a file"), staged_output(folder):
            pytest.fail("the computation began")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="not allowed"), staged_output(folder):
        pytest.fail("the computation began")


def _write_two(folder: Path) -> None:
    with staged_output(folder) as stage:
        (stage / "a.txt").write_text("a")
        (stage / "z.txt").write_text("z")


def test_nothing_moves_where_one_file_cannot(tmp_path: Path) -> None:
    (tmp_path / "z.txt").mkdir()
    with pytest.raises(OutputError, match=r"z\.txt: is a folder"):
        _write_two(tmp_path)
    assert os.listdir(tmp_path) == ["z.txt"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "writing there is not allowed"),
    ],
)
def test_what_the_system_says_becomes_a_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    with pytest.raises(OutputError, match=f"results: cannot be written: {sentence}; "):  # noqa: SIM117
        with staged_output(tmp_path / "results"):
            raise OSError(number, os.strerror(number))
    assert os.listdir(tmp_path) == []


def test_an_error_about_an_input_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged_output(tmp_path / "results"):
        (tmp_path / "input.txt").read_text()


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seq.nrrd"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, ending: str) -> None:
    """The system lets a process write no file beyond 64 kB, as a full disk would, in the middle of a series."""
    (tmp_path / f"dsc{ending}").write_text("old")
    program = """
import resource, sys
from pathlib import Path
from science.synthetic import make_series
from stunet_perfusion.support.errors import OutputError
from stunet_perfusion.writing import staged_output, write_series
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
folder = Path(sys.argv[1])
try:
    with staged_output(folder) as stage:
        (stage / "first.txt").write_text("complete")
        write_series(stage / sys.argv[2], make_series(20, (10, 40, 40), noise=5))
except OutputError as error:
    print(error)
"""
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-c", program, str(tmp_path), f"dsc{ending}"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'dsc'}{ending}: cannot be written: the file grows larger")
    assert done.stdout.count("\n") == 1
    assert tree(tmp_path) == {f"dsc{ending}": b"old"}


def test_a_single_file_and_its_sidecar_are_staged_too(tmp_path: Path) -> None:
    series = make_series(20, SHAPE, echo_time=0.03)
    write_series(tmp_path / "low" / "dsc.nii.gz", series)
    assert sorted(os.listdir(tmp_path / "low")) == ["dsc.json", "dsc.nii.gz"]
    assert json.loads((tmp_path / "low" / "dsc.json").read_text()) == {"EchoTime": 0.03, "RepetitionTime": 1.5}
    with pytest.raises(OutputError, match="is a folder"), staged_file(tmp_path / "low"):
        pass


@pytest.mark.parametrize("name", ["dsc.seq.nrrd", "deeper/dsc.seq.nrrd"])
def test_a_file_that_cannot_be_written_is_named_and_not_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(**where: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), f"{where['dir']}/.stunet-perfusion-1")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError) as caught:
        write_series(name, make_series(20, SHAPE))
    assert caught.value.subject == name
    assert caught.value.fact == "cannot be written: writing there is not allowed"
    assert os.listdir(tmp_path) == []


def test_uneven_times_go_into_the_sidecar(tmp_path: Path) -> None:
    series = make_series(20, SHAPE, echo_time=None)
    uneven = type(series)(series.signal, np.cumsum(np.linspace(1, 2, 20)), series.grid)
    write_series(tmp_path / "dsc.nii.gz", uneven)
    document = json.loads((tmp_path / "dsc.json").read_text())
    assert document.keys() == {"VolumeTiming"}
    np.testing.assert_allclose(document["VolumeTiming"], uneven.times, atol=1e-9)


def test_an_unknown_echo_time_stays_unknown(tmp_path: Path) -> None:
    for ending in (".nii.gz", ".seq.nrrd"):
        write_series(tmp_path / f"dsc{ending}", make_series(20, SHAPE, echo_time=None))
        assert read_series(tmp_path / f"dsc{ending}").echo_time is None


@pytest.mark.parametrize(
    ("given", "stored"), [(bool, np.uint8), (np.int16, np.int16), (np.float64, np.float32), (np.int64, np.float32)]
)
def test_maps_keep_a_type_that_every_viewer_reads(tmp_path: Path, given: type, stored: type) -> None:
    array = (np.arange(90).reshape(SHAPE) % 2).astype(given)
    write_map(tmp_path / "map.nii.gz", array, oblique_grid(SHAPE))
    image = nibabel.load(tmp_path / "map.nii.gz")
    assert image.get_data_dtype() == stored
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, array)


def test_an_ending_of_no_known_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"end it in \.nii\.gz"):
        write_map(tmp_path / "cbv.png", np.zeros(SHAPE), oblique_grid(SHAPE))
    with pytest.raises(OutputError, match=r"end it in \.nii\.gz"):
        write_series(tmp_path / "dsc.mat", make_series(20, SHAPE))
    assert os.listdir(tmp_path) == []


def test_json_that_other_programs_could_not_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "report.json", {"score": float("nan")})
    assert os.listdir(tmp_path) == []


def test_folders_that_another_process_makes_meanwhile_are_used_and_left(tmp_path, monkeypatch):
    """Two workers of a cohort begin at once: both find the folder missing, and one is first."""
    folder = tmp_path / "cohort" / "case"
    mkdir = Path.mkdir

    def made_by_another_first(self, *arguments, **options):
        if self == tmp_path / "cohort" and not self.exists():
            mkdir(self)
        return mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", made_by_another_first)
    with pytest.raises(ZeroDivisionError), staged_output(folder):
        raise ZeroDivisionError
    assert (tmp_path / "cohort").is_dir()  # it is the other one's
    assert not folder.exists()
    with staged_output(folder) as stage:
        (stage / "map.txt").write_text("done")
    assert (folder / "map.txt").read_text() == "done"
