"""`stunet-perfusion reference` and `stunet-perfusion benchmark reference`, from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from science.golden import EXTENTS, NOISE_LEVELS, Golden, load_golden
from science.synthetic import gamma_variate, head_of, make_series
from stunet_perfusion.cli import main
from stunet_perfusion.reading import read_map
from stunet_perfusion.series import DscSeries
from stunet_perfusion.writing import write_map, write_series


@pytest.fixture(scope="module", params=EXTENTS)
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden(request.param)


def write_golden_inputs(golden: Golden, level: str, folder: Path) -> list[str]:
    """The golden series, mask and AIF as files, and the options that make the command do what the original did."""
    frames = nibabel.Nifti1Image(golden.file[f"signal_{level}"], np.diag([2.0, 2.0, 5.0, 1.0]))
    frames.header.set_zooms((2.0, 2.0, 5.0, golden.frame_interval))
    frames.header.set_xyzt_units("mm", "sec")
    nibabel.save(frames, folder / "dsc.nii.gz")
    nibabel.save(nibabel.Nifti1Image(golden.file["mask"].astype(np.uint8), frames.affine), folder / "mask.nii.gz")
    np.savetxt(folder / "aif.txt", golden.aif, fmt="%.17g")
    np.savetxt(folder / "aif_signal.txt", golden["aif_signal_pv10"].astype(float), fmt="%.17g")
    options = ["--mask", folder / "mask.nii.gz", "--baseline", "first", "--drop-frames", "0", "--echo-time", "0.03"]
    return [str(word) for word in (folder / "dsc.nii.gz", *options)]


@pytest.mark.parametrize("level", NOISE_LEVELS)
@pytest.mark.parametrize("aif", ["aifconc", "aifsignal"])
def test_golden_series_gives_the_golden_maps(golden, level, aif, tmp_path):
    arguments = write_golden_inputs(golden, level, tmp_path)
    artery = ["--aif", "aif.txt"] if aif == "aifconc" else ["--aif-is-signal", "--aif", "aif_signal.txt"]
    artery[-1] = str(tmp_path / artery[-1])
    assert main(["reference", *arguments, *artery, "--output", str(tmp_path / "out"), "--json"]) == 0
    maps = {name: nibabel.load(tmp_path / "out" / f"{name}.nii.gz") for name in ("cbv", "cbf", "mtt")}
    for image in maps.values():
        assert image.get_data_dtype() == np.float32
        np.testing.assert_array_equal(image.affine, np.diag([2.0, 2.0, 5.0, 1.0]))
    cbv, cbf, mtt = (np.asarray(image.dataobj) for image in maps.values())
    np.testing.assert_allclose(cbv, golden.file[f"verbena_cbv_{aif}_{level}"], rtol=2e-7)
    if level == "snrinf":
        np.testing.assert_allclose(cbf, golden.file[f"verbena_rcbf_{aif}_{level}"], rtol=1e-6)
        np.testing.assert_allclose(mtt, golden.file[f"verbena_mtt_{aif}_{level}"], rtol=1e-6)
    else:
        assert cbf.mean() == pytest.approx(golden.file[f"verbena_rcbf_{aif}_{level}"].mean(), rel=0.01)
    assert not cbf[~golden.file["mask"]].any()


def write_inputs(folder: Path, **changes) -> tuple[DscSeries, list[str]]:
    """A synthetic series with its brain mask, and an artery of the tissue's shape with ten times its height."""
    series = make_series(**({"noise": 6.0} | changes))
    write_series(folder / "dsc.nii.gz", series)
    write_map(folder / "mask.nii.gz", head_of(series.grid.shape), series.grid)
    np.savetxt(folder / "aif.txt", 400 * gamma_variate(series.times, 16.0, 5.0))
    return series, ["reference", str(folder / "dsc.nii.gz"), "--output", str(folder / "out")]


def run(arguments: list[str], capsys) -> dict:
    status = main([*arguments, "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return json.loads(printed.out)


def brain_median(folder: Path, name: str, series: DscSeries) -> float:
    image, grid = read_map(folder / "out" / f"{name}.nii.gz")
    assert grid.matches(series.grid)
    return float(np.median(image[head_of(grid.shape)]))


def test_finds_everything_itself(tmp_path, capsys):
    series, arguments = write_inputs(tmp_path, unsteady_frames=2, frames=44)
    report = run(arguments, capsys)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "baseline.nii.gz",
        "cbf.nii.gz",
        "cbv.nii.gz",
        "mtt.nii.gz",
        "ncbv.nii.gz",
        "report.json",
    ]
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"] == 44
    assert report["dropped_frames"] == 2
    # 16 s after the first frame, 1.5 s apart.
    assert 9 <= report["arrival_frame"] <= 12
    assert report["baseline"] == "auto"
    assert report["baseline_frames"] == report["arrival_frame"] - report["dropped_frames"]
    assert "automatic" in report["aif"]["source"]
    assert len(report["aif"]["curve"]) == 42
    assert report["maps"]["cbv"]["median_in_brain"] == pytest.approx(brain_median(tmp_path, "cbv", series), rel=0.05)


def test_aif_file_counts_all_frames_or_the_steady_ones(tmp_path, capsys):
    series, arguments = write_inputs(tmp_path, unsteady_frames=2)
    all_frames = run([*arguments, "--aif", str(tmp_path / "aif.txt"), "--drop-frames", "2"], capsys)
    assert brain_median(tmp_path, "cbv", series) == pytest.approx(0.075, rel=0.03)
    np.savetxt(tmp_path / "steady.txt", np.loadtxt(tmp_path / "aif.txt")[2:])
    steady = run([*arguments, "--aif", str(tmp_path / "steady.txt"), "--drop-frames", "2"], capsys)
    assert steady["aif"]["curve"] == all_frames["aif"]["curve"]
    assert steady["maps"] == all_frames["maps"]


def test_vessel_mask(tmp_path, capsys):
    """The artery is then the tissue at the left edge of the head, and CBV falls from 1 there to half on the right."""
    series, arguments = write_inputs(tmp_path, noise=0.0)
    vessels = np.zeros(series.grid.shape, bool)
    inside = np.argwhere(head_of(series.grid.shape))
    leftmost = inside[inside[:, 2] == inside[:, 2].min()]
    vessels[tuple(leftmost.T)] = True
    write_map(tmp_path / "vessels.nii.gz", vessels, series.grid)
    report = run([*arguments, "--vessels", str(tmp_path / "vessels.nii.gz")], capsys)
    cbv, _ = read_map(tmp_path / "out" / "cbv.nii.gz")
    side = 0.75 - 0.25 * np.linspace(-1, 1, cbv.shape[2])
    expected = np.broadcast_to(side / side[leftmost[0, 2]], cbv.shape)
    np.testing.assert_allclose(cbv[head_of(cbv.shape)], expected[head_of(cbv.shape)], rtol=1e-3)
    assert "vessel" in report["aif"]["source"]


def test_absolute_maps_and_their_units(tmp_path, capsys):
    _, arguments = write_inputs(tmp_path)
    aif = ["--aif", str(tmp_path / "aif.txt")]
    relative = run([*arguments, *aif], capsys)["maps"]
    absolute = run([*arguments, *aif, "--absolute"], capsys)["maps"]
    factor = 0.55 / 0.75 / 1.04
    for name, scale, unit in (("cbv", 100, "ml/100 g"), ("cbf", 6000, "ml/100 g/min")):
        assert absolute[name]["unit"] == unit
        expected = scale * factor * relative[name]["median_in_brain"]
        assert absolute[name]["median_in_brain"] == pytest.approx(expected, rel=1e-5)
    assert absolute["mtt"] == relative["mtt"]


def test_leakage_correction_writes_k2_and_spares_healthy_tissue(tmp_path, capsys):
    series, arguments = write_inputs(tmp_path)
    arguments += ["--aif", str(tmp_path / "aif.txt"), "--mask", str(tmp_path / "mask.nii.gz")]
    plain = run(arguments, capsys)
    report = run([*arguments, "--leakage-correction"], capsys)
    assert plain["leakage_correction"] is None
    assert report["leakage_correction"]["not_enhancing_voxels"] > 0.7 * report["brain_voxels"]
    assert report["maps"]["k2"]["unit"] == "1/s"
    assert abs(brain_median(tmp_path, "k2", series)) < 0.001
    assert brain_median(tmp_path, "cbv", series) == pytest.approx(plain["maps"]["cbv"]["median_in_brain"], rel=0.05)


def test_leakage_correction_undoes_t1_leakage(tmp_path, capsys):
    """A corner of the head leaks by the model's own law: K2 = 0.01 1/s on top of its blood."""
    series, arguments = write_inputs(tmp_path, noise=0.0, frames=60)
    aif = 400 * gamma_variate(series.times, 16.0, 5.0)
    brain = head_of(series.grid.shape)
    leaking = np.zeros(series.grid.shape, bool)
    leaking[1:3, 8:12, 8:10] = True
    rbar = -np.log(series.signal[:, brain & ~leaking] / series.signal[0, brain & ~leaking]).mean(axis=1) / 0.03
    passed = np.concatenate([[0], np.cumsum((rbar[1:] + rbar[:-1]) / 2 * 1.5)])
    series.signal[:, leaking] *= np.exp(0.03 * 0.01 * passed)[:, None].astype(np.float32)
    write_series(tmp_path / "dsc.nii.gz", series)
    np.savetxt(tmp_path / "aif.txt", aif)
    arguments += ["--aif", str(tmp_path / "aif.txt"), "--mask", str(tmp_path / "mask.nii.gz"), "--leakage-correction"]
    run(arguments, capsys)
    cbv, k2 = (read_map(tmp_path / "out" / f"{name}.nii.gz")[0] for name in ("cbv", "k2"))
    side = np.broadcast_to(0.75 - 0.25 * np.linspace(-1, 1, cbv.shape[2]), cbv.shape)
    np.testing.assert_allclose(k2[leaking], 0.01, rtol=0.03)
    np.testing.assert_allclose(cbv[leaking], 0.1 * side[leaking], rtol=0.02)


def test_series_without_echo_time(tmp_path, capsys):
    """An arterial signal needs no TE; delta R2* in 1/s does."""
    series, arguments = write_inputs(tmp_path, echo_time=None)
    np.savetxt(tmp_path / "signal.txt", 900 * np.exp(-0.03 * 60 * gamma_variate(series.times, 16.0, 5.0)))
    report = run([*arguments, "--aif", str(tmp_path / "signal.txt"), "--aif-is-signal"], capsys)
    assert report["echo_time_s"] is None
    assert brain_median(tmp_path, "cbv", series) == pytest.approx(0.75 * 40 / 60, rel=0.03)
    assert main([*arguments, "--aif", str(tmp_path / "aif.txt")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error:")
    assert "--echo-time" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--aif", "aif.txt", "--vessels", "mask.nii.gz"], "--vessels"),
        (["--aif-is-signal"], "--aif"),
        (["--baseline", "some"], "--baseline"),
        (["--baseline", "0"], "--baseline"),
        (["--baseline", "30"], "--baseline"),
        (["--drop-frames", "39"], "--drop-frames"),
        (["--drop-frames", "-1"], "--drop-frames"),
        (["--aif", "short.txt"], "short.txt"),
        (["--aif", "words.txt"], "words.txt"),
        (["--aif", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_says_what_is_wrong_in_one_line_and_writes_nothing(options, word, tmp_path, capsys):
    _, arguments = write_inputs(tmp_path)
    (tmp_path / "short.txt").write_text("1\n2\n3\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    options = [str(tmp_path / option) if "." in option else option for option in options]
    assert main([*arguments, *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error:")
    assert message.count("\n") == 1
    assert word in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("frames", "arrival", "sentence"),
    [(40, 1.0, "cuts the bolus off at the start"), (16, 16.0, "cuts the bolus off at the end")],
)
def test_a_bolus_that_is_cut_off(frames, arrival, sentence, tmp_path, capsys):
    """Contrast arrives in the second frame; or the last frame, at 22.5 s, comes 1.5 s after the peak."""
    _, arguments = write_inputs(tmp_path, frames=frames, arrival=arrival)
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: dsc.nii.gz: {sentence}")
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_benchmark_compares_both_ways(capsys):
    arguments = ["benchmark", "reference", "--voxels", "3000", "--loop-voxels", "40", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["voxels"] == 3000
    assert result["loop_voxels"] == 40
    assert result["largest_relative_difference"] < 1e-9
    assert result["ratio"] == pytest.approx(result["voxels_per_second"] / result["loop_voxels_per_second"], rel=0.01)


def test_all_maps_in_one_run(tmp_path, capsys):
    series, arguments = write_inputs(tmp_path, frames=60)
    region = np.zeros(series.grid.shape, bool)
    region[1:3, 10:14, 9:12] = True
    write_map(tmp_path / "nawm.nii.gz", region, series.grid)
    arguments += ["--aif", str(tmp_path / "aif.txt"), "--mask", str(tmp_path / "mask.nii.gz"), "--maps", "all"]
    report = run([*arguments, "--nawm", str(tmp_path / "nawm.nii.gz")], capsys)
    units = {name: entry["unit"] for name, entry in report["maps"].items()}
    seconds = dict.fromkeys(("mtt", "tmax", "bat", "ttp", "fwhm"), "s")
    rates = dict.fromkeys(("cbf", "peak_height", "k2", "k2_bidirectional", "kep"), "1/s")
    fractions = dict.fromkeys(("cbv", "cbv_corrected", "cbv_corrected_bidirectional"), "fraction")
    names = ("ncbv", "ncbv_corrected", "ncbv_corrected_bidirectional", "psr_ratio")
    assert units == seconds | rates | fractions | {"psr": "%"} | dict.fromkeys(names, "x white matter")
    for name in names:
        image, _ = read_map(tmp_path / "out" / f"{name}.nii.gz")
        assert image[region].mean() == pytest.approx(1, abs=1e-4)
    # The artery is the tissue's own curve, ten times as high, so nothing is late, and all passes as it came.
    assert brain_median(tmp_path, "tmax", series) < 1.5
    assert brain_median(tmp_path, "psr", series) == pytest.approx(100, abs=5)
    assert main([*arguments[:-1], "some"]) == 2
    assert capsys.readouterr().err == "error: --maps: 'some' is not known; write standard or all\n"
