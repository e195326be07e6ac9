"""The verb `simulate`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.reading import read_series
from stunet_perfusion.writing import write_map, write_series


@pytest.fixture
def full_dose(tmp_path):
    series = make_series(shape=(4, 48, 40), unsteady_frames=2, noise=10.0)
    path = tmp_path / "dsc.nii.gz"
    write_series(path, series)
    return path


@pytest.mark.parametrize("name", ["low.nii.gz", "low.seq.nrrd"])
@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_all_frames_are_written_with_times_te_and_grid(tmp_path, full_dose, name, method):
    output = tmp_path / name
    arguments = ["simulate", str(full_dose), "--dose", "0.5", "--method", method, "--seed", "3"]
    assert main([*arguments, "--output", str(output)]) == 0
    before, after = read_series(full_dose), read_series(output)
    assert after.frames == 40
    np.testing.assert_allclose(after.times, before.times, atol=1e-6)
    assert after.echo_time == pytest.approx(before.echo_time)
    assert after.grid.matches(before.grid)
    assert np.array_equal(after.signal[:2], before.signal[:2])
    prepared = prepare(before)
    expected = simulate_dose(prepared.series, prepared.bolus.arrival, 0.5, method, seed=3)
    np.testing.assert_allclose(after.signal[2:], expected.signal, rtol=1e-6)


def test_json_tells_what_was_done(tmp_path, full_dose, capsys):
    output = tmp_path / "quarter.nii.gz"
    arguments = ["simulate", str(full_dose), "--dose", "0.25", "--method", "noise-matched", "--seed", "5"]
    assert main([*arguments, "--output", str(output), "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["output"] == str(output)
    assert (document["dose"], document["method"], document["seed"]) == (0.25, "noise-matched", 5)
    assert (document["frames"], document["dropped_frames"]) == (40, 2)
    assert document["arrival_frame"] == document["dropped_frames"] + document["baseline_frames"]
    assert document["peak_frame"] == 14
    assert "0.25 of the dose" in " ".join(document["notes"])
    assert printed.err == ""


def test_options_that_every_verb_has(tmp_path, full_dose, capsys):
    mask = np.zeros((4, 48, 40), dtype=np.float32)
    mask[1:3, 20:30, 15:25] = 1
    write_map(tmp_path / "mask.nii.gz", mask, make_series(shape=(4, 48, 40)).grid)
    output = tmp_path / "low.nii.gz"
    arguments = ["simulate", str(full_dose), "--dose", "0.5", "--output", str(output), "--json"]
    arguments += ["--mask", str(tmp_path / "mask.nii.gz"), "--drop-frames", "3"]
    arguments += ["--echo-time", "0.04", "--frame-interval", "2"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["dropped_frames"] == 3
    after = read_series(output)
    assert after.echo_time == pytest.approx(0.04)
    assert after.frame_interval == pytest.approx(2.0)
    assert np.array_equal(after.signal[:3], read_series(full_dose).signal[:3])


def test_full_dose_is_a_copy(tmp_path, full_dose):
    output = tmp_path / "full.nii.gz"
    assert main(["simulate", str(full_dose), "--dose", "1", "--output", str(output), "--json"]) == 0
    assert np.array_equal(read_series(output).signal, read_series(full_dose).signal)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["--dose", "1.5"], "error: dose: 1.5 is not in (0, 1]; give"),
        (["--method", "half"], "error: dose: there is no method 'half'; choose"),
        (["--window", "4"], "error: window: 4 frames have no middle one; give"),
        (["--seed", "-1"], "error: Invalid value for '--seed': "),
        (["--drop-frames", "some"], "error: --drop-frames: 'some' is neither"),
        (["--drop-frames", "9"], "error: dsc.nii.gz: cuts the bolus off at the start"),
        (["--drop-frames", "39"], "error: --drop-frames: 39 of 40 frames"),
        (["--mask", "none.nii.gz"], "error: none.nii.gz: "),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(tmp_path, full_dose, capsys, changed, sentence):
    output = tmp_path / "out" / "low.nii.gz"
    arguments = ["simulate", str(full_dose), "--dose", "0.5", "--output", str(output), "--json", *changed]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(sentence)
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not output.exists()


@pytest.mark.parametrize(
    ("frames", "arrival", "sentence"),
    [(40, 1.0, "cuts the bolus off at the start"), (16, 16.0, "cuts the bolus off at the end")],
)
def test_a_bolus_that_is_cut_off(tmp_path, capsys, frames, arrival, sentence):
    """Contrast arrives in the second frame; or the last frame, at 22.5 s, comes 1.5 s after the peak."""
    path = tmp_path / "cut.nii.gz"
    write_series(path, make_series(frames, (4, 48, 40), arrival=arrival, noise=10.0))
    assert main(["simulate", str(path), "--dose", "0.5", "--output", str(tmp_path / "low.nii.gz")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: cut.nii.gz: {sentence}")
    assert error.count("\n") == 1
    assert not (tmp_path / "low.nii.gz").exists()


@pytest.mark.parametrize("folder", ["a[/b]", "a [red]b :smile:"])
def test_a_folder_that_looks_like_markup_is_printed_as_it_is(tmp_path, full_dose, capsys, folder):
    output = tmp_path / folder / "low.nii.gz"
    assert main(["simulate", str(full_dose), "--dose", "0.5", "--output", str(output)]) == 0
    assert f"Wrote {output}. Research use only" in capsys.readouterr().err
    assert output.exists()


def test_a_series_without_bolus(tmp_path, capsys):
    path = tmp_path / "rest.nii.gz"
    write_series(path, make_series(shape=(4, 48, 40), peak=0.0, noise=10.0))
    assert main(["simulate", str(path), "--dose", "0.5", "--output", str(tmp_path / "low.nii.gz")]) == 2
    assert capsys.readouterr().err.startswith("error: rest.nii.gz: shows no contrast bolus")
    assert not (tmp_path / "low.nii.gz").exists()
