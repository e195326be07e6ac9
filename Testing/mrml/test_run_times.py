"""How long the next run will take, learned from the last ones."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")


def test_nothing_is_known_at_first(tmp_path):
    from StUNetPerfusionLib.process.runTimes import FileStore, RunTimes

    assert RunTimes(FileStore(tmp_path / "times.json")).estimate("cpu", "abc", 20, 1) is None


def test_time_grows_with_the_slices_and_survives_the_session(tmp_path):
    from StUNetPerfusionLib.process.runTimes import FileStore, RunTimes

    RunTimes(FileStore(tmp_path / "times.json")).record("cpu", "abc", slices=20, stride=1, seconds=60)
    known = RunTimes(FileStore(tmp_path / "times.json"))
    assert known.estimate("cpu", "abc", 30, 1) == pytest.approx(90)
    for other in (("cuda:0", "abc", 1), ("cpu", "xyz", 1), ("cpu", "abc", 8)):
        device, checkpoint, stride = other
        assert known.estimate(device, checkpoint, 30, stride) is None


def test_the_newest_run_counts_most(tmp_path):
    from StUNetPerfusionLib.process.runTimes import FileStore, RunTimes

    times = RunTimes(FileStore(tmp_path / "times.json"))
    times.record("cpu", "abc", 10, 1, 100)
    times.record("cpu", "abc", 10, 1, 20)
    assert times.estimate("cpu", "abc", 10, 1) == pytest.approx(60)
    for _ in range(10):
        times.record("cpu", "abc", 10, 1, 20)
    assert times.estimate("cpu", "abc", 10, 1) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", '{"cpu abc 1": "fast"}', '{"cpu abc 1": -3}'])
def test_a_damaged_store_is_an_empty_one(tmp_path, text):
    from StUNetPerfusionLib.process.runTimes import FileStore, RunTimes

    (tmp_path / "times.json").write_text(text)
    times = RunTimes(FileStore(tmp_path / "times.json"))
    assert times.estimate("cpu", "abc", 10, 1) is None
    times.record("cpu", "abc", 10, 1, 30)
    assert times.estimate("cpu", "abc", 10, 1) == pytest.approx(30)


def test_only_the_last_ones_are_kept(tmp_path):
    from StUNetPerfusionLib.process.runTimes import FileStore, RunTimes

    times = RunTimes(FileStore(tmp_path / "times.json"))
    for number in range(30):
        times.record("cpu", f"checkpoint-{number}", 10, 1, 10)
    assert times.estimate("cpu", "checkpoint-0", 10, 1) is None
    assert times.estimate("cpu", "checkpoint-29", 10, 1) == pytest.approx(10)


def test_a_prediction_is_remembered(scene, perfusion, small_checkpoint):
    from mrml.cases import FAST, add_series

    node = add_series(scene)
    perfusion.predict(node, checkpoint=small_checkpoint, **FAST)
    assert perfusion.estimateSeconds(node, "cpu", small_checkpoint, stride=8) > 0
    assert perfusion.estimateSeconds(node, "cuda:0", small_checkpoint, stride=8) is None
    assert perfusion.estimateSeconds(node, "cpu", "/nowhere.safetensors", stride=8) is None
