"""`info`: what it says about a series whose every number is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from science.dicom_folder import write_dicom_folder
from science.synthetic import head_of, make_series
from stunet_perfusion.cli import main
from stunet_perfusion.writing import write_map, write_series

SHAPE = (4, 24, 20)

#: Two unsteady frames; bolus arrival at 16 s is within frame 10 (15 to 16.5 s), the peak at 21 s is frame 14.
SERIES = make_series(40, SHAPE, frame_interval=1.5, unsteady_frames=2, noise=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_series(tmp_path / "dsc.nii.gz", SERIES)
    return tmp_path / "dsc.nii.gz"


def test_the_document(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(path), "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    document = json.loads(output.out)
    assert document["name"] == "dsc.nii.gz"
    assert document["frames"] == 40
    assert document["matrix"] == [20, 24, 4]
    assert document["spacing_mm"] == pytest.approx([2, 2, 5])
    assert document["frame_interval_s"] == 1.5
    assert document["duration_s"] == 58.5
    assert document["echo_time_s"] == 0.03
    assert document["unsteady_frames"] == 2
    assert document["bolus_peak_frame"] == 14
    assert document["bolus_peak_s"] == 21
    assert document["bolus_arrival_frame"] in (10, 11, 12)
    assert document["baseline_frames"] == document["bolus_arrival_frame"] - 2
    assert document["brain_ml"] == pytest.approx(document["brain_voxels"] * 0.02, abs=0.06)
    assert document["notes"] == []


def test_a_series_whose_dose_was_lowered_by_equation_1_is_not_taken_for_a_scan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its noise: what the file beside it says of how it was made is gone."""
    write_series(tmp_path / "scan.nii.gz", make_series(80, (4, 48, 40), noise=4))
    words = ["--dose", "0.25", "--method", "equation1", "--output", str(tmp_path / "low.nii.gz")]
    assert main(["simulate", str(tmp_path / "scan.nii.gz"), *words]) == 0
    for sidecar in tmp_path.glob("*.json"):
        sidecar.unlink()
    notes = {}
    for name in ("scan", "low"):
        capsys.readouterr()
        assert main(["info", str(tmp_path / f"{name}.nii.gz"), "--frame-interval", "1.5", "--json"]) == 0
        notes[name] = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert "lowered by Equation 1" in notes["low"]
    assert "Equation 1" not in notes["scan"]


def test_people_read_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Frames 40, every 1.5 s, 58.5 s in all" in text
    assert "Voxels 20 x 24 x 4, of 2 x 2 x 5 mm" in text
    assert "Echo time 0.03 s" in text
    assert "Not steady 2 first frames" in text
    assert "Bolus peak in frame 14, at 21 s" in text


def test_options_mean_what_they_mean_everywhere(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = head_of(SHAPE)
    mask[:, :, 10:] = False
    write_map(path.parent / "mask.nii.gz", mask, SERIES.grid)
    words = ["--echo-time", "0.04", "--frame-interval", "2", "--drop-frames", "4", "--mask"]
    assert main(["info", str(path), *words, str(path.parent / "mask.nii.gz"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["echo_time_s"] == 0.04
    assert document["frame_interval_s"] == 2
    assert document["unsteady_frames"] == 4
    assert document["bolus_peak_s"] == 28
    assert document["brain_voxels"] == mask.sum()


def test_what_was_decided_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_dicom_folder(tmp_path / "dsc", SERIES)
    assert main(["info", str(folder)]) == 0
    assert "Note: The DICOM files were sorted into frames by AcquisitionTime." in capsys.readouterr().out


def test_a_series_without_bolus_is_described_before_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series = make_series(40, SHAPE, peak=0, noise=4)
    write_series(tmp_path / "dsc.nii.gz", series)
    assert main(["info", str(tmp_path / "dsc.nii.gz")]) == 2
    output = capsys.readouterr()
    assert "every 1.5 s" in output.out
    assert output.err.strip().splitlines()[-1].startswith("error: dsc.nii.gz: ")
    assert main(["info", str(tmp_path / "dsc.nii.gz"), "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("frames", "arrival", "sentence"),
    [(40, 1.0, "cuts the bolus off at the start"), (16, 16.0, "cuts the bolus off at the end")],
)
def test_a_bolus_that_is_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], frames: int, arrival: float, sentence: str
) -> None:
    """Contrast arrives in the second frame; or the last frame, at 22.5 s, comes 1.5 s after the peak."""
    write_series(tmp_path / "dsc.nii.gz", make_series(frames, SHAPE, arrival=arrival, noise=4))
    assert main(["info", str(tmp_path / "dsc.nii.gz")]) == 2
    output = capsys.readouterr()
    assert f"{frames}, every 1.5 s" in output.out
    assert output.err.startswith(f"error: dsc.nii.gz: {sentence}")
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("frames", ["some", "²", "٣"])
def test_a_wrong_number_of_frames_is_refused(path: Path, capsys: pytest.CaptureFixture[str], frames: str) -> None:
    assert main(["info", str(path), "--drop-frames", frames]) == 2
    assert f"'{frames}' is neither a number of frames nor 'auto'" in capsys.readouterr().err


def test_a_name_that_looks_like_markup_is_printed_as_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = path.rename(path.parent / "a [red]b :smile:.nii.gz")
    assert main(["info", str(odd)]) == 0
    assert "Series a [red]b :smile:.nii.gz" in " ".join(capsys.readouterr().out.split())


def test_the_signal_range_is_that_of_the_series(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", str(path), "--json"])
    low, high = json.loads(capsys.readouterr().out)["signal_range"]
    assert (np.float32(low), np.float32(high)) == (SERIES.signal.min(), SERIES.signal.max())
