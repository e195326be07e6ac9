"""Folders that hold more than the magnitude images of one series."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from science import dicom_multiframe
from science.dicom_folder import write_dicom_folder
from science.dicom_habits import philips_dynamic_time, philips_single, whole_numbers, write_single_images
from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_series
from stunet_perfusion.support.errors import InputError

SERIES = make_series(20, (3, 12, 10), noise=5)
OTHER = make_series(17, (3, 7, 6), noise=5)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_series(path, **options)
    return str(caught.value)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series and a CT. Nobody writes into it."""
    tmp_path = tmp_path_factory.mktemp("study")
    (tmp_path / "DICOMDIR").write_bytes(b"")
    write_dicom_folder(tmp_path / "a", SERIES, description="ep2d_perf", number=7)
    write_dicom_folder(tmp_path / "b", OTHER, description="ep2d_diff", number=3)

    def change(dataset: FileDataset, frame: int, z: int) -> bool:
        dataset.Modality = "CT"
        return frame == 0

    write_dicom_folder(tmp_path / "c", OTHER, description="Topogram", number=1, change=change)
    return tmp_path


def uid_of(folder: Path) -> str:
    return pydicom.dcmread(next(folder.glob("IM*"))).SeriesInstanceUID


def test_several_series_are_listed_with_the_way_to_choose(study: Path) -> None:
    sentence = refusal(study)
    assert "(series 7 'ep2d_perf', 60 files; series 3 'ep2d_diff', 51 files; series 1 'Topogram', 3 files)" in sentence
    assert "choose one by its number, description or UID, or give a folder" in sentence
    assert "Nobody" not in sentence


@pytest.mark.parametrize(("which", "frames"), [("7", 20), ("3", 17), ("EP2D_perf", 20), ("diff", 17)])
def test_a_series_is_chosen_by_number_or_description(study: Path, which: str, frames: int) -> None:
    assert read_series(study, which=which).frames == frames


def test_a_series_is_chosen_by_uid(study: Path) -> None:
    assert read_series(study, which=uid_of(study / "b")).frames == 17


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("5", "holds no series '5', but series 7 'ep2d_perf', 60 files; "),
        ("ep2d", "holds 2 series that are called 'ep2d' (series 7 'ep2d_perf', 60 files, UID "),
        ("topogram", "is a CT image, not MR"),
        (" ", "holds no series ' '"),
    ],
)
def test_choices_that_choose_nothing(study: Path, which: str, sentence: str) -> None:
    assert sentence in refusal(study, which=which)


def test_series_that_are_called_alike_are_told_apart_by_uid(tmp_path: Path) -> None:
    write_dicom_folder(tmp_path / "a", SERIES)
    write_dicom_folder(tmp_path / "b", OTHER)
    sentence = refusal(tmp_path)
    assert f"UID {uid_of(tmp_path / 'a')}; " in sentence
    assert f"UID {uid_of(tmp_path / 'b')})" in sentence
    assert "give the UID" in refusal(tmp_path, which="7")


def test_the_command_line_chooses(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(study), "--series", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 20


def test_a_dicomdir_stands_for_its_folder(study: Path) -> None:
    assert read_series(study / "DICOMDIR", which="7").frames == 20


def test_one_enhanced_object_is_a_series_and_one_slice_is_not(tmp_path: Path) -> None:
    dicom_multiframe.siemens_one_object(tmp_path, whole_numbers())
    assert read_series(tmp_path / "IM0").frames == 20
    folder = write_dicom_folder(tmp_path / "single", SERIES)
    assert "is one file of a DICOM series; give the folder" in refusal(folder / "IM00003")


def test_phase_images_are_left_out_and_counted(tmp_path: Path) -> None:
    philips_dynamic_time(tmp_path, whole_numbers())
    assert "12 phase images of the series were left out." in read_series(tmp_path).notes


def test_a_series_of_phase_images(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "P", "ND"]

    assert "holds phase images; give the series" in refusal(write_dicom_folder(tmp_path, SERIES, change=change))


def test_two_echoes_in_an_enhanced_object(tmp_path: Path) -> None:
    series = whole_numbers()
    dicom_multiframe.siemens_one_object(tmp_path, series)
    path = tmp_path / "IM0"
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].MREchoSequence
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.MREchoSequence = [pydicom.Dataset()]
        frame.MREchoSequence[0].EffectiveEchoTime = 12.5 + 20 * (number % 2)
    dataset.save_as(path)
    assert "holds images of 2 echo times (12.5 ms, 32.5 ms); give the files of one echo" in refusal(path)


def test_a_philips_scale_that_cannot_be_left_out_is_told(tmp_path: Path) -> None:
    series = whole_numbers()
    (tmp_path / "usual").mkdir()
    philips_single(tmp_path / "usual", series)
    assert not any("scale slope" in note for note in read_series(tmp_path / "usual").notes)

    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.TemporalPositionIdentifier = frame + 1
        private = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        private.add_new(0x0E, "FL", 0.01 * (1 + frame % 2))

    (tmp_path / "odd").mkdir()
    write_single_images(tmp_path / "odd", series, change, maker="Philips Medical Systems", model="Intera")
    back = read_series(tmp_path / "odd")
    assert any("private scale slope (2005,100E), which differs from image to image" in note for note in back.notes)
    np.testing.assert_array_equal(back.signal, series.signal)
