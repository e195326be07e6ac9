"""The five functions that `import stunet_perfusion` offers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import stunet_perfusion as sp
from science.small_cases import SHAPE, small_checkpoint, small_series, write_small_case
from science.synthetic import head_of, make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError


@pytest.fixture
def series() -> DscSeries:
    """A series that nobody can overwrite: numpy refuses it."""
    made = small_series()
    made.signal.flags.writeable = made.times.flags.writeable = False
    return made


@pytest.fixture
def case(tmp_path):
    return write_small_case(tmp_path, "one")


@pytest.fixture
def checkpoint(tmp_path):
    return small_checkpoint(tmp_path / "small.safetensors")


def test_importing_the_package_imports_nothing_else():
    """3D Slicer does it while it starts."""
    code = """
import json, sys
import stunet_perfusion
alone = [name for name in ("numpy", "scipy", "torch") if name in sys.modules]
for name in ("read", "lower_dose", "reference", "compare"):
    assert callable(getattr(stunet_perfusion, name))
print(json.dumps([alone, "torch" in sys.modules]))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [[], False]


def test_the_package_offers_five_functions_with_descriptions():
    offered = set(sp.__all__) - {"__version__"}
    assert offered == {"read", "lower_dose", "predict", "reference", "compare"}
    assert offered <= set(dir(sp))
    for name in offered:
        assert ":returns:" in getattr(sp, name).__doc__ or ":raises" in getattr(sp, name).__doc__
    with pytest.raises(AttributeError, match="'stunet_perfusion' has no attribute 'guess'"):
        sp.guess  # noqa: B018


def test_read_takes_what_the_file_says_unless_told_otherwise(case):
    series = sp.read(case.series)
    assert series.signal.shape == (50, *SHAPE)
    assert sp.read(case.series, echo_time=0.045, frame_interval=2.0).echo_time == 0.045
    with pytest.raises(InputError, match="nowhere"):
        sp.read(case.series.with_name("nowhere.nii.gz"))


def test_predict_is_what_the_command_line_predicts_and_changes_nothing(case, checkpoint, tmp_path):
    read = sp.read(case.series)
    read.signal.flags.writeable = False
    before = read.signal.copy()
    mask = read_map(case.files["mask"])[0]
    predicted = sp.predict(read, mask=mask, checkpoint=checkpoint, stride=4, device="cpu")
    np.testing.assert_array_equal(read.signal, before)

    arguments = ["predict", str(case.series), "--mask", str(case.files["mask"]), "--checkpoint", str(checkpoint)]
    assert main([*arguments, "--stride", "4", "--device", "cpu", "--output", str(tmp_path / "maps")]) == 0
    for name, values in {
        "cbv": predicted.cbv,
        "cbv_uncertainty": predicted.uncertainty,
        "cbv_standardized": predicted.standardized,
        "ncbv": predicted.ncbv,
        "ncbv_uncertainty": predicted.ncbv_uncertainty,
    }.items():
        np.testing.assert_array_equal(values, read_map(tmp_path / "maps" / f"{name}.nii.gz")[0])
    np.testing.assert_array_equal(predicted.brain, mask > 0)
    assert predicted.grid is read.grid
    assert predicted.notes[:-1] == read.notes
    assert predicted.notes[-1].startswith("Normal white matter ")
    report = json.loads((tmp_path / "maps" / "report.json").read_text())
    assert predicted.unit == report["cbv_unit"]
    assert predicted.uncertainty_is == report["uncertainty_is"]


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_lower_dose_is_what_the_command_line_simulates_and_changes_nothing(case, tmp_path, method):
    read = sp.read(case.series)
    read.signal.flags.writeable = False
    lowered = sp.lower_dose(read, 0.25, method=method, seed=5)
    output = tmp_path / "low.nii.gz"
    arguments = ["simulate", str(case.series), "--dose", "0.25", "--method", method, "--seed", "5"]
    assert main([*arguments, "--output", str(output)]) == 0
    np.testing.assert_array_equal(lowered.signal, sp.read(output).signal)
    np.testing.assert_array_equal(lowered.times, read.times)
    assert lowered.notes == (*read.notes, f"Simulated at 0.25 of the dose ({method}).")
    assert not np.shares_memory(lowered.signal, read.signal)


def test_frames_that_are_not_steady_stay_as_they_are(series):
    first = series.signal[:1] * np.float32(1.4)
    times = np.concatenate([series.times[:1] - series.frame_interval, series.times])
    unsteady = replace(series, signal=np.concatenate([first, series.signal]), times=times)
    lowered = sp.lower_dose(unsteady, 0.5, method="equation1", drop_frames=1)
    np.testing.assert_array_equal(lowered.signal[0], unsteady.signal[0])
    steady = sp.lower_dose(series, 0.5, method="equation1", drop_frames=0)
    np.testing.assert_array_equal(lowered.signal[1:], steady.signal)


def test_the_full_dose_is_a_copy(series):
    whole = sp.lower_dose(series, 1.0, method="noise-matched")
    np.testing.assert_array_equal(whole.signal, series.signal)
    assert not np.shares_memory(whole.signal, series.signal)
    assert whole.notes == series.notes


def test_a_dose_is_a_share_and_noise_matched_unless_told_otherwise(series):
    assert sp.lower_dose(series, 0.5).notes[-1] == "Simulated at 0.5 of the dose (noise-matched)."
    with pytest.raises(InputError, match="not in"):
        sp.lower_dose(series, 1.5, method="equation1")


def test_reference_is_what_the_command_line_computes_and_changes_nothing(case, tmp_path):
    read = sp.read(case.series)
    read.signal.flags.writeable = False
    vessels = read_map(case.files["tumor"])[0].astype(np.uint8)
    maps = sp.reference(read, vessels=vessels, baseline="first", leakage_correction=True)
    arguments = ["reference", str(case.series), "--vessels", str(case.files["tumor"]), "--baseline", "first"]
    output = tmp_path / "maps"
    assert main([*arguments, "--leakage-correction", "--output", str(output)]) == 0
    for name in ("cbv", "cbf", "mtt", "k2", "ncbv"):
        np.testing.assert_array_equal(getattr(maps, name), read_map(output / f"{name}.nii.gz")[0])
    assert maps.units["cbv"] == "fraction"
    with pytest.raises(InputError, match="shows no vein"):
        sp.reference(read, vessels=vessels, absolute=True)
    assert maps.aif.source.startswith("vessel mask")


def test_a_quarter_of_the_dose_leaves_the_ratios_of_blood_volume():
    """Without noise, concentrations scale with the dose, so relative blood volume does not change with it."""
    quiet = make_series(frames=50, shape=SHAPE)
    head = head_of(SHAPE)
    full = sp.reference(quiet, mask=head, vessels=head).cbv
    quarter = sp.reference(sp.lower_dose(quiet, 0.25, method="noise-matched", mask=head), mask=head, vessels=head).cbv
    np.testing.assert_allclose(quarter[head], full[head], rtol=1e-4)


def test_compare_takes_masks_of_numbers_and_gives_ratios():
    generator = np.random.default_rng(1)
    truth = generator.uniform(1, 2, (2, 16, 16)).astype(np.float32)
    brain, tumor, nawm = (np.zeros(truth.shape, np.uint8) for _ in range(3))
    brain[:, 1:-1, 1:-1] = tumor[:, 2:5, 2:5] = nawm[:, 8:12, 8:12] = 1
    truth[tumor > 0], truth[nawm > 0] = 6, 2
    scores = sp.compare(2 * truth, truth, brain, tumor=tumor, nawm=nawm)
    # Standardized maps do not see a factor, nor do ratios within a map; concordance does.
    assert scores["l1"] == pytest.approx(0, abs=1e-6)
    assert scores["nrcbv"] == scores["nrcbv_reference"] == pytest.approx(3)
    assert scores["concordance"] < 0.9
    assert sp.compare(2 * truth, truth, brain, standardize=False)["l1"] == pytest.approx(truth[brain > 0].mean())


def test_a_series_that_has_to_be_mended_is_not_changed_either(series, checkpoint):
    """The head moves while the bolus passes, and the note says that it was moved back."""
    signal = series.signal.copy()
    signal[25:] = np.roll(signal[25:], 3, axis=3)
    before = signal.copy()
    signal.flags.writeable = False
    moved = replace(series, signal=signal)
    for notes in (sp.predict(moved, checkpoint=checkpoint, stride=8, device="cpu").notes, sp.reference(moved).notes):
        assert any(note.startswith("Mended: The head was moved back") for note in notes)
    np.testing.assert_array_equal(signal, before)
