"""BIDS data sets, folders with one volume a frame, and folders that hold several series or none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from science.dicom_folder import write_dicom_folder
from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_series
from stunet_perfusion.reading.volume_files import natural_key
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_map, write_series

SERIES = make_series(20, (3, 12, 10), frame_interval=1.5, noise=5)


def write_json(path: Path, **values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def write_image(path: Path) -> Path:
    """The series without a sidecar and without times of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_series(path, SERIES)
    path.with_name(path.name.removesuffix(".nii.gz") + ".json").unlink()
    return path


def write_volumes(folder: Path, name: str = "dsc_{}.nii.gz", frames: int = 20, **sidecar: object) -> Path:
    """One volume a frame, counted from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        write_map(folder / name.format(frame + 1), SERIES.signal[frame], SERIES.grid)
    if sidecar:
        write_json(folder / "dsc.json", **sidecar)
    return folder


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_series(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("given_folder", ["", "sub-01", "sub-01/perf", "sub-01/perf/sub-01_dsc.nii.gz"])
def test_a_bids_data_set_from_its_top_down_to_the_file(tmp_path: Path, given_folder: str) -> None:
    write_json(tmp_path / "dataset_description.json", Name="phantoms", BIDSVersion="1.9.0")
    write_image(tmp_path / "sub-01/perf/sub-01_dsc.nii.gz")
    write_json(tmp_path / "sub-01/perf/sub-01_dsc.json", EchoTime=0.031, RepetitionTime=1.5)
    write_map(tmp_path / "sub-01/anat" / "sub-01_T1w.nii.gz", SERIES.signal[0], SERIES.grid)
    write_image(tmp_path / "derivatives/smoothed/sub-01/perf/sub-01_dsc.nii.gz")
    series = read_series(tmp_path / given_folder)
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    assert series.name == "sub-01_dsc.nii.gz"
    assert series.echo_time == 0.031


def test_sidecars_of_upper_folders_are_inherited_and_the_nearest_has_the_last_word(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset_description.json", Name="phantoms")
    write_image(tmp_path / "sub-01/ses-2/perf/sub-01_ses-2_dsc.nii.gz")
    write_json(tmp_path / "dsc.json", EchoTime=0.05, RepetitionTime=2.0)
    write_json(tmp_path / "sub-01/sub-01_dsc.json", EchoTime=0.04)
    write_json(tmp_path / "sub-01/ses-2/sub-01_ses-2_dsc.json", VolumeTiming=[1.6 * frame for frame in range(20)])
    write_json(tmp_path / "sub-01/sub-01_asl.json", EchoTime=0.01)  # another suffix
    write_json(tmp_path / "ses-1_dsc.json", EchoTime=0.02)  # another session
    series = read_series(tmp_path)
    assert series.echo_time == 0.04
    np.testing.assert_allclose(series.times, 1.6 * np.arange(20))
    assert "Frame times come from sub-01_ses-2_dsc.json." in series.notes


def test_a_wrong_value_names_the_sidecar_that_has_it(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset_description.json", Name="phantoms")
    write_image(tmp_path / "sub-01/perf/sub-01_dsc.nii.gz")
    write_json(tmp_path / "dsc.json", EchoTime=30)
    write_json(tmp_path / "sub-01/perf/sub-01_dsc.json", RepetitionTime=1.5)
    assert "dsc.json: EchoTime: is 30 s" in refusal(tmp_path)
    assert "it looks like milliseconds and should be in seconds, 0.03" in refusal(tmp_path)


def test_frame_times_start_as_in_pet(tmp_path: Path) -> None:
    write_image(tmp_path / "sub-7/perf/sub-7_dsc.nii.gz")
    starts = np.cumsum(np.r_[0, np.linspace(1, 2, 19)])
    write_json(tmp_path / "sub-7/perf/sub-7_dsc.json", FrameTimesStart=starts.tolist())
    np.testing.assert_allclose(read_series(tmp_path / "sub-7").times, starts)


def test_several_subjects_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset_description.json", Name="phantoms")
    for subject in range(1, 9):
        write_image(tmp_path / f"sub-{subject:02d}/perf/sub-{subject:02d}_dsc.nii.gz")
    sentence = refusal(tmp_path)
    assert "holds 8 series (sub-01/perf/sub-01_dsc.nii.gz, 20 frames; sub-02/" in sentence
    assert "; and 2 more); choose one by a part of its name" in sentence
    assert read_series(tmp_path, which="sub-03").name == "sub-03_dsc.nii.gz"
    assert read_series(tmp_path / "sub-05").name == "sub-05_dsc.nii.gz"
    assert "holds no series 'sub-11', but sub-01/perf" in refusal(tmp_path, which="sub-11")


def test_a_file_of_another_name_in_the_perfusion_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "sub-01/perf/sub-01_task-gad_perfusion.nii.gz")
    write_image(tmp_path / "sub-01/perf/sub-01_asl.nii.gz")
    write_image(tmp_path / "sub-01/func/sub-01_task-rest_bold.nii.gz")
    assert read_series(tmp_path).name == "sub-01_task-gad_perfusion.nii.gz"


@pytest.mark.parametrize("name", ["dsc_{}.nii.gz", "vol{:04d}.nii", "{:03d}_perf_2mm.nrrd"])
def test_one_volume_a_frame_in_natural_order(tmp_path: Path, name: str) -> None:
    folder = write_volumes(tmp_path / "dsc", name, EchoTime=0.03, RepetitionTime=1.5)
    write_map(folder / "mask.nii.gz", (SERIES.signal[0] > 0).astype(np.float32), SERIES.grid)
    series = read_series(folder)
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    np.testing.assert_allclose(series.times, SERIES.times)
    assert series.echo_time == 0.03
    assert series.grid.matches(SERIES.grid, 1e-4)
    assert series.name == "dsc"
    first, last = name.format(1), name.format(20)
    assert f"The frames are 20 volumes, {first} to {last}." in series.notes


def test_a_sidecar_for_every_volume(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path)
    for frame in range(20):
        write_json(folder / f"dsc_{frame + 1}.json", EchoTime=0.03, RepetitionTime=1.5)
    series = read_series(folder)
    np.testing.assert_allclose(series.times, SERIES.times)
    assert series.echo_time == 0.03


def test_the_frame_interval_of_volumes_is_asked_for(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path)
    assert "does not say how much time is between its frames; give the time between frames" in refusal(folder)
    assert read_series(folder, frame_interval=1.5).frame_interval == 1.5


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ([7], "a volume is missing between dsc_6.nii.gz and dsc_8.nii.gz"),
        ([7, 8, 9], "3 volumes are missing between dsc_6.nii.gz and dsc_10.nii.gz"),
    ],
)
def test_missing_volumes_are_named(tmp_path: Path, missing: list[int], sentence: str) -> None:
    folder = write_volumes(tmp_path / "dsc")
    for number in missing:
        (folder / f"dsc_{number}.nii.gz").unlink()
    assert sentence in refusal(folder, frame_interval=1.5)


def test_a_volume_that_is_there_twice(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path / "dsc")
    shutil.copy(folder / "dsc_3.nii.gz", folder / "dsc_003.nii.gz")
    assert "holds a frame twice (dsc_3.nii.gz and dsc_003.nii.gz)" in refusal(folder, frame_interval=1.5)


def test_volumes_on_different_grids(tmp_path: Path) -> None:
    folder = write_volumes(tmp_path / "dsc")
    other = make_series(16, SERIES.grid.shape).grid
    shifted = type(other)(other.shape, other.ijk_to_ras + 3 * np.eye(4, k=3))
    write_map(folder / "dsc_5.nii.gz", SERIES.signal[4], shifted)
    assert "frames with different geometry: dsc_5.nii.gz is on another grid" in refusal(folder, frame_interval=1.5)


def test_the_volumes_of_two_people_are_no_series(tmp_path: Path) -> None:
    for subject in range(1, 21):
        write_map(tmp_path / f"sub-{subject:02d}_T1w.nii.gz", SERIES.signal[subject - 1], SERIES.grid)
    assert "holds 20 NIfTI or NRRD files and no series of frames" in refusal(tmp_path)


def test_one_file_with_all_frames_among_volumes(tmp_path: Path) -> None:
    write_series(tmp_path / "perfusion.nii.gz", SERIES)
    for name in ("mask", "t1", "tumor"):
        write_map(tmp_path / f"{name}.nii.gz", SERIES.signal[0], SERIES.grid)
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    series = read_series(tmp_path)
    assert series.name == "perfusion.nii.gz"
    np.testing.assert_allclose(series.times, SERIES.times)


def test_several_files_with_all_frames(tmp_path: Path) -> None:
    write_series(tmp_path / "dsc.nii.gz", SERIES)
    write_series(tmp_path / "dsc_dose-050.seq.nrrd", SERIES)
    sentence = refusal(tmp_path)
    assert "holds 2 series (dsc.nii.gz, 20 frames; dsc_dose-050.seq.nrrd, 20 frames)" in sentence
    assert read_series(tmp_path, which="dsc").name == "dsc.nii.gz"
    assert read_series(tmp_path, which="050").name == "dsc_dose-050.seq.nrrd"


def test_a_damaged_file_is_named_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "dsc.nii.gz").write_bytes(b"no image")
    assert refusal(tmp_path).startswith("dsc.nii.gz: is not a NIfTI file")


def test_a_mask_beside_dicom_images_is_passed_over(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "dsc", SERIES)
    write_map(folder / "mask.nii.gz", SERIES.signal[0], SERIES.grid)
    assert read_series(folder).echo_time == pytest.approx(0.03)


def test_a_series_in_nifti_beside_dicom_images(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "dsc", SERIES)
    write_series(folder / "converted.nii.gz", SERIES)
    assert "holds a series (converted.nii.gz, 20 frames) and DICOM images beside it" in refusal(folder)
    assert read_series(folder, which="converted").name == "converted.nii.gz"
    assert read_series(folder, which="ep2d_perf").name == "dsc"


def test_the_command_line_takes_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for subject in ("01", "02"):
        write_image(tmp_path / f"sub-{subject}/perf/sub-{subject}_dsc.nii.gz")
    assert main(["info", str(tmp_path)]) == 2
    assert "choose one by a part of its name, or give its file (--series NAME)" in capsys.readouterr().err
    assert main(["info", str(tmp_path), "--series", "sub-02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "sub-02_dsc.nii.gz"


@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(["{}", "{:03d}", "{:07d}"]))
def test_names_are_sorted_by_their_numbers(numbers: list[int], counter: str) -> None:
    paths = [Path(f"dsc_{counter.format(number)}_b.nii") for number in numbers]
    assert sorted(paths, key=natural_key) == [Path(f"dsc_{counter.format(n)}_b.nii") for n in sorted(numbers)]
