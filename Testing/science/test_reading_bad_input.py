"""Files that cannot be used: each is refused in one readable line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_series
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_map, write_series

SERIES = make_series(20, (4, 12, 10), noise=5)


def refusal(path: Path, **options: float) -> str:
    """The sentence with which a series is refused."""
    with pytest.raises(InputError) as caught:
        read_series(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "; " in sentence
    return sentence


def written(path: Path, change: Callable[[DscSeries], DscSeries] = lambda series: series) -> Path:
    """A series that is changed and written."""
    write_series(path, change(replace(SERIES, signal=SERIES.signal.copy())))
    return path


def set_signal(index, value: float) -> Callable[[DscSeries], DscSeries]:
    def change(series: DscSeries) -> DscSeries:
        series.signal[index] = value
        return series

    return change


ENDINGS = pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seq.nrrd"])


@ENDINGS
def test_a_volume_is_no_series(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t1{ending}"
    write_map(path, SERIES.signal[0], SERIES.grid)
    assert "is a single volume, without frames; give the 4-D dynamic series" in refusal(path, frame_interval=1.5)


@ENDINGS
def test_too_few_frames(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"dsc{ending}", lambda s: replace(s, signal=s.signal[:15], times=s.times[:15]))
    assert "has 15 frames, and a bolus passage needs at least 16" in refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@ENDINGS
def test_voxels_that_are_no_numbers(tmp_path: Path, ending: str, value: float) -> None:
    path = written(tmp_path / f"dsc{ending}", set_signal((7, 2, 5, 5), value))
    assert "not a number or infinite (first in slice 2)" in refusal(path)


@pytest.mark.parametrize(
    ("index", "value", "sentence"),
    [
        (..., 0, "nothing but zeros"),
        (..., 300, "is constant in time"),
        ((slice(None), slice(0, 1)), -20, "is negative in 25.0 % of its voxels"),
    ],
)
def test_signal_without_a_bolus(tmp_path: Path, index, value: float, sentence: str) -> None:
    assert sentence in refusal(written(tmp_path / "dsc.nii.gz", set_signal(index, value)))


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.9999])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seq.nrrd"])
def test_truncated_files(tmp_path: Path, ending: str, kept: float) -> None:
    path = written(tmp_path / f"dsc{ending}")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    sentence = refusal(path, frame_interval=1.5)
    assert sentence.startswith(f"dsc{ending}: ")
    assert (
        "ends before its last frame" in sentence or "is not a" in sentence or "header that cannot be read" in sentence
    )


def test_a_flipped_bit_in_compressed_data_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "dsc.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the check sum at the end
    path.write_bytes(content)
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("name", ["dsc.nii.gz", "dsc.nii", "dsc.nrrd", "dsc.seq.nrrd", "dsc.nhdr"])
def test_a_text_file_with_an_image_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is no image: it is a letter.\n" * 20)
    assert "whatever its name says" in refusal(tmp_path / name)


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    assert "does not exist; check the path" in refusal(tmp_path / "dsc.nii.gz")
    (tmp_path / "dsc.mat").write_bytes(b"MATLAB 5.0")
    assert "is of no known format; give a .nii" in refusal(tmp_path / "dsc.mat")
    (tmp_path / "IM0001.dcm").write_bytes(b"")
    assert "is one file of a DICOM series; give the folder" in refusal(tmp_path / "IM0001.dcm")


def test_a_color_image(tmp_path: Path) -> None:
    color = np.zeros((4, 4, 3, 20), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(color, np.eye(4)), tmp_path / "color.nii.gz")
    assert "not plain numbers" in refusal(tmp_path / "color.nii.gz")


def test_a_geometry_that_has_no_inverse(tmp_path: Path) -> None:
    path = tmp_path / "flat.nii"
    image = nibabel.Nifti1Image(SERIES.signal.T, None)
    image.header["sform_code"] = 1
    image.header.set_zooms((2, 2, 5, 1.5))
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    content[252:256] = bytes([0, 0, 1, 0])  # qform_code 0, sform_code 1; all srow are zero
    content[280:328] = bytes(48)
    path.write_bytes(content)
    assert "geometry that is not invertible" in refusal(path, frame_interval=1.5)


def test_a_header_that_promises_more_than_memory_holds(tmp_path: Path) -> None:
    path = written(tmp_path / "dsc.nii")
    content = bytearray(path.read_bytes())
    content[42:50] = np.array([32767] * 4, dtype="<i2").tobytes()
    path.write_bytes(content)
    sentence = refusal(path, frame_interval=1.5)
    assert "ends before its last frame is complete" in sentence, "its size is known before there is memory for it"


@pytest.mark.parametrize("kinds", ["domain list domain domain", "list domain domain vector"])
def test_axes_of_unknown_meaning(tmp_path: Path, kinds: str) -> None:
    path = written(tmp_path / "dsc.seq.nrrd")
    path.write_bytes(path.read_bytes().replace(b"list domain domain domain", kinds.encode()))
    assert "none is clearly that of the frames" in refusal(path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b"encoding: gzip", b"encoding: hex", "has the encoding 'hex'"),
        (b"type: float", b"type: block", "holds voxels of type 'block'"),
        (b"encoding: gzip\n", b"", "has no 'encoding' in its header"),
        (b"kinds: list", b"sizes: 1 2 3 4\nkinds: list", "has a header that cannot be read"),
        (b"encoding: gzip", b"encoding: raw\ndata file: gone.raw", "gone.raw: does not exist"),
        (b"encoding: gzip", b"encoding: raw\ndata file: frame%03d.raw 0 19 1", "keeps its voxels in many files"),
        (b"none (2.0,", b"none (nan,", "geometry that is not invertible"),
    ],
)
def test_nrrd_headers_that_cannot_be_used(tmp_path: Path, old: bytes, new: bytes, sentence: str) -> None:
    path = written(tmp_path / "dsc.seq.nrrd")
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    assert sentence in refusal(path)


def test_the_command_line_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dsc.nii.gz").write_text("no image")
    assert main(["info", str(tmp_path / "dsc.nii.gz")]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    lines = [line for line in output.err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: dsc.nii.gz: is not a NIfTI file")
