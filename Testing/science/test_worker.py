"""The worker process, asked as 3D Slicer asks it: what it answers is what the functions themselves compute."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from science.worker_case import SHAPE, UNSTEADY, brain, fill, make_case, opening
from science.worker_client import FINAL, WorkerClient
from stunet_perfusion import __version__
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.inference.predict import PredictionSettings, predict_case
from stunet_perfusion.kinetics.aif import aif_from_vessels, automatic_aif
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.kinetics.reference.case import ReferenceSettings, describe_reference, reference_case
from stunet_perfusion.metrics import compare_maps
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.regions.blood_volume_unit import blood_volume_unit
from stunet_perfusion.regions.region_numbers import region_numbers
from stunet_perfusion.runs.prediction import normalized_prediction, prediction_report
from stunet_perfusion.support.errors import Setting


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def worker(folder):
    """One worker for all tests that do not end it, with the case open as `head`."""
    before = hashlib.sha256((folder / "input.npy").read_bytes()).digest()
    client = WorkerClient(folder)
    client.ask("open", **opening(make_case()))
    yield client
    assert client.ask("shutdown") == {}
    assert client.process.wait() == 0
    assert hashlib.sha256((folder / "input.npy").read_bytes()).digest() == before, "the input was changed"


@pytest.fixture
def prepared():
    return prepare(make_case(), mask=brain(), drop_frames=UNSTEADY)


@pytest.fixture(scope="module", autouse=True)
def same_threads():
    """As many threads as the worker is told to use."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lowered(prepared, dose, method, seed=0):
    series = simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed)
    return replace(prepared, series=series)


def load(worker, name):
    return np.load(worker.folder / name)


# --- What it answers -------------------------------------------------------------------------------------------------


def test_it_is_ready_before_anything_is_asked(worker):
    first = worker.replies[0]
    assert first == {"event": "ready", "pid": worker.process.pid, "version": __version__}


def test_environment_names_versions_and_devices(worker):
    found = worker.ask("environment")
    assert found["torch"] == found["packages"]["torch"] == torch.__version__
    assert found["packages"]["numpy"] == np.__version__
    assert found["missing"] == []
    assert found["broken"] == {}
    assert found["devices"][0] == {"name": "cpu", "label": found["devices"][0]["label"], "memory_bytes": None}
    assert found["auto"] in [device["name"] for device in found["devices"]]
    assert 1 <= found["default_threads"] <= found["cores"]


def test_a_checkpoint_is_described_without_its_weights(worker):
    path = worker.folder / "quick.safetensors"
    found = worker.ask("describe", checkpoint="quick.safetensors")
    document = {name: found.pop(name) for name in ("file", "name", "size_bytes")}
    assert document == {"file": str(path), "name": path.name, "size_bytes": path.stat().st_size}
    assert found == asdict(checkpoint.read_info(path))
    assert worker.ask("describe")["network"] == "stunet"


@pytest.mark.parametrize("given_mask", [True, False])
def test_opening_finds_frames_brain_and_bolus(worker, given_mask):
    series = make_case()
    changes = {} if given_mask else {"mask": None, "drop_frames": "auto"}
    found = worker.ask("open", **opening(series, "other", **changes))
    expected = prepare(series, mask=brain()) if given_mask else prepare(series)
    assert found["frames"] == series.frames
    assert found["dropped_frames"] == expected.dropped_frames == UNSTEADY
    assert found["baseline_frames"] == expected.bolus.arrival
    assert found["arrival_frame"] == UNSTEADY + expected.bolus.arrival
    assert found["peak_frame"] == UNSTEADY + expected.bolus.peak
    assert found["frame_interval_s"] == series.frame_interval
    assert found["brain_voxels"] == expected.brain.sum()
    np.testing.assert_array_equal(load(worker, found["brain"]), expected.brain)


def test_the_arterial_input_comes_from_where_it_is_said_to(worker, prepared):
    expected = automatic_aif(prepared)
    found = worker.ask("aif", series="head")
    assert found["curve"] == expected.curve.tolist()
    assert found["times"] == prepared.series.times.tolist()
    assert (found["source"], found["unit"]) == (expected.source, "1/s")
    np.testing.assert_array_equal(load(worker, found["voxels"]), expected.voxels)

    vessels = np.zeros(SHAPE, bool)
    vessels[1, 18:20, 10] = True
    np.save(worker.folder / "vessels.npy", vessels)
    found = worker.ask("aif", series="head", aif={"vessels": "vessels.npy"}, baseline="first")
    assert found["curve"] == aif_from_vessels(prepared, vessels, 1).curve.tolist()

    found = worker.ask("aif", series="head", aif={"voxels": [[1, 18, 10], [1, 19, 10]]})
    assert found["curve"] == aif_from_vessels(prepared, vessels).curve.tolist()
    assert found["source"] == "mean of 2 chosen voxels"
    assert found["voxel_count"] == 2


def test_white_matter_is_found_once_and_can_be_given(worker):
    found = worker.ask("white_matter", series="head")
    unit = blood_volume_unit(prepare(make_case(), mask=brain(), drop_frames=UNSTEADY))
    assert (found["source"], found["note"]) == (unit.source, unit.note)
    assert found["nawm"] is None, "tissue of one kind has no white matter"
    predicted = worker.ask("reference", series="head")
    assert predicted["nawm"] is None
    assert predicted["report"]["white_matter"]["source"] == "estimated"
    given = np.zeros(SHAPE, bool)
    given[1, 18:22, 10:14] = True
    np.save(worker.folder / "given.npy", given)
    predicted = worker.ask("reference", series="head", dose=0.5, nawm="given.npy")
    assert load(worker, predicted["ncbv"])[given].mean() == pytest.approx(1, abs=1e-5)
    assert predicted["report"]["white_matter"]["source"] == "given"


@pytest.mark.parametrize(("dose", "method"), [(1.0, "equation1"), (0.4, "noise-matched")])
def test_predict_is_the_command_line_s_prediction(worker, dose, method):
    settings = PredictionSettings(dose=dose, method=method, seed=9, drop_frames=UNSTEADY, stride=16)
    loaded = checkpoint.load(worker.folder / "quick.safetensors")
    case = predict_case(make_case(), loaded, settings, mask=brain())
    request = {"dose": dose, "method": method, "seed": 9, "stride": 16, "device": "cpu", "threads": 1}
    found = worker.ask("predict", series="head", checkpoint="quick.safetensors", **request)
    for name in ("cbv", "standardized", "uncertainty"):
        np.testing.assert_array_equal(load(worker, found[name]), getattr(case.map, name))
    np.testing.assert_array_equal(load(worker, found["closed_form"]), case.closed_form)
    normalized = normalized_prediction(case)
    for name, map_ in normalized.maps.items():
        np.testing.assert_array_equal(load(worker, found[name]), map_.values)
    assert found["nawm"] is None
    assert found["aif"]["curve"] == case.aif.curve.tolist()
    report = found["report"]
    assert report.pop("input") == case.prepared.series.name
    assert report.pop("seconds") == found["seconds"]
    assert report == json.loads(json.dumps(prediction_report(case, loaded, settings)))


def test_a_preview_of_all_slices_at_full_dose_is_the_prediction(worker):
    request = {"series": "head", "checkpoint": "quick.safetensors", "device": "cpu", "threads": 1}
    whole = worker.ask("predict", **request)
    number = worker.send("preview", slices=[0, 1, 2], **request)
    assert worker.wait_for(number, *FINAL)["event"] == "done"
    parts = [reply for reply in worker.replies if reply.get("id") == number and reply["event"] == "part"]
    assert [(part["stage"], part["slice"]) for part in parts] == [
        (stage, z) for stage in ("first", "exact") for z in range(3)
    ]
    assert {part["uncertainty_is"] for part in parts} == {whole["report"]["uncertainty_is"]}
    for part in parts[3:]:
        for name in ("cbv", "uncertainty", "closed_form"):
            np.testing.assert_array_equal(load(worker, part[name]), load(worker, whole[name])[part["slice"]])
    # The first round is coarse, and not something else.
    for first, exact in zip(parts[:2], parts[3:], strict=False):
        images = [load(worker, part["cbv"])[brain()[first["slice"]]] for part in (first, exact)]
        assert np.corrcoef(*images)[0, 1] > 0.98


def test_a_preview_of_one_slice_at_a_low_dose_is_close_to_the_prediction(worker, prepared):
    request = {"series": "head", "checkpoint": "quick.safetensors", "device": "cpu", "threads": 1}
    dose = {"dose": 0.5, "method": "noise-matched", "seed": 2}
    whole = worker.ask("predict", **request, **dose)
    number = worker.send("preview", slices=[1], **request, **dose)
    worker.wait_for(number, "done")
    exact = next(reply for reply in worker.replies if reply.get("id") == number and reply.get("stage") == "exact")
    inside = brain()[1]
    found, expected = load(worker, exact["cbv"]), load(worker, whole["cbv"])[1]
    assert np.abs(found - expected)[inside].mean() < 0.03 * expected[inside].mean()
    assert not found[~inside].any()
    # The closed form differs by the noise of the arterial curve alone, which is one factor.
    ratio = load(worker, exact["closed_form"])[inside] / load(worker, whole["closed_form"])[1][inside]
    assert ratio.std() < 1e-5
    assert ratio.mean() == pytest.approx(1, abs=0.03)


def test_a_slice_without_brain_is_previewed_as_nothing(worker):
    number = worker.send("preview", series="head", checkpoint="quick.safetensors", slices=[2], device="cpu")
    worker.wait_for(number, "done")
    parts = [reply for reply in worker.replies if reply.get("id") == number and reply["event"] == "part"]
    assert [part["stage"] for part in parts] == ["first", "exact"]
    assert not any(load(worker, part["cbv"]).any() for part in parts)


@pytest.mark.parametrize(
    ("settings", "dose"),
    [
        (ReferenceSettings(), 1.0),
        (ReferenceSettings(baseline="first"), 0.5),
        (ReferenceSettings(baseline=4, leakage_correction=True), 1.0),
    ],
)
def test_reference_is_the_command_line_s_reference(worker, prepared, settings, dose):
    expected = reference_case(lowered(prepared, dose, "noise-matched", 7), settings)
    found = worker.ask("reference", series="head", dose=dose, method="noise-matched", seed=7, **asdict(settings))
    assert found["maps"].keys() == expected.maps.keys()
    for name, told in found["maps"].items():
        np.testing.assert_array_equal(load(worker, told["file"]), expected.maps[name])
        assert told["unit"] == expected.units[name]
    described, report = describe_reference(expected, settings), found["report"]
    assert described.pop("notes") == report["notes"][:-1]
    # How good the series is was looked at when it was opened.
    assert described.pop("quality") is None
    assert report["quality"]["light"] in ("green", "yellow", "red")
    assert report["notes"][-1].startswith("Normal white matter was not found")
    assert described.items() <= report.items()
    np.testing.assert_array_equal(load(worker, found["aif"]["voxels"]), expected.aif.voxels)


def test_all_maps_are_those_of_the_command_line(worker, prepared):
    expected = reference_case(prepared, ReferenceSettings(all_maps=True)).maps
    found = worker.ask("reference", series="head", all_maps=True)["maps"]
    assert expected.keys() <= found.keys()
    assert found.keys() - expected.keys() == {"ncbv_corrected", "ncbv_corrected_bidirectional"}
    for name, values in expected.items():
        np.testing.assert_array_equal(load(worker, found[name]["file"]), values)


@pytest.mark.parametrize("method", ["equation1", "noise-matched"])
def test_low_dose_keeps_unsteady_frames(worker, prepared, method):
    found = load(worker, worker.ask("low_dose", series="head", dose=0.3, method=method, seed=4)["signal"])
    np.testing.assert_array_equal(found[:UNSTEADY], make_case().signal[:UNSTEADY])
    np.testing.assert_array_equal(found[UNSTEADY:], lowered(prepared, 0.3, method, 4).series.signal)
    assert found.dtype == np.float32


def test_a_region_is_measured_with_its_other_side(worker, prepared):
    region = np.zeros(SHAPE, bool)
    region[1, 18:23, 10:15] = True
    ncbv = np.where(brain(), 1 + 3 * region, 0).astype(np.float32)
    for name, values in (("ncbv", ncbv), ("sigma", 0.1 * ncbv), ("region", region), ("outside", ~brain())):
        np.save(worker.folder / f"{name}.npy", values)
    maps = {"ncbv": "ncbv.npy", "ncbv_uncertainty": "sigma.npy"}
    found = worker.ask("measure_region", series="head", maps=maps, region="region.npy", mirror=True)
    expected = region_numbers({"ncbv": ncbv, "ncbv_uncertainty": 0.1 * ncbv}, region, 0.02).as_json()
    assert found["numbers"]["ncbv"] == expected["ncbv"]
    assert found["numbers"]["hot_spot"]["value"] == pytest.approx(4)
    assert found["numbers"]["mirror"]["ncbv"]["value"] < 4
    np.testing.assert_array_equal(load(worker, found["files"]["tumor_burden"]) == 3, region)
    assert sum(found["histogram"]["shares"]["region"]) == pytest.approx(1)
    refused = worker.wait_for(worker.send("measure_region", series="head", maps=maps, region="outside.npy"), "failed")
    assert refused["message"].startswith("region: lies outside the brain")


def test_an_anatomy_is_registered_or_refused(worker, prepared):
    image = np.random.default_rng(0).random((2, 40, 36)).astype(np.float32)
    np.save(worker.folder / "anatomy.npy", image)
    matrix = make_case().grid.ijk_to_ras.tolist()
    number = worker.send("register_anatomy", series="head", image="anatomy.npy", ijk_to_ras=matrix, name="T1")
    refused = worker.wait_for(number, "failed")
    assert refused["message"] == "T1: has 2 slices, and 3 are needed; give a volume"


def test_compare_gives_the_scores(worker, prepared):
    reference = first_pass_cbv(prepared.series, prepared.bolus, automatic_aif(prepared).curve)
    values = reference + np.random.default_rng(0).normal(0, 0.01, SHAPE).astype(np.float32)
    tumor, nawm = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    tumor[1, 18:22, 10:14] = nawm[1, 18:22, 22:26] = True
    arrays = {"map": values, "reference": reference, "mask": brain(), "tumor": tumor, "nawm": nawm}
    for name, array in arrays.items():
        np.save(worker.folder / f"compared_{name}.npy", array)
    found = worker.ask("compare", **{name: f"compared_{name}.npy" for name in arrays})
    assert found == compare_maps(values, reference, brain(), tumor, nawm)


# --- What it refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "number", "sentence"),
    [
        (b"predict, please", None, "request: is no JSON"),
        (b"[1, 2]", None, "request: is no JSON object"),
        (b"\xff\xfe{}", None, "request: is no JSON"),
        (b"[" * 100_000, None, "request: is no JSON"),
        (b'{"do": "predict"}', None, "has no id"),
        (b'{"id": true, "do": "predict"}', None, "has no id"),
        (b'{"id": 900}', 900, "asks for null, which is not known; ask for environment"),
        (b'{"id": 901, "do": "dance"}', 901, 'asks for "dance", which is not known'),
        (b'{"id": 902, "do": ["open"]}', 902, "which is not known"),
        (b'{"id": 903, "do": "predict"}', 903, "predict: lacks the argument 'series'"),
        (b'{"id": 904, "do": "predict", "series": "head", "mood": 1}', 904, "predict: has no argument 'mood'"),
        (
            b'{"id": 905, "do": "predict", "series": "head", "dose": "half"}',
            905,
            "has a wrong value for 'dose': \"half\"",
        ),
        (
            b'{"id": 906, "do": "predict", "series": "head", "stride": true}',
            906,
            "has a wrong value for 'stride': true",
        ),
    ],
)
def test_what_is_no_request_is_said_in_one_sentence(worker, line, number, sentence):
    worker.poll()
    worker.replies.clear()
    worker.write(line)
    message = worker.wait_for(number, "failed")["message"]
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("do", "arguments", "sentence"),
    [
        ("aif", {"series": "closed"}, "series 'closed': is not open; open it first"),
        ("aif", {"series": "head", "aif": {"arm": 1}}, "is no source"),
        ("aif", {"series": "head", "aif": {"voxels": []}}, "has no list of voxels"),
        ("aif", {"series": "head", "aif": {"voxels": [[0, 0, 99]]}}, "has a voxel outside of the series"),
        ("aif", {"series": "head", "aif": {"vessels": "nowhere.npy"}}, "nowhere.npy: does not exist"),
        ("aif", {"series": "head", "baseline": 40}, "baseline: 40 frames reach into the bolus"),
        ("open", opening(make_case(), "x", signal="nowhere.npy"), "nowhere.npy: does not exist"),
        ("open", opening(make_case(), "x", signal="quick.safetensors"), "is no .npy file, or is damaged"),
        ("open", opening(make_case(), "x", signal="mask.npy"), "comes as an array of bool (3, 40, 36); give float32"),
        ("open", opening(make_case(), "x", times=[0, 1]), "has (2,) times"),
        ("open", opening(make_case(), "x", times=["noon"] * 52), "times or a matrix that are no numbers"),
        ("open", opening(make_case(), "x", ijk_to_ras=np.zeros((4, 4)).tolist()), "whose axes lie in one plane"),
        ("open", opening(make_case(), "x", echo_time=30.0), "has an echo time of 30 s"),
        ("open", opening(make_case(), "x", mask="flat.npy"), "brain mask: has (40, 36) voxels"),
        ("open", opening(make_case(), "x", drop_frames=51), "frames to leave out: 51 of 52 frames cannot be left out"),
        ("preview", {"series": "head", "slices": [3]}, "slices: [3] are not all among the 3 slices"),
        ("preview", {"series": "head", "slices": []}, "slices: [] are not all among"),
        ("preview", {"series": "head", "slices": ["middle"]}, "slices: ['middle'] are not all integers"),
        ("preview", {"series": "head", "slices": [1], "dose": 0}, "dose: 0 is not in (0, 1]"),
        ("predict", {"series": "head", "method": "magic"}, "there is no method 'magic'"),
        ("predict", {"series": "head", "device": "abacus"}, "device: 'abacus' cannot be used"),
        ("predict", {"series": "head", "threads": 0}, "threads: 0 threads compute nothing"),
        ("predict", {"series": "head", "stride": 0, "device": "cpu"}, "strip stride: 0 is not between 1 and"),
        (
            "predict",
            {"series": "head", "checkpoint": "cut.safetensors"},
            "cut.safetensors: is no .safetensors file, or is",
        ),
        ("predict", {"series": "head", "checkpoint": "mask.npy"}, "mask.npy: is no .safetensors file"),
        ("describe", {"checkpoint": "cut.safetensors"}, "cut.safetensors: is no .safetensors file, or is damaged"),
        ("compare", {"map": "mask.npy", "reference": "flat.npy", "mask": "mask.npy"}, "map: has (3, 40, 36) voxels"),
        ("low_dose", {"series": "head", "dose": 2}, "dose: 2 is not in (0, 1]"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_leaves_no_file(worker, do, arguments, sentence):
    whole = (worker.folder / "quick.safetensors").read_bytes()
    (worker.folder / "cut.safetensors").write_bytes(whole[:-40])
    np.save(worker.folder / "flat.npy", np.ones((40, 36), bool))
    reply = worker.answer(do, **arguments)
    assert reply["event"] == "failed"
    assert sentence in reply["message"]
    assert reply["message"] == f"{reply['subject']}: {reply['fact']}; {reply['way_out']}"
    assert "\n" not in reply["message"]
    assert not (worker.folder / str(reply["id"])).exists()
    assert worker.events_of(reply["id"]).count("log") == 0


def test_a_failure_names_the_setting_that_mends_it(worker):
    reply = worker.answer("predict", series="head", stride=0, device="cpu")
    assert (reply["subject_setting"], reply["settings"]) == (Setting.STRIDE.value, [])
    reply = worker.answer("open", **opening(make_case(), "late", times=[0.0] * make_case().frames))
    assert (reply["subject_setting"], reply["settings"]) == (None, [Setting.FRAME_INTERVAL.value])
    assert worker.answer("compare", map="none.npy", reference="none.npy", mask="none.npy")["settings"] == []


def test_a_series_that_failed_to_open_anew_is_closed(worker):
    worker.ask("open", **opening(make_case(), "again"))
    assert worker.answer("open", **opening(make_case(), "again", times=[0]))["event"] == "failed"
    assert "is not open" in worker.answer("aif", series="again")["message"]
    assert worker.ask("close", series="again") == {}


def test_a_series_whose_file_was_replaced_is_not_computed_with(worker):
    np.save(worker.folder / "changing.npy", make_case().signal)
    worker.ask("open", **opening(make_case(), "changing", signal="changing.npy"))
    np.save(worker.folder / "new.npy", make_case().signal[:-1])
    (worker.folder / "new.npy").replace(worker.folder / "changing.npy")
    assert "is not what it was when it was opened; open it again" in worker.answer("aif", series="changing")["message"]


def test_a_checkpoint_that_was_replaced_is_loaded_anew(worker):
    path = worker.folder / "changing.safetensors"
    path.write_bytes((worker.folder / "quick.safetensors").read_bytes())
    request = {"series": "head", "checkpoint": path.name, "device": "cpu", "threads": 1, "stride": 16}
    worker.ask("predict", **request)
    path.write_bytes(b"no checkpoint any more")
    assert "is no .safetensors file" in worker.answer("predict", **request)["message"]


# --- Calling off -----------------------------------------------------------------------------------------------------


def test_a_prediction_is_cancelled_in_its_middle_and_what_waits_at_once(worker):
    number = worker.send("predict", series="head", checkpoint="slow.safetensors", device="cpu", threads=1)
    waiting = worker.send("reference", series="head")
    worker.wait_for(number, "progress")
    worker.send("cancel", id=waiting)
    assert worker.wait_for(waiting, *FINAL)["event"] == "cancelled"
    assert not set(FINAL) & set(worker.events_of(number)), "what waits is answered before what runs"
    worker.send("cancel", id=number)
    assert worker.wait_for(number, *FINAL)["event"] == "cancelled"
    assert not (worker.folder / str(number)).exists()
    assert worker.ask("close", series="nothing") == {}
    assert worker.events_of(number).count("cancelled") == 1


def test_a_preview_is_superseded_by_the_next(worker):
    request = {"series": "head", "checkpoint": "slow.safetensors", "slices": [0, 1], "device": "cpu", "threads": 1}
    running = worker.send("preview", **request, dose=0.9)
    worker.wait_for(running, "part")
    waiting = worker.send("preview", **request, dose=0.8)
    last = worker.send("preview", **{**request, "checkpoint": "quick.safetensors"}, dose=0.7)
    assert worker.wait_for(last, *FINAL)["event"] == "done"
    assert worker.wait_for(running, *FINAL)["event"] == "cancelled"
    assert worker.wait_for(waiting, *FINAL)["event"] == "cancelled"
    assert "part" not in worker.events_of(waiting)
    assert not (worker.folder / str(running)).exists(), "the parts of a superseded preview are gone"
    assert len(list((worker.folder / str(last)).glob("*.npy"))) == 12


def test_jobs_that_are_no_previews_are_not_superseded(worker):
    first = worker.send("low_dose", series="head", dose=0.5)
    worker.send("preview", series="head", checkpoint="quick.safetensors", slices=[1], device="cpu")
    assert worker.wait_for(first, *FINAL)["event"] == "done"
