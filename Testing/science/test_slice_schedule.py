"""Slices of a case go through the network several at a time or one by one, to the same end."""

from __future__ import annotations

import threading

import pytest
import torch

from stunet_perfusion.inference import slice_schedule
from stunet_perfusion.inference.slice_schedule import each_slice, slices_at_a_time
from stunet_perfusion.support.threads import torch_threads

SLICES = [3, 4, 6, 7, 9]


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_every_slice_is_made_predicted_and_finished_once(threads, device):
    finished = []
    done = each_slice(SLICES, lambda z: 10 * z, lambda made: made + 1, lambda *told: finished.append(told), device)
    assert list(done) == SLICES
    assert sorted(finished) == [(z, 10 * z, 10 * z + 1) for z in SLICES]


def test_on_the_cpu_as_many_slices_as_threads_are_in_the_network_each_with_its_share(threads):
    together, told = threading.Barrier(threads), []

    def predict(made):
        together.wait()
        told.append(torch.get_num_threads())

    list(each_slice(range(2 * threads), lambda z: z, predict, lambda *_: None))
    assert told == [1] * 2 * threads
    assert torch.get_num_threads() == threads, "as before"


def test_threads_are_shared_where_slices_are_fewer(monkeypatch):
    monkeypatch.setattr(slice_schedule, "threads_here", lambda: 3)
    assert slices_at_a_time(20) == 3
    assert slices_at_a_time(2) == 2
    assert slices_at_a_time(20, "cuda:0") == 1
    monkeypatch.setattr(slice_schedule, "threads_here", lambda: 64)
    assert slices_at_a_time(20) == slice_schedule.MOST_SLICES_AT_A_TIME
    told, later = [], []
    with torch_threads(6):
        list(each_slice([0, 1], lambda z: z, lambda _: told.append(torch.get_num_threads()), lambda *_: None))
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    assert later == [6], "threads that begin later are told nothing of the share"
    assert told == [3, 3]


@pytest.mark.parametrize("stage", ["make", "predict", "finish"])
def test_an_error_of_any_stage_comes_out(threads, stage):
    begun = []

    def at(name):
        def work(*told):
            begun.append(name)
            if name == stage and begun.count(name) == 2:
                raise ValueError(name)

        return work

    with pytest.raises(ValueError, match=stage):
        list(each_slice(range(1000), at("make"), at("predict"), at("finish")))
    assert stage == "finish" or begun.count("make") < 1000
