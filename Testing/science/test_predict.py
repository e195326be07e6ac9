"""One case, end to end: what the maps are worth when the network is known."""

import json
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from science.synthetic import head_of, make_series, oblique_grid
from stunet_perfusion.cli import main
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.predict import (
    PredictionSettings,
    apply_correction,
    empty_average,
    plan_for,
    predict_case,
    predict_prepared,
    predict_standardized,
    put_slice,
    to_blood_volume,
)
from stunet_perfusion.inference.strips import StripAverage, StripRule, predict_slice
from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.cbv_scale import cbv_scale
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.metrics import nrcbv
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.build import build_network
from stunet_perfusion.networks.checkpoint import Checkpoint, CheckpointInfo
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.phantom import Protocol, make_phantom, mni_anatomy
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.reading import read_map
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.writing import write_map, write_series

SHAPE = (3, 40, 36)


class MeanDrop(nn.Module):
    """Predicts how far the mean over time is below the first five frames: it rises with the blood volume."""

    row_step, row_reach = 1, 0

    def check_strip(self, frames, rows, columns):
        pass

    def forward(self, strips):
        return strips[:, :5].mean(dim=1) - strips.mean(dim=1)


@pytest.fixture
def series():
    return make_series(frames=50, shape=SHAPE, noise=1.0, seed=3, grid=oblique_grid(SHAPE))


@pytest.fixture
def brain():
    mask = head_of(SHAPE).copy()
    mask[2] = False
    return mask


@pytest.fixture
def known():
    return Checkpoint(CheckpointInfo("stunet", {}), MeanDrop(), "known")


def test_the_prediction_comes_back_onto_the_grid_of_the_series(series, brain, known):
    """The map of a network in closed form, computed without boxes, resampling and strips."""
    prepared = prepare(series, mask=brain, drop_frames=0)
    predicted = predict_standardized(prepared, known, stride=16)
    first_five = series.signal[:5][:, brain]
    z_scores = (series.signal - first_five.mean()) / first_five.std()
    window = np.minimum(np.arange(64), series.frames - 1)
    clipped = np.clip(z_scores, -5, 5)[window]
    expected = clipped[:5].mean(axis=0) - clipped.mean(axis=0)
    inner = ndimage.binary_erosion(brain, np.ones((1, 5, 5)))
    # Resampling there and back blurs edges by a fraction of a voxel; everywhere else the map is the same.
    error = np.abs(predicted.mean[inner] - expected[inner]) / expected[brain].std()
    assert np.median(error) < 0.01
    assert np.percentile(error, 99) < 0.15
    assert predicted.spread.max() < 1e-3
    assert not predicted.mean[2].any(), "a slice without brain is not predicted"
    assert not predicted.mean[:, :3].any(), "nothing is predicted outside the box"


def test_the_map_has_the_unit_of_the_closed_form_and_its_zero(series, brain, known):
    kept = series.signal.copy()
    case = predict_case(series, known, PredictionSettings(stride=16, drop_frames=0), mask=brain)
    closed_form = case.closed_form[brain]
    slope, offset = np.polyfit(case.map.cbv[brain], closed_form, 1)
    assert slope == pytest.approx(1, abs=0.05)
    assert offset == pytest.approx(0, abs=0.05 * float(closed_form.mean()))
    np.testing.assert_array_equal(series.signal, kept)


def test_the_series_is_left_alone_unless_it_is_given_away(series, brain, known):
    kept = series.signal.copy()
    settings = PredictionSettings(dose=0.5, method="noise-matched", stride=16, drop_frames=0)
    first = predict_case(series, known, settings, mask=brain)
    np.testing.assert_array_equal(series.signal, kept)
    second = predict_case(series, known, settings, mask=brain, consume=True)
    np.testing.assert_array_equal(second.map.cbv, first.map.cbv)


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_a_case_at_a_dose_is_the_case_of_the_simulated_series(series, brain, known, method):
    full = prepare(series, mask=brain, drop_frames=0)
    lowered = simulate_dose(full.series, full.bolus.arrival, 0.4, method, seed=9)
    expected = predict_standardized(prepare(lowered, mask=brain, drop_frames=0), known, stride=16).mean
    expected = np.where(brain, (expected - expected[brain].mean()) / expected[brain].std(), 0)
    settings = PredictionSettings(dose=0.4, method=method, seed=9, stride=16, drop_frames=0)
    case = predict_case(series, known, settings, mask=brain)
    np.testing.assert_allclose(case.map.standardized, expected, atol=1e-5)
    aif = automatic_aif(case.prepared)
    closed_form = first_pass_cbv(case.prepared.series, case.prepared.bolus, aif.curve)
    np.testing.assert_array_equal(case.closed_form, closed_form)


def test_what_runs_beside_the_network_gives_the_map_of_one_slice_after_another(series, brain):
    trained = checkpoint.load(shipped_checkpoint())
    prepared = prepare(series, mask=brain, drop_frames=0)
    together = predict_standardized(prepared, trained, stride=16)
    plan = plan_for(prepared, trained.info)
    network = fold_batch_normalization(trained.network)
    expected = empty_average(SHAPE, network)
    for z in (0, 1):
        signal = prepared.series.signal[:, z]
        of_slice = slice_for_network(plan, signal, noise=True)
        average = predict_slice(network, of_slice.given, trained.info.strip, 16)
        put_slice(expected, z, apply_correction(average, trained.info, of_slice), plan.box)
    np.testing.assert_allclose(together.mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(together.error, expected.error, atol=1e-5)
    assert not together.mean[2].any(), "no brain there"


def test_the_network_stops_where_no_artery_is_found(series, brain, known):
    """Both work at the same time, and nobody waits for a map that will not be."""

    def no_artery(prepared):
        raise InputError("arterial input", "is not to be found", "give one")

    def endless(*args, check_cancelled, **others):
        for _ in range(1000):
            check_cancelled()
            time.sleep(0.01)
        pytest.fail("the network went on")

    prepared = prepare(series, mask=brain, drop_frames=0)
    with pytest.raises(InputError, match="not to be found"):
        predict_prepared(prepared, known, PredictionSettings(stride=16), find_aif=no_artery, predict=endless)


@pytest.mark.parametrize("drift", [-0.01, 0.01])
@pytest.mark.parametrize("dose", [1.0, 0.25])
def test_a_drift_of_the_scanner_does_not_move_the_zero(dose, drift):
    """The truth itself as prediction: its scale and zero come from a closed form with noise, leakage and drift."""
    protocol = replace(Protocol(), drift=drift)
    phantom = make_phantom(mni_anatomy(), tumor="random", protocol=protocol, seed=0, slices=range(8, 16, 2))
    prepared = prepare(phantom.series(dose), mask=phantom.mask)
    truth = cbv_scale(phantom.cbv, phantom.mask)
    z_scores = ((phantom.cbv - truth.mean) / truth.sd).astype(np.float32)
    closed_form = first_pass_cbv(prepared.series, prepared.bolus, automatic_aif(prepared).curve)
    found = to_blood_volume(prepared, StripAverage(z_scores, np.zeros_like(z_scores)), closed_form).cbv
    expected = nrcbv(phantom.cbv, phantom.tumor, phantom.nawm)
    assert nrcbv(found, phantom.tumor, phantom.nawm) == pytest.approx(expected, rel=0.12)


@pytest.fixture
def files(tmp_path, series, brain):
    """A series, a mask, and a small real checkpoint whose map rises with the blood volume."""
    torch.manual_seed(0)
    network = build_network("hess", {"sequence_widths": [2, 2, 2, 2]})
    for parameter in network.parameters():
        parameter.data.abs_()
    path = tmp_path / "small.safetensors"
    checkpoint.save(path, network, CheckpointInfo("hess", {"sequence_widths": [2, 2, 2, 2]}, strip=StripRule(16)))
    write_series(tmp_path / "dsc.nii.gz", series)
    write_map(tmp_path / "mask.nii.gz", brain, series.grid)
    return tmp_path


def predict(folder, *options):
    words = ["predict", str(folder / "dsc.nii.gz"), "--output", str(folder / "out"), "--stride", "16", "--json"]
    words += ["--checkpoint", str(folder / "small.safetensors"), "--mask", str(folder / "mask.nii.gz")]
    return main([*words, "--drop-frames", "0", *options])


def test_the_command_writes_maps_on_the_grid_and_a_report(files, series, brain, capsys):
    assert predict(files, "--dose", "0.5", "--method", "noise-matched", "--seed", "4") == 0
    names = sorted(path.name for path in (files / "out").iterdir())
    expected = ["cbv", "cbv_standardized", "cbv_uncertainty", "nawm", "ncbv", "ncbv_uncertainty"]
    assert names == sorted([*(f"{name}.nii.gz" for name in ("baseline", *expected)), "report.json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((files / "out" / "report.json").read_text())
    assert printed["settings"]["dose"] == 0.5
    assert printed["settings"]["method"] == "noise-matched"
    assert printed["checkpoint"]["network"] == "hess"
    assert "not for diagnosis" in printed["use"]
    cbv, grid = read_map(files / "out" / "cbv.nii.gz")
    standardized, _ = read_map(files / "out" / "cbv_standardized.nii.gz")
    assert grid.matches(series.grid, 1e-4)
    scale = printed["cbv_of_z_score"]
    inside = np.abs(standardized) < 5
    np.testing.assert_allclose(
        cbv[brain & inside], scale["mean"] + scale["sd"] * standardized[brain & inside], rtol=1e-4, atol=1e-6
    )
    assert not cbv[~brain].any(), "air holds no blood"
    for of_artery, of_white_matter in (("cbv", "ncbv"), ("cbv_uncertainty", "ncbv_uncertainty")):
        values, _ = read_map(files / "out" / f"{of_artery}.nii.gz")
        normalized, _ = read_map(files / "out" / f"{of_white_matter}.nii.gz")
        np.testing.assert_allclose(normalized * printed["white_matter"]["cbv"], values, rtol=1e-5)
    region, _ = read_map(files / "out" / "nawm.nii.gz")
    normalized, _ = read_map(files / "out" / "ncbv.nii.gz")
    assert printed["white_matter"]["source"] == "automatic"
    assert normalized[region > 0].mean() == pytest.approx(1, abs=1e-5)
    assert any(note.startswith("Normal white matter was found automatically") for note in printed["notes"])


def test_white_matter_that_is_given_is_the_unit(files, series, brain, capsys):
    region = np.zeros_like(brain)
    region[1, 20:24, 12:16] = True
    write_map(files / "nawm.nii.gz", region, series.grid)
    assert predict(files, "--nawm", str(files / "nawm.nii.gz")) == 0
    report = json.loads(capsys.readouterr().out)
    ncbv, _ = read_map(files / "out" / "ncbv.nii.gz")
    kept, _ = read_map(files / "out" / "nawm.nii.gz")
    assert ncbv[region].mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(kept > 0, region)
    assert report["white_matter"]["source"] == "given"
    assert report["regions"]["nawm"]["voxels"] == region.sum()
    write_map(files / "nawm.nii.gz", ~brain, series.grid)
    assert predict(files, "--nawm", str(files / "nawm.nii.gz")) == 2
    assert "error: white matter: lies outside the brain;" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--dose", "0"), "error: dose: 0 is not in (0, 1]"),
        (("--dose", "1.5"), "error: dose: 1.5 is not in (0, 1]"),
        (("--method", "magic"), "error: dose: there is no method 'magic'"),
        (("--stride", "40"), "error: --stride: 40 is not between 1 and the 16 rows of a strip"),
        (("--drop-frames", "some"), "error: --drop-frames: 'some' is neither a number"),
        (("--checkpoint", "nowhere.safetensors"), "error: nowhere.safetensors: does not exist"),
        (("--mask", "nowhere.nii.gz"), "error: nowhere.nii.gz"),
        (("--device", "abacus"), "error: --device: 'abacus' cannot be used"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(files, capsys, options, sentence):
    assert predict(files, *options) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not (files / "out").exists()


def test_a_run_that_fails_leaves_older_results_alone(files):
    assert predict(files) == 0
    before = {path.name: path.read_bytes() for path in (files / "out").iterdir()}
    assert predict(files, "--stride", "40") == 2
    assert {path.name: path.read_bytes() for path in (files / "out").iterdir()} == before


def test_looking_at_the_options_does_not_load_torch():
    """`info` and `--help` must answer at once."""
    import subprocess

    code = "import sys; from stunet_perfusion.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
