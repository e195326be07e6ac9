"""Folders of DICOM files: sorting by whatever tag tells frames apart, and everything that such folders have wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from science.dicom_folder import INTERCEPT, SLOPE, TIME_TAGS, time_of_day, write_dicom_folder
from science.synthetic import make_series
from stunet_perfusion.reading import read_series
from stunet_perfusion.support.errors import InputError

SERIES = make_series(20, (4, 7, 6), frame_interval=1.5, noise=5)

#: What the files hold of SERIES: 16-bit integers with slope and intercept.
STORED = np.rint((SERIES.signal - INTERCEPT) / SLOPE) * SLOPE + INTERCEPT


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_series(folder)
    return str(caught.value)


def leaving_out(*images: tuple[int, int]):
    """Leave out images, given as (frame, slice)."""
    return lambda dataset, frame, z: (frame, z) not in images


@pytest.mark.parametrize(
    ("tags", "rule"),
    [
        (TIME_TAGS, "AcquisitionTime"),
        (("TriggerTime", "TemporalPositionIdentifier"), "TriggerTime"),
        (("TemporalPositionIdentifier",), "TemporalPositionIdentifier"),
        ((), "InstanceNumber"),
    ],
)
def test_the_first_tag_that_tells_is_taken_and_reported(tmp_path: Path, tags: tuple[str, ...], rule: str) -> None:
    series = read_series(write_dicom_folder(tmp_path / "dsc", SERIES, tags=tags))
    np.testing.assert_array_equal(series.signal, STORED)
    np.testing.assert_allclose(series.times, SERIES.times, atol=1e-6)
    assert series.grid.matches(SERIES.grid, 1e-5)
    assert series.echo_time == pytest.approx(0.03)
    assert series.name == "dsc"
    assert f"sorted into frames by {rule}" in series.notes[0]


def test_slices_of_a_frame_are_taken_one_after_the_other(tmp_path: Path) -> None:
    series = read_series(write_dicom_folder(tmp_path, SERIES, slice_delay=1.5 / 4))
    np.testing.assert_array_equal(series.signal, STORED)
    np.testing.assert_allclose(series.times, SERIES.times, atol=1e-5)


@given(start=st.floats(86400 - 28.4, 86399.9), delay=st.floats(0, 0.37))
@settings(max_examples=8, deadline=None)
def test_a_series_that_goes_on_past_midnight(tmp_path_factory, start: float, delay: float) -> None:
    folder = write_dicom_folder(tmp_path_factory.mktemp("dsc"), SERIES, start=start, slice_delay=delay)
    series = read_series(folder)
    np.testing.assert_array_equal(series.signal, STORED)
    np.testing.assert_allclose(series.times, SERIES.times, atol=1e-5)
    assert "AcquisitionTime" in series.notes[0]


def test_an_acquisition_time_that_is_the_same_in_all_files_is_passed_over(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.AcquisitionTime = "101500"

    series = read_series(write_dicom_folder(tmp_path, SERIES, change=change))
    np.testing.assert_array_equal(series.signal, STORED)
    assert "TriggerTime" in series.notes[0]


def test_trigger_times_that_cannot_be_are_passed_over(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.TriggerTime = str(10 * frame)

    tags = ("TriggerTime", "TemporalPositionIdentifier")
    series = read_series(write_dicom_folder(tmp_path, SERIES, tags=tags, change=change))
    np.testing.assert_allclose(series.times, SERIES.times)
    assert "TemporalPositionIdentifier, 1.5 s apart (repetition time)" in series.notes[0]


def test_images_are_numbered_slice_by_slice(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.InstanceNumber = z * SERIES.frames + frame + 1

    series = read_series(write_dicom_folder(tmp_path, SERIES, tags=(), change=change))
    np.testing.assert_array_equal(series.signal, STORED)


def test_temporal_resolution_is_the_frame_interval_of_a_segmented_sequence(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.RepetitionTime, dataset.TemporalResolution = "17", "1500"

    series = read_series(write_dicom_folder(tmp_path, SERIES, tags=("TemporalPositionIdentifier",), change=change))
    np.testing.assert_allclose(series.times, SERIES.times)


def test_without_any_time_the_frame_interval_is_asked_for(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        del dataset.RepetitionTime

    folder = write_dicom_folder(tmp_path, SERIES, tags=(), change=change)
    assert "does not say how much time is between its frames; give the time between frames" in refusal(folder)
    np.testing.assert_allclose(read_series(folder, frame_interval=1.5).times, SERIES.times)


def test_rescaling_that_differs_from_file_to_file(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        stored = np.rint((SERIES.signal[frame, z] + 1) * (frame + 1)).astype(np.uint16)
        dataset.PixelData = stored.tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{1 / (frame + 1):.12g}", -1

    series = read_series(write_dicom_folder(tmp_path, SERIES, change=change))
    np.testing.assert_allclose(series.signal[-1], SERIES.signal[-1], atol=0.5 / 20 + 1e-3)
    np.testing.assert_allclose(series.signal, SERIES.signal, atol=0.51)


def test_files_that_are_no_images_are_passed_over(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path / "dsc", SERIES)
    (folder / "readme.txt").write_text("copied by the technician")
    (folder / "empty").write_bytes(b"")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    directory.FileSetID = "DISK"
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    below = folder / "more"
    below.mkdir()
    first = next(folder.glob("IM*"))
    shutil.move(first, below / first.name)
    np.testing.assert_array_equal(read_series(folder).signal, STORED)


def test_one_slice(tmp_path: Path) -> None:
    series = make_series(20, (1, 7, 6), noise=5)
    back = read_series(write_dicom_folder(tmp_path, series))
    assert back.grid.matches(series.grid, 1e-5)
    assert back.grid.spacing == pytest.approx([2, 2, 5])


def test_two_series(tmp_path: Path) -> None:
    write_dicom_folder(tmp_path / "dsc" / "a", SERIES)
    write_dicom_folder(tmp_path / "dsc" / "b", make_series(17, (4, 7, 6)), description="t1_mprage", number=3)
    sentence = refusal(tmp_path / "dsc")
    assert "holds 2 series (series 7 'ep2d_perf', 80 files; series 3 't1_mprage', 68 files)" in sentence
    assert "Nobody" not in sentence
    assert read_series(tmp_path / "dsc" / "a").frames == 20


def test_a_missing_slice(tmp_path: Path) -> None:
    series = make_series(20, (6, 7, 6), noise=5)
    folder = write_dicom_folder(tmp_path, series, change=lambda dataset, frame, z: z != 2)
    assert "a slice is missing: between slices 2 and 3 are 10.00 mm, where 5.00 mm are usual" in refusal(folder)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_slice_among_four(tmp_path: Path, missing: int) -> None:
    """Two gaps are left, and neither is the usual one by their number."""
    folder = write_dicom_folder(
        tmp_path, make_series(20, (4, 7, 6), noise=5), change=lambda dataset, frame, z: z != missing
    )
    sentence = f"a slice is missing: between slices {missing} and {missing + 1} are 10.00 mm, where 5.00 mm are usual"
    assert sentence in refusal(folder)


@pytest.mark.parametrize("tags", [TIME_TAGS, ("TemporalPositionIdentifier",), ()])
def test_a_missing_frame_of_one_slice(tmp_path: Path, tags: tuple[str, ...]) -> None:
    folder = write_dicom_folder(tmp_path, SERIES, tags=tags, change=leaving_out((11, 2)))
    assert "holds 19 images of slice 3 and 20 of the others (frame 12 is missing)" in refusal(folder)


def test_a_missing_last_frame_of_one_slice(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path, SERIES, change=leaving_out((19, 0)))
    assert "19 images of slice 1 and 20 of the others (the first or the last frame is missing)" in refusal(folder)


@pytest.mark.parametrize("tags", [TIME_TAGS, ("TemporalPositionIdentifier",), ()])
def test_a_frame_that_all_slices_lack_leaves_a_gap_in_time(tmp_path: Path, tags: tuple[str, ...]) -> None:
    folder = write_dicom_folder(tmp_path, SERIES, tags=tags, change=lambda dataset, frame, z: frame != 9)
    series = read_series(folder)
    np.testing.assert_allclose(series.times, np.delete(SERIES.times, 9), atol=1e-6)
    assert "3 s between frames 8 and 9" in series.notes[-1]
    assert "A frame may be missing there" in series.notes[-1]


def test_copies_of_files(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path, SERIES)
    shutil.copy(folder / "IM00007", folder / "IM00007 copy")
    sentence = refusal(folder)
    assert "(IM00007 and IM00007 copy); remove the duplicated files" in sentence
    assert "twice" in sentence


@pytest.mark.parametrize("tags", [TIME_TAGS, ("TemporalPositionIdentifier",), ()])
def test_a_frame_that_was_sent_twice_under_another_uid(tmp_path: Path, tags: tuple[str, ...]) -> None:
    folder = write_dicom_folder(tmp_path, SERIES, tags=tags)
    dataset = pydicom.dcmread(folder / "IM00011")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.save_as(folder / "IM90011")
    sentence = refusal(folder)
    assert "IM00011" in sentence
    assert "IM90011" in sentence


def test_all_frames_twice_under_other_numbers(tmp_path: Path) -> None:
    def renumber(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.SeriesInstanceUID = "1.2.3"
        dataset.InstanceNumber += 1000 * (dataset.SeriesNumber == 8)
        dataset.SeriesNumber = 7

    for copy in (7, 8):
        write_dicom_folder(tmp_path / str(copy), SERIES, number=copy, change=renumber)
    assert "twice" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("tag", "value", "sentence"),
    [
        ("PixelSpacing", [2, 2.2], "has pixels of 2.2 x 2 mm, and"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 1, 0], "is turned against"),
        ("ImagePositionPatient", [-10.5, -31.25, 12.75], "is shifted sideways by 10.00 mm"),
        ("Columns", 5, "has 5 x 7 pixels, and"),
    ],
)
def test_frames_with_different_geometry(tmp_path: Path, tag: str, value: object, sentence: str) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        if (frame, z) == (5, 0):
            setattr(dataset, tag, value)

    message = refusal(write_dicom_folder(tmp_path, SERIES, change=change))
    assert "frames with different geometry" in message
    assert sentence in message
    assert "give the files of the DSC series only" in message


def test_several_echoes(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.EchoTime = 12 if frame % 2 else 33

    assert "images of 2 echo times (12 ms, 33 ms)" in refusal(write_dicom_folder(tmp_path, SERIES, change=change))


@pytest.mark.parametrize(
    ("tag", "value", "sentence"),
    [
        ("NumberOfFrames", 80, "is a multi-frame DICOM file that does not say where its frames are; convert"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], "is a mosaic of slices"),
        ("Modality", "CT", "is a CT image, not MR"),
        ("SamplesPerPixel", 3, "is a color image"),
        ("ImagePositionPatient", None, "does not say where its slice is"),
        ("PixelSpacing", [], "does not say where its slice is"),
    ],
)
def test_images_that_are_no_slices_of_a_series(tmp_path: Path, tag: str, value: object, sentence: str) -> None:
    folder = write_dicom_folder(tmp_path, SERIES, change=lambda dataset, frame, z: setattr(dataset, tag, value))
    assert sentence in refusal(folder)


def test_a_number_of_frames_that_is_none(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> None:
        dataset.NumberOfFrames = 1

    folder = write_dicom_folder(tmp_path, SERIES, change=change)
    file = folder / "IM00030"
    content = file.read_bytes()
    number = b"\x28\x00\x08\x00IS\x02\x00"
    assert number + b"1 " in content
    file.write_bytes(content.replace(number + b"1 ", number + b"x "))
    assert "IM00030: has a damaged header (NumberOfFrames is no whole number); copy" in refusal(folder)


def test_pixels_that_end_early(tmp_path: Path) -> None:
    folder = write_dicom_folder(tmp_path, SERIES)
    content = (folder / "IM00030").read_bytes()
    (folder / "IM00030").write_bytes(content[:-20])
    assert refusal(folder).startswith("IM00030: has pixels that cannot be decoded")


def test_an_empty_folder_and_one_without_images(tmp_path: Path) -> None:
    assert "is empty" in refusal(tmp_path)
    (tmp_path / "letter.txt").write_text("no image")
    assert "holds no DICOM images" in refusal(tmp_path)


@given(st.floats(0, 86399.99))
def test_times_of_day_are_read_to_a_microsecond(seconds: float) -> None:
    from stunet_perfusion.reading.dicom_rules import seconds_of_day

    assert seconds_of_day(time_of_day(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_too_few_frames(tmp_path: Path) -> None:
    short = replace(SERIES, signal=SERIES.signal[:9], times=SERIES.times[:9])
    assert "has 9 frames" in refusal(write_dicom_folder(tmp_path, short))
