"""What is missing, doubled, damaged or compressed beyond reading in mosaics, enhanced objects and single images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames

from science import dicom_mosaics, dicom_multiframe
from science.dicom_encodings import jpeg_2000, jpeg_lossless, run_lengths
from science.dicom_folder import TIME_TAGS, write_dicom_folder
from science.dicom_habits import HABITS, ge_whole_seconds, in_syntax, whole_numbers
from science.synthetic import make_series
from stunet_perfusion.reading import read_series
from stunet_perfusion.reading.dicom_frames import even_times
from stunet_perfusion.reading.dicom_pixels import stored_frames
from stunet_perfusion.reading.siemens_csa import read_csa
from stunet_perfusion.support.errors import InputError

SERIES = whole_numbers()


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_series(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def outcome(path: Path) -> str:
    """The sentence with which a series is refused, or "read"."""
    try:
        read_series(path)
    except InputError as error:
        return str(error)
    return "read"


def changed_object(folder: Path, change: Callable[[Dataset], None]) -> Path:
    """An enhanced object that is changed after it was written."""
    dicom_multiframe.siemens_one_object(folder, SERIES)
    dataset = pydicom.dcmread(folder / "IM0")
    change(dataset)
    dataset.save_as(folder / "IM0")
    return folder


def without_frame(dataset: Dataset, number: int, announce: bool = True) -> None:
    """Take a frame (from 0) out of an object."""
    size = 2 * dataset.Rows * dataset.Columns
    del dataset.PerFrameFunctionalGroupsSequence[number]
    if announce:
        dataset.NumberOfFrames -= 1
        dataset.PixelData = dataset.PixelData[: number * size] + dataset.PixelData[(number + 1) * size :]


def test_a_missing_frame_of_an_enhanced_object(tmp_path: Path) -> None:
    folder = changed_object(tmp_path, lambda dataset: without_frame(dataset, 5 * 11 + 2))
    assert "holds 19 images of slice 3 and 20 of the others (frame 12 is missing)" in refusal(folder)


def test_an_object_that_announces_more_frames_than_it_describes(tmp_path: Path) -> None:
    folder = changed_object(tmp_path, lambda dataset: without_frame(dataset, 3, announce=False))
    assert "IM0: announces 100 frames and describes 99; copy or export" in refusal(folder)


def test_a_doubled_frame_of_an_enhanced_object(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        groups = dataset.PerFrameFunctionalGroupsSequence
        groups[12] = groups[7]

    sentence = refusal(changed_object(tmp_path, change))
    assert "holds a frame of slice 3 twice (frame 8 of IM0 and frame 13 of IM0)" in sentence


def test_a_frame_that_does_not_say_where_it_is(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[44].PlanePositionSequence

    assert "IM0: does not say where its slice is in the patient" in refusal(changed_object(tmp_path, change))


def test_an_enhanced_object_whose_pixels_end_early(tmp_path: Path) -> None:
    dicom_multiframe.siemens_one_object(tmp_path, SERIES)
    content = (tmp_path / "IM0").read_bytes()
    (tmp_path / "IM0").write_bytes(content[:-5000])
    assert refusal(tmp_path).startswith("IM0: has pixels that cannot be decoded (Explicit VR Little Endian)")


@pytest.fixture(scope="module")
def whole_object(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An enhanced object in one file."""
    folder = tmp_path_factory.mktemp("object")
    dicom_multiframe.philips_one_object(folder, whole_numbers(16, (2, 8, 6)))
    return (folder / "IM_0001").read_bytes()


@given(
    changes=st.lists(st.tuples(st.integers(132, 9000), st.integers(0, 255)), max_size=8),
    kept=st.sampled_from([1.0, 0.9, 0.4, 0.1, 0.01]),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whatever_is_damaged_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, whole_object: bytes, changes: list[tuple[int, int]], kept: float
) -> None:
    content = bytearray(whole_object)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / "IM_0001"
    path.write_bytes(content[: int(kept * len(content))])
    assert outcome(path.parent) == "read" or "; " in outcome(path.parent)


def test_a_mosaic_that_was_copied_twice(tmp_path: Path) -> None:
    dicom_mosaics.ascending(tmp_path, SERIES)
    (tmp_path / "000003 copy.IMA").write_bytes((tmp_path / "000003.IMA").read_bytes())
    assert "twice (000003 copy.IMA and 000003.IMA); remove the duplicated files" in refusal(tmp_path)


def test_a_mosaic_that_is_missing_leaves_a_gap_in_time(tmp_path: Path) -> None:
    dicom_mosaics.ascending(tmp_path, SERIES)
    for path in tmp_path.iterdir():
        if pydicom.dcmread(path).InstanceNumber == 9:
            path.unlink()
    series = read_series(tmp_path)
    np.testing.assert_allclose(series.times, np.delete(SERIES.times, 8), atol=1e-6)
    assert "3 s between frames 7 and 8, 1.5 s as a rule. A frame may be missing there." in series.notes[-1]


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        (
            [(0x0019, 0x100A), (0x0029, 0x1010)],
            "does not say how many there are, because its private tags were removed",
        ),
        ([(0x0029, 0x1010)], "does not say which way they run (private tag (0029,1010), SliceNormalVector)"),
    ],
)
def test_mosaics_without_their_private_tags(tmp_path: Path, removed: list[tuple[int, int]], sentence: str) -> None:
    dicom_mosaics.ascending(tmp_path, SERIES)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        for tag in removed:
            del dataset[tag]
        dataset.save_as(path)
    assert "is a mosaic of slices that " + sentence in refusal(tmp_path)


def test_private_tags_in_another_block_and_of_unknown_type(tmp_path: Path) -> None:
    """As archives leave them that do not know the tags, or that have some of their own."""
    dicom_mosaics.ascending(tmp_path, SERIES)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        csa = dataset[0x0029, 0x1010].value
        del dataset[0x0029, 0x1010], dataset[0x0029, 0x0010]
        dataset.private_block(0x0029, "ARCHIVE", create=True).add_new(0x10, "LO", "read")
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa)
        dataset[0x0019, 0x100A] = DataElement((0x0019, 0x100A), "UN", b"\5\0")
        dataset.save_as(path)
    series = read_series(tmp_path)
    np.testing.assert_array_equal(series.signal, SERIES.signal)
    assert series.grid.matches(SERIES.grid, 1e-4)


def test_a_mosaic_whose_number_of_slices_does_not_fit(tmp_path: Path) -> None:
    dicom_mosaics.ascending(tmp_path, SERIES)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset[0x0019, 0x100A].value = 40
        dataset.save_as(path)
    assert "is a mosaic of 66 x 72 pixels, which 40 slices do not fill evenly" in refusal(tmp_path)


TAGS = {"EchoLinePosition": ["64", "32"], "Empty": [], "SliceNormalVector": ["0.0", "-0.6", "0.8"], "Odd": ["abcd"]}


@pytest.mark.parametrize("write", [dicom_mosaics.csa_version_1, dicom_mosaics.csa_version_2])
def test_both_versions_of_the_private_header(write: Callable[[dict[str, list[str]]], bytes]) -> None:
    assert read_csa(write(TAGS)) == {name: tuple(values) for name, values in TAGS.items() if values}


def test_a_real_private_header_is_read_as_nibabel_reads_it() -> None:
    import nibabel

    path = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "csa2_b1000.bin"
    if not path.is_file():
        pytest.skip("needs the files that nibabel installs with its tests")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nibabel's DICOM readers are experimental
        from nibabel.nicom import csareader
    own, other = read_csa(path.read_bytes()), csareader.read(path.read_bytes())["tags"]
    assert own.keys() == {name for name, tag in other.items() if tag["items"]}
    assert len(own["SliceNormalVector"]) == 3
    for name, values in own.items():
        theirs = other[name]["items"]
        if theirs and isinstance(theirs[0], (int, float)):
            assert [float(value) for value in values] == theirs
        else:
            assert list(values) == [value.strip() for value in theirs]


@pytest.mark.parametrize("content", [b"", b"SV10", b"\0" * 200, b"SV10" + bytes(range(256)), b"no header at all" * 9])
def test_what_is_no_private_header(content: bytes) -> None:
    with pytest.raises(ValueError, match="CSA"):
        read_csa(content)


def test_a_private_header_that_ends_early() -> None:
    content = dicom_mosaics.csa_version_2(TAGS)
    for length in (30, 100, len(content) - 10):
        with pytest.raises(ValueError, match="CSA"):
            read_csa(content[:length])


def test_a_scan_that_was_stopped_within_a_frame(tmp_path: Path) -> None:
    series = make_series(20, (6, 7, 6), noise=5)
    for tags in (TIME_TAGS, ("TemporalPositionIdentifier",)):
        folder = write_dicom_folder(
            tmp_path / tags[0], series, tags=tags, change=lambda dataset, frame, z: not (frame == 19 and z > 1)
        )
        sentence = refusal(folder)
        assert "ends within frame 20: only 2 of its 6 slices are there" in sentence
        assert "where the scan was stopped, remove frame 20" in sentence


def test_last_frames_that_are_missing_are_missed_where_they_were_announced(tmp_path: Path) -> None:
    def change(dataset: FileDataset, frame: int, z: int) -> bool:
        dataset.NumberOfTemporalPositions = 20
        return frame < 18

    series = read_series(write_dicom_folder(tmp_path, make_series(20, (3, 7, 6), noise=5), change=change))
    assert "The DICOM header announces 20 frames, and 18 are here." in series.notes


@given(
    fraction=st.floats(0, 0.999),
    interval=st.sampled_from([1.0, 1.2, 1.25, 1.44, 1.5, 1.8, 2.3]),
    missing=st.sets(st.integers(1, 40), max_size=3),
)
def test_a_clock_of_whole_seconds_and_the_repetition_time_give_the_times(
    fraction: float, interval: float, missing: set[int]
) -> None:
    taken = np.delete(interval * np.arange(48), sorted(missing))
    shown = np.floor(fraction + taken)
    np.testing.assert_allclose(even_times(shown - shown[0], interval), taken, atol=1e-9)


def test_a_repetition_time_that_is_not_the_frame_interval_leaves_whole_seconds(tmp_path: Path) -> None:
    ge_whole_seconds(tmp_path, SERIES)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.RepetitionTime = "500"
        dataset.save_as(path)
    np.testing.assert_array_equal(read_series(tmp_path).times, np.floor(0.25 + SERIES.times))


def with_unreadable_pixels(dataset: FileDataset) -> None:
    dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    dataset.PixelData = encapsulate([b"\0\0\1\xb3" * 20])
    dataset["PixelData"].VR = "OB"


def test_a_compression_that_nobody_reads_is_named_with_the_way_out(tmp_path: Path) -> None:
    in_syntax(with_unreadable_pixels)(tmp_path, SERIES)
    sentence = refusal(tmp_path)
    assert "in a compression that nothing installed here reads (MPEG2 Main Profile / Main Level" in sentence
    assert "decompress the series first" in sentence


@pytest.mark.parametrize("encode", [jpeg_lossless, jpeg_2000, run_lengths])
@pytest.mark.parametrize("kept", [0.1, 0.7])
def test_compressed_pixels_that_end_early(tmp_path: Path, encode: Callable[[FileDataset], None], kept: float) -> None:
    def cut(dataset: FileDataset) -> None:
        encode(dataset)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[: int(kept * len(frame))]])
        dataset["PixelData"].VR = "OB"

    in_syntax(cut)(tmp_path, whole_numbers(16, (1, 24, 22)))
    sentence = refusal(tmp_path)
    assert "has pixels that cannot be decoded (" in sentence
    assert "copy it again, or decompress the series first" in sentence


BUNDLED = ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_implicit"]


@pytest.mark.parametrize("name", [*BUNDLED, "MR_small_bigendian"])
def test_images_that_pydicom_brings_along(name: str) -> None:
    """The same image in several transfer syntaxes, written by other programs."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    plain, other = folder / "MR_small.dcm", folder / f"{name}.dcm"
    if not (plain.is_file() and other.is_file()):
        pytest.skip("needs the images that pydicom installs with its tests")
    expected = pydicom.dcmread(plain).pixel_array
    (stored,) = stored_frames(other, pydicom.dcmread(other).file_meta.TransferSyntaxUID)
    np.testing.assert_array_equal(stored, expected)


@pytest.mark.parametrize("habit", ["Single images, JPEG-LS", "Single images, JPEG 2000", "Mosaics, JPEG 2000"])
def test_simpleitk_decodes_where_pydicom_has_no_plug_in(
    tmp_path: Path, habit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    HABITS[habit](tmp_path, SERIES)
    monkeypatch.setattr("stunet_perfusion.reading.dicom_pixels._is_read_by_pydicom", lambda syntax: False)
    np.testing.assert_array_equal(read_series(tmp_path).signal, SERIES.signal)
