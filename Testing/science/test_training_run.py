"""A whole training: what it writes, that a kill costs an epoch at most, and who is trained on."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from science.small_cases import SHAPE, write_small_case
from science.synthetic import head_of
from stunet_perfusion.cases import write_cases
from stunet_perfusion.cli import main
from stunet_perfusion.inference.box import into_box, square_box
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.networks.quantities import MAPS, SIGNAL, TARGET_OF, Z_SCORE
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.background import in_background, one_ahead
from stunet_perfusion.training.fixed_phantoms import FixedPhantomLessons
from stunet_perfusion.training.phantom_cases import PhantomLessons, PhantomSource, random_phantom
from stunet_perfusion.training.run import network_of, run_training
from stunet_perfusion.training.scanned_cases import CaseLessons, find_cases, hold_out, open_case
from stunet_perfusion.training.settings import DoseSettings, read_settings
from stunet_perfusion.training.state import load_state
from stunet_perfusion.training.validation import mean_by_dose, validate
from stunet_perfusion.writing import write_map

SETTINGS = """
[network]
name = "hess"
arguments = {sequence_widths = [2, 2, 2, 2]}
size = 32
[strips]
rows = 16
together = 2
[cases]
table = "cases"
[optimization]
epochs = 4
batch = 4
schedule = "cosine"
[validation]
strip_step = 16
doses = [1, 0.5]
[computing]
device = "cpu"
workers = 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three small cases to train on, one to validate with, and settings."""
    place = tmp_path_factory.mktemp("training")
    parts = ["train", "train", "train", "validation", "test"]
    cases = [replace(write_small_case(place / "cases", f"c{n}", n), part=part) for n, part in enumerate(parts)]
    write_cases(place / "cases" / "cases.csv", cases)
    (place / "settings.toml").write_text(SETTINGS, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def whole(folder):
    """A training that nobody disturbed."""
    told = []
    history = run_training(read_settings(folder / "settings.toml"), folder / "whole.safetensors", tell=told.append)
    return history, told


def weights(path):
    return checkpoint.load(path).network.state_dict()


def assert_same_weights(one, other):
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(other)[name]), name


def test_best_and_last_checkpoint_log_and_state_are_written(folder, whole):
    history, told = whole
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    assert told[0] == "Training on 3 cases (c0, c1, c2); validating on 1 case (c3); left for a test: 1 case (c4)."
    assert len(told) == 1 + 4
    assert "waiting for strips" in told[1]
    last = checkpoint.load(folder / "whole.last.safetensors").info
    best = checkpoint.load(folder / "whole.safetensors").info
    assert (last.input.quantity, last.target, last.strip.rows) == (SIGNAL, Z_SCORE, 16)
    mean_l2 = [np.mean([score["l2"] for score in entry["scores"].values()]) for entry in history]
    assert best.training["epochs"] == int(np.argmin(mean_l2)) + 1
    assert best.scores["by_dose"] == history[int(np.argmin(mean_l2))]["scores"]
    assert last.training["epochs"] == 4
    assert last.training["strips"] == sum(entry["strips"] for entry in history)
    assert last.training["settings"]["optimization"]["epochs"] == 4
    assert len(last.training["table_sha256"]) == 64
    assert str(folder) not in str(last), "where data are is nobody's business"
    with open(folder / "whole.log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [entry["loss"] for entry in history]
    assert float(rows[3]["l2 at 0.5"]) == history[3]["scores"]["0.5"]["l2"]
    # Half a cosine over 4 epochs has hardly anything left in the last step.
    assert float(rows[3]["learning_rate"]) < 2e-5


def test_a_network_that_is_to_correct_begins_with_the_fit(folder):
    """It predicts 0 at first; one that is to predict everything does not, or would learn nothing."""
    stunet = {"network.name": "stunet", "network.arguments": {"widths": [2, 2, 2, 2]}}
    for quantity, silent in (("curves-and-fit", True), ("signal", False)):
        planes = 64 + MAPS[quantity]
        strips = torch.randn(2, planes, 16, 32, generator=torch.Generator().manual_seed(0))
        network, info = network_of(read_settings(folder / "settings.toml", stunet | {"network.input": quantity}))
        assert bool((network.eval()(strips) == 0).all()) == silent
        assert info.target == TARGET_OF[quantity]


def test_a_network_that_says_the_same_everywhere_is_scored_all_the_same(folder):
    network, info = network_of(read_settings(folder / "settings.toml", {}))
    torch.nn.init.zeros_(network.head.weight)
    case = next(case for case in find_cases(folder / "cases", (1, 1, 1), 0) if case.part == "validation")
    held_out = hold_out(case, "reference", "equation1", 2)
    assert len(held_out.brain) == 2, "every other of three slices"
    (score,) = validate(checkpoint.Checkpoint(info, network.eval(), "silent"), [held_out], doses=[1.0])
    # z-scores have a mean square of 1, less what is cut off.
    assert score.l2 == pytest.approx(1, abs=0.05)
    assert np.isnan(score.correlation), "a constant has no correlation, and rounding of it none that counts"
    assert mean_by_dose([score])["1"]["correlation"] is None
    assert mean_by_dose([score, replace(score, correlation=0.5)])["1"]["correlation"] == 0.5


def test_a_finished_training_is_not_trained_again(folder, whole):
    before = (folder / "whole.state").stat().st_mtime_ns
    again = run_training(read_settings(folder / "settings.toml"), folder / "whole.safetensors")
    assert again == whole[0]
    assert (folder / "whole.state").stat().st_mtime_ns == before


#: A training that halts in the second step after its first state is written, so that it can be killed there.
HALTING = """
import sys, time
from pathlib import Path
from stunet_perfusion.cli import main
from stunet_perfusion.training import loop
state, make_step, steps = Path(sys.argv[1]), loop._step, []
def step(*arguments):
    if state.exists():
        steps.append(len(steps))
    if len(steps) == 2:
        print("in the middle of an epoch", flush=True)
        time.sleep(1e6)
    return make_step(*arguments)
loop._step = step
sys.exit(main(sys.argv[2:]))
"""


def test_a_kill_at_any_moment_costs_an_epoch_at_most(folder):
    """SIGKILL while a later epoch is trained: the same command gives the same weights, bit for bit.

    All in processes of their own: what other tests have done to torch in this one may round sums otherwise.
    """

    def command(output: Path) -> list[str]:
        return [sys.executable, "-m", "stunet_perfusion", "train", str(folder / "settings.toml"), "-o", str(output)]

    undisturbed, output = folder / "undisturbed.safetensors", folder / "killed.safetensors"
    subprocess.run(command(undisturbed), check=True, capture_output=True)
    words = [sys.executable, "-c", HALTING, str(output.with_suffix(".state")), *command(output)[3:]]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in the middle of an epoch\n", process.communicate()
    process.kill()
    process.communicate()
    settings = read_settings(folder / "settings.toml")
    state = load_state(output.with_suffix(".state"), settings.document())
    assert state.epochs == 1
    assert [entry["epoch"] for entry in state.history] == list(range(1, state.epochs + 1))
    resumed = subprocess.run(command(output), check=True, capture_output=True, text=True)
    assert f"Going on after epoch {state.epochs} of 4." in resumed.stdout + resumed.stderr
    histories = [load_state(path.with_suffix(".state"), settings.document()).history for path in (undisturbed, output)]
    for name in ("loss", "strips", "scores", "learning_rate"):
        assert [entry[name] for entry in histories[0]] == [entry[name] for entry in histories[1]]
    assert_same_weights(output.with_suffix(".last.safetensors"), undisturbed.with_suffix(".last.safetensors"))
    assert_same_weights(output, undisturbed)


def test_other_settings_do_not_go_on_but_another_device_does(folder, whole, capsys):
    words = ["train", str(folder / "settings.toml"), "--output", str(folder / "whole.safetensors")]
    assert main([*words, "--batch", "2"]) == 2
    assert "was trained with optimization.batch 4, not 2; give the settings of before, or begin again (--restart)" in (
        capsys.readouterr().err
    )
    assert main([*words, "--workers", "1", "--json"]) == 0
    (folder / "broken.state").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no state of a training"):
        load_state(folder / "broken.state", {})


def test_cases_that_are_prepared_in_the_background_train_the_same_network(folder, whole):
    settings = read_settings(folder / "settings.toml", {"computing.workers": 2, "optimization.schedule": "cosine"})
    output = folder / "background.safetensors"
    history = run_training(settings, output)
    assert [entry["loss"] for entry in history] == [entry["loss"] for entry in whole[0]]
    assert_same_weights(output.with_suffix(".last.safetensors"), folder / "whole.last.safetensors")


@pytest.mark.parametrize("network", ["stunet", "ulas"])
def test_the_command_trains_every_network(folder, network, capsys):
    words = ["train", str(folder / "settings.toml"), "--network", network, "--widths", "2,2,2,2", "--epochs", "1"]
    changes = ["--set", "optimization.loss=robust", "--set", "validation.every=5"]
    words += [*changes, "--set", "strips.padding=context", "--set", "strips.step=16", "--set", "cases.slice_step=3"]
    output = folder / f"{network}.safetensors"
    assert main([*words, "--output", str(output)]) == 0
    assert "epoch 1 of 1" in capsys.readouterr().err
    info = checkpoint.load(output).info
    assert (info.network, info.strip.padding) == (network, "context")
    assert info.training["loss"] == "L2 over the brain, L1 where it is far off"
    assert set(info.scores["by_dose"]) == {"1", "0.5"}, "the last epoch is always validated"


def test_a_bad_file_is_one_sentence_though_another_process_read_it(folder, tmp_path, capsys):
    cases = [case for case in find_cases(folder / "cases", (1, 1, 1), 0) if case.part == "train"]
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    write_cases(tmp_path / "cases.csv", [replace(cases[0], series=tmp_path / "bad.nii.gz")])
    words = ["train", str(folder / "settings.toml"), "--cases", str(tmp_path / "cases.csv"), "--workers", "1"]
    assert main([*words, "--output", str(tmp_path / "a.safetensors")]) == 2
    counted, error = capsys.readouterr().err.splitlines()
    assert counted == "Training on 1 case (c0); validating on none; left for a test: none."
    assert error.startswith("error: ")
    assert "bad.nii.gz" in error
    assert not (tmp_path / "a.safetensors").exists()


def test_folders_of_phantoms_are_cases_too_and_persons_are_split_as_in_the_paper(folder, tmp_path):
    for n in range(49):
        (tmp_path / "many" / f"p{n:02d}").mkdir(parents=True)
        (tmp_path / "many" / f"p{n:02d}" / "dsc.nii.gz").touch()
    (tmp_path / "many" / "p00" / "truth_cbv.nii.gz").touch()
    cases = find_cases(tmp_path / "many", (25, 12, 12), 0)
    counts = [sum(case.part == part for case in cases) for part in ("train", "validation", "test")]
    assert counts == [25, 12, 12]
    assert dict(cases[0].files) == {"truth": tmp_path / "many" / "p00" / "truth_cbv.nii.gz"}
    assert [case.part for case in find_cases(folder / "cases", (1, 1, 1), 0)][-1] == "test", "the table's own"
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"has neither a cases\.csv nor folders with dsc\.nii\.gz"):
        find_cases(tmp_path / "none", (25, 12, 12), 0)


def test_the_target_is_the_map_that_a_case_has_else_its_closed_form(folder, tmp_path):
    case = find_cases(folder / "cases", (1, 1, 1), 0)[0]
    prepared, closed_form, brain = open_case(case, "reference")
    assert np.array_equal(brain, head_of(SHAPE))
    # Peak and area of delta R2* fall to a half from the left to the right (`make_series`): so does the map.
    left, right = closed_form[1, 18:22, 6:9].mean(), closed_form[1, 18:22, -9:-6].mean()
    assert 1.4 < left / right < 2.2
    truth = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    write_map(tmp_path / "truth.nii.gz", truth, prepared.series.grid)
    with_truth = replace(case, files={**case.files, "truth": tmp_path / "truth.nii.gz"})
    np.testing.assert_allclose(open_case(with_truth, "truth")[1], truth, atol=1e-6)
    with pytest.raises(InputError, match="has no true CBV"):
        open_case(case, "truth")


def test_a_case_is_seen_at_another_dose_in_every_epoch_and_the_same_when_asked_again(folder):
    cases = tuple(case for case in find_cases(folder / "cases", (1, 1, 1), 0) if case.part == "train")
    recipe = checkpoint.NetworkInput(size=32)
    lessons = CaseLessons(cases, "reference", 0, recipe, DoseSettings("noise-matched"), 3)
    first, again, later = lessons.make(0, 0), lessons.make(0, 0), lessons.make(1, 0)
    np.testing.assert_array_equal(first.signals, again.signals)
    assert not np.array_equal(first.signals, later.signals)
    # Over an epoch everybody comes once: the targets, which no dose changes, are those of all cases.
    for epoch in (0, 1):
        targets = {lessons.make(epoch, number).targets.tobytes() for number in range(3)}
        assert len(targets) == 3
    one_dose = CaseLessons(cases[:1], "reference", 0, recipe, DoseSettings("equation1", shares=(1.0,)), 3)
    np.testing.assert_array_equal(one_dose.make(0, 0).signals, one_dose.make(1, 0).signals)


def test_a_phantom_is_another_in_every_epoch():
    lessons = PhantomLessons(PhantomSource(("mni",)), 2, 0, checkpoint.NetworkInput(size=32), DoseSettings(), 8)
    first, later = lessons.make(0, 0), lessons.make(1, 0)
    assert first.targets.shape[1:] == (32, 32)
    assert not np.array_equal(first.targets[0], later.targets[0])


def test_fixed_persons_are_the_same_in_every_epoch_at_another_dose_and_in_other_slices():
    dose = DoseSettings("equation1", shares=(0.5,))
    lessons = FixedPhantomLessons(
        PhantomSource(("mni",)), 2, 0, checkpoint.NetworkInput(size=32), dose, 8, "reference", slices=1
    )
    everything = replace(lessons, slices=0)
    person = lessons.make(0, 0)
    whole = everything.make(3, 0)
    assert person.targets.shape == (1, 32, 32)
    assert len(whole.targets) > 1
    seen = [n for n, target in enumerate(whole.targets) if np.array_equal(target, person.targets[0])]
    assert len(seen) == 1, "one of the person's own slices, with its target"
    np.testing.assert_array_equal(person.signals[0], whole.signals[seen[0]])
    np.testing.assert_array_equal(person.signals, lessons.make(0, 0).signals)
    drawn = {lessons.make(epoch, 0).targets.tobytes() for epoch in range(12)}
    assert drawn <= {target[None].tobytes() for target in whole.targets}
    assert len(drawn) > 1
    assert not np.array_equal(everything.make(0, 1).targets[0], whole.targets[0]), "another person"
    lower = replace(everything, dose=DoseSettings("equation1", shares=(1.0,))).make(3, 0)
    np.testing.assert_array_equal(lower.targets, whole.targets)
    assert not np.array_equal(lower.signals, whole.signals)


def test_a_phantom_may_be_taught_as_in_the_paper_with_what_verbena_makes_of_it():
    """S0 from the first frame, over all frames, at full dose: computed here by hand from the phantom's own scan."""
    source, recipe = PhantomSource(("mni",)), checkpoint.NetworkInput(size=32)
    lessons = PhantomLessons(source, 1, 0, recipe, DoseSettings("equation1", shares=(0.5,)), 8, "reference")
    made = lessons.make(0, 0)
    phantom, _ = random_phantom(source, (0, 0, 0, 0), 8)
    prepared = prepare(phantom.series())
    signal = prepared.series.signal
    area = -np.log(np.maximum(signal / np.maximum(signal[0], 1e-9), 1e-9)).sum(axis=0)
    box = square_box(prepared.brain, prepared.series.grid.spacing, 32)
    inside = made.brain[1] & (np.abs(made.targets[1]) < 4)
    z = np.flatnonzero(phantom.mask.any(axis=(1, 2)))[1]
    taught, computed = made.targets[1][inside], into_box(box, np.clip(area[z], -1e3, 1e3))[inside]
    assert np.corrcoef(taught, computed)[0, 1] > 0.999
    truth = into_box(box, phantom.cbv[z])[inside]
    assert np.corrcoef(taught, truth)[0, 1] < 0.98


def doubled(number, refuse=()):
    if number in refuse:
        raise InputError(f"number {number}", "is refused", "give another")
    return 2 * number


def refusing(number):
    return doubled(number, refuse=(2,))


def leaving(number):
    os._exit(3)


def test_results_come_in_order_and_refusals_and_deaths_as_sentences():
    jobs = [(number,) for number in range(4)]
    assert list(in_background(doubled, jobs, 0, 2)) == [0, 2, 4, 6]
    assert list(in_background(doubled, jobs, 1, 2)) == [0, 2, 4, 6]
    results = in_background(refusing, jobs, 1, 3)
    assert [next(results), next(results)] == [0, 2]
    with pytest.raises(InputError, match="number 2: is refused; give another"):
        next(results)
    with pytest.raises(InputError, match="a process that prepares cases ended, probably for want of memory"):
        list(in_background(leaving, jobs, 1, 1))


def test_a_thread_makes_items_ahead_and_passes_errors_on():
    assert list(one_ahead(range(5))) == [0, 1, 2, 3, 4]

    def failing():
        yield 1
        raise InputError("here", "it ends", "begin again")

    items = one_ahead(failing())
    assert next(items) == 1
    with pytest.raises(InputError, match="it ends"):
        next(items)
    endless = one_ahead(iter(int, 1))
    assert next(endless) == 0
    endless.close()
