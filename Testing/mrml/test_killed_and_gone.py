"""What goes wrong in the middle of a run costs one sentence: no node, no file, and the next run works."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from mrml.cases import FAST, add_regions, add_series, node_ids, noisy_series
from stunet_perfusion.support.progress import Cancelled

#: Slices enough that no computer is done with them before it is interrupted.
LARGE = (60, 24, 20)


@pytest.fixture
def own(scene):
    """A logic of our own, whose worker is ours to kill."""
    from StUNetPerfusionLib.logic import PerfusionLogic

    logic = PerfusionLogic()
    yield logic
    logic.stop()


def poll_until(logic, run, moment) -> None:
    """Poll until `moment()` is true; the run must still be going on then."""
    while not moment():
        logic.poll()
        assert run.running, run.sentence or "it was done before it could be interrupted"
        time.sleep(0.002)


def finish(logic, run) -> None:
    while run.running:
        logic.poll()
        time.sleep(0.002)


def at_share(run, share: float):
    """A moment: the run has told that so much of it is done. How often it tells depends on the computer."""
    told = []
    run.onProgress = lambda fraction, message: told.append(fraction)
    return lambda: bool(told) and told[-1] >= share


def at_time(run, seconds: float):
    """A moment: so long after now."""
    then = time.monotonic() + seconds
    return lambda: time.monotonic() >= then


def series_files(logic) -> set[str]:
    """What is in the session folder besides the copy of the series and the worker's talk."""
    return {
        str(path.relative_to(logic._worker.folder))
        for path in logic._worker.folder.rglob("*")
        if path.is_file() and not path.name.startswith(("input-", "replies-", "worker.log"))
    }


#: 20 moments: in the start of the worker and while torch is loaded, while the series is opened, and in the network.
MOMENTS = [
    *((at_time, 0.1 * step) for step in range(12)),
    *((at_share, share) for share in (0.0, 0.05, 0.1, 0.15, 0.3, 0.5, 0.7, 0.9)),
]


def test_there_are_20_moments():
    assert len(MOMENTS) == 20


def test_a_worker_that_is_killed_costs_one_sentence(scene, own, small_checkpoint):
    """SIGKILL at 20 moments, each followed by something that works."""
    node = add_series(scene, noisy_series(shape=LARGE))
    before, sentences = node_ids(scene), []
    for moment, argument in MOMENTS:
        run = own.predict(node, checkpoint=small_checkpoint, device="cpu", threads=1, waitForCompletion=False)
        reached = moment(run, argument)
        poll_until(own, run, lambda reached=reached: own._worker.alive and reached())
        os.kill(own._worker.pid, 9)
        finish(own, run)

        assert run.state == "failed"
        sentences.append(run.sentence)
        assert node_ids(scene) == before, f"killed after {argument}"
        assert not own.busy
        assert own.openInput(node).arrival == 10
        assert series_files(own) <= {f"{number}/brain.npy" for number in range(200)}
    assert set(sentences) == {
        "The worker process ended unexpectedly, so nothing was added to the scene; run again to start a new one."
    }
    assert own.computeReference(node).cbv is not None


def test_apply_killed_between_prediction_and_reference_leaves_nothing(scene, own, small_checkpoint):
    node = add_series(scene)
    before = node_ids(scene)
    run = own.apply(node, 0.5, checkpoint=small_checkpoint, waitForCompletion=False, **FAST)
    poll_until(own, run, lambda: run.fraction >= 0.85)
    os.kill(own._worker.pid, 9)
    finish(own, run)
    assert run.state == "failed"
    assert node_ids(scene) == before
    own.apply(node, 0.5, checkpoint=small_checkpoint, **FAST)


def test_closing_the_scene_in_mid_run_ends_it_quietly(scene, perfusion, small_checkpoint):
    perfusion.openInput(add_series(scene))
    scene.Clear(0)
    node = add_series(scene)
    run = perfusion.apply(node, 0.5, checkpoint=small_checkpoint, waitForCompletion=False, **FAST)
    del node
    poll_until(perfusion, run, lambda: run.fraction > 0.02)
    scene.Clear(0)
    empty = node_ids(scene)
    # The first series of the next patient gets the ID that the old one had.
    other = add_series(scene, noisy_series(seed=1), "somebody else")
    finish(perfusion, run)
    assert run.state == "failed"
    assert (
        run.sentence
        == "patient: was removed from the scene, so nothing was added to it; choose a series, and run again"
    )
    assert node_ids(scene) - empty == {other.GetID()}


def test_deleting_the_input_in_mid_run_ends_it_quietly(scene, perfusion, small_checkpoint):
    for job, arguments in (
        ("predict", {"checkpoint": small_checkpoint, **FAST}),
        ("computeReference", {}),
        ("lowDose", {"dose": 0.5}),
    ):
        node = add_series(scene)
        run = getattr(perfusion, job)(node, waitForCompletion=False, **arguments)
        scene.RemoveNode(node)
        without = node_ids(scene)
        finish(perfusion, run)
        assert run.state == "failed"
        assert "was removed from the scene" in run.sentence
        assert node_ids(scene) == without


def test_deleting_what_is_compared_in_mid_run(scene, perfusion):
    node = add_series(scene)
    found = perfusion.computeReference(node)
    run = perfusion.compare(found.cbv, found.mtt, waitForCompletion=False)
    scene.RemoveNode(found.cbv)
    without = node_ids(scene)
    finish(perfusion, run)
    assert run.state == "failed"
    assert node_ids(scene) == without


def test_cancel_leaves_nothing_and_the_next_run_works(scene, perfusion, small_checkpoint):
    node = add_series(scene, noisy_series(shape=LARGE))
    before = node_ids(scene)
    run = perfusion.predict(node, waitForCompletion=False, threads=1, device="cpu")
    poll_until(perfusion, run, lambda: run.fraction > 0.1)
    assert run.remainingSeconds > 0
    run.cancel()
    with pytest.raises(Cancelled, match="nothing was added"):
        run.wait()
    assert run.state == "cancelled"
    assert node_ids(scene) == before
    generation = perfusion._worker.generation
    assert perfusion.predict(node, checkpoint=small_checkpoint, **FAST).cbv is not None
    assert perfusion._worker.generation == generation, "cancelling does not cost the worker"


def test_cancel_before_anything_was_asked(scene, perfusion):
    run = perfusion.computeReference(add_series(scene), waitForCompletion=False)
    run.cancel()
    before = node_ids(scene)
    finish(perfusion, run)
    assert run.state == "cancelled"
    assert node_ids(scene) == before


def test_stop_cancels_what_runs(scene, own):
    node = add_series(scene, noisy_series(shape=LARGE))
    ended = []
    run = own.predict(node, waitForCompletion=False, device="cpu")
    run.onFinished = ended.append
    poll_until(own, run, lambda: own._worker.alive)
    folder = own._worker.folder
    own.stop()
    assert [one.state for one in ended] == ["cancelled"]
    assert not folder.exists()
    assert not own.busy


def test_runs_one_after_the_other_and_in_callbacks(scene, perfusion):
    """A finished run begins the next and waits for it, from within the poll that ended it."""
    node = add_series(scene)
    found = []
    first = perfusion.computeReference(node, waitForCompletion=False)
    beside = perfusion.arterialInput(node, waitForCompletion=False)
    first.onFinished = lambda run: found.append(perfusion.computeReference(node, dose=0.5))
    finish(perfusion, first)
    finish(perfusion, beside)
    assert beside.result.curve.shape == (40,)
    assert found[0].cbv.GetName() == "patient reference CBV at 50 %"


def test_the_series_is_copied_once_and_again_when_it_changes(scene, perfusion):
    import slicer

    node = add_series(scene, name="changing")
    opened = perfusion.openInput(node)
    assert perfusion.openInput(node) is opened
    assert perfusion.openedInput(node) is opened
    assert perfusion.openedInput(node, dropFrames=2) is None
    volume = node.GetNthDataNode(5)
    slicer.util.arrayFromVolume(volume)[:] += 1
    slicer.util.arrayFromVolumeModified(volume)
    assert perfusion.openedInput(node) is None
    again = perfusion.openInput(node)
    np.testing.assert_allclose(again.series.signal[5] - opened.series.signal[5], 1, atol=1e-3)
    assert not again.series.signal.flags.writeable


def test_copies_of_series_do_not_pile_up(scene, perfusion):
    for number in range(4):
        perfusion.openInput(add_series(scene, noisy_series(seed=number), f"patient {number}"))
    assert len(list(perfusion._worker.folder.glob("input-*.npy"))) <= 2


def test_a_mask_that_the_user_drew_is_the_brain(scene, perfusion):
    node, segmentation = add_series(scene), add_regions(scene)
    opened = perfusion.openInput(node, mask=(segmentation, "white matter"))
    assert opened.brain.sum() == 2 * 12 * 6
    assert perfusion.computeReference(node, mask=(segmentation, "white matter")).cbv is not None
