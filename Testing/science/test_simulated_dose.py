"""A series whose dose was lowered in software says so in every file, and what reads it repeats it."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from science.synthetic import make_series
from stunet_perfusion.cli import main
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.inference.trained_doses import note_on_simulation
from stunet_perfusion.networks.checkpoint_document import CheckpointInfo, read_info
from stunet_perfusion.reading import read_series
from stunet_perfusion.reading.simulated_dose import attributes_of, simulated_dose_of_attributes
from stunet_perfusion.series import SimulatedDose
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.writing import write_series

SERIES = make_series(frames=40, shape=(3, 24, 24), noise=2.0)


@pytest.mark.parametrize("ending", [".nii.gz", ".seq.nrrd"])
@pytest.mark.parametrize(("method", "seed"), [("equation1", None), ("noise-matched", 7)])
def test_a_file_carries_dose_method_and_seed(tmp_path, ending, method, seed):
    low = simulate_dose(SERIES, 10, 0.25, method, seed or 0)
    write_series(tmp_path / f"low{ending}", low)
    read = read_series(tmp_path / f"low{ending}")
    assert read.simulated == SimulatedDose(0.25, method, seed)
    assert f"The series is a simulation at 25 % of the dose ({method})." in read.notes
    if ending == ".nii.gz":
        description = bytes(nibabel.load(tmp_path / "low.nii.gz").header["descrip"]).decode()
        assert description.startswith("The series is a simulation at 25 % of the dose")


def test_a_scan_carries_nothing(tmp_path):
    for name in ("scan.nii.gz", "scan.seq.nrrd"):
        write_series(tmp_path / name, SERIES)
        assert read_series(tmp_path / name).simulated is None
    assert "SimulatedDose" not in json.loads((tmp_path / "scan.json").read_text())


def test_half_of_a_half_is_a_quarter():
    half = simulate_dose(SERIES, 10, 0.5, "noise-matched")
    assert simulate_dose(half, 10, 0.5, "noise-matched").simulated.dose == 0.25
    assert simulate_dose(half, 10, 1.0, "noise-matched").simulated.dose == 0.5


@settings(deadline=None)
@given(st.floats(0.01, 1.0), st.sampled_from(["equation1", "noise-matched"]), st.none() | st.integers(0, 2**31))
def test_attributes_of_an_nrrd_file_keep_it(dose, method, seed):
    found = simulated_dose_of_attributes("a.nrrd", attributes_of(SimulatedDose(dose, method, seed)))
    assert (found.method, found.seed) == (method, seed)
    assert found.dose == pytest.approx(dose, rel=1e-8)


@pytest.mark.parametrize(
    "entry", [3, {}, {"Share": 2, "Method": "a"}, {"Share": "half", "Method": "a"}, {"Share": 0.5}]
)
def test_an_entry_that_describes_no_dose_is_one_sentence(tmp_path, entry):
    write_series(tmp_path / "a.nii.gz", SERIES)
    document = json.loads((tmp_path / "a.json").read_text()) | {"SimulatedDose": entry}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"a.json: SimulatedDose: does not describe a simulated dose"):
        read_series(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("network", "method", "told"),
    [
        ("stunet", "equation1", True),
        ("stunet", "noise-matched", False),
        ("paper-stunet", "equation1", False),
        ("paper-stunet", "noise-matched", True),
    ],
)
def test_a_network_that_meets_another_simulation_says_so(network, method, told):
    info = read_info(shipped_checkpoint(network))
    assert bool(note_on_simulation(info, SimulatedDose(0.5, method))) == told
    assert note_on_simulation(info, None) is None
    assert note_on_simulation(CheckpointInfo("hess", {}), SimulatedDose(0.5, method)) is None, "it does not say"


def test_predict_repeats_the_dose_of_its_input_and_names_the_mismatch(tmp_path, capsys):
    write_series(tmp_path / "scan.nii.gz", make_series(frames=50, shape=(3, 40, 36), noise=1.0, peak=40.0))
    words = ["simulate", str(tmp_path / "scan.nii.gz"), "--dose", "0.5", "-o", str(tmp_path / "half.nii.gz")]
    assert main([*words, "--method", "equation1"]) == 0
    capsys.readouterr()
    output = tmp_path / "map"
    assert main(["predict", str(tmp_path / "half.nii.gz"), "-o", str(output), "--stride", "8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dose"], report["simulated"]["method"]) == (0.5, "equation1")
    assert any("Equation 1 understates it" in note for note in report["notes"])


def test_a_preset_chooses_network_simulation_and_baseline(tmp_path, capsys):
    write_series(tmp_path / "scan.nii.gz", make_series(frames=50, shape=(3, 40, 36), noise=1.0, peak=40.0))
    found = {}
    for preset in ("ours", "paper"):
        words = ["predict", str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / preset), "--preset", preset]
        assert main([*words, "--dose", "0.5", "--stride", "8", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        found[preset] = (report["checkpoint"]["name"].split(".")[0], report["simulated"]["method"])
        assert not any("was trained on" in note for note in report["notes"])
    assert found == {"ours": ("stunet", "noise-matched"), "paper": ("paper-stunet", "equation1")}


def test_a_copy_keeps_what_it_is():
    low = replace(SERIES, simulated=SimulatedDose(0.5, "equation1"))
    assert np.shares_memory(low.dropping_first(2).signal, SERIES.signal)
    assert low.dropping_first(2).simulated == low.simulated
