"""How a case's seconds are told by its stages; what is measured is no matter of tests."""

import threading

import numpy as np

from science.synthetic import head_of, make_series
from stunet_perfusion.benchmarks import case
from stunet_perfusion.benchmarks.case import StageClock
from stunet_perfusion.inference.predict import PredictionSettings, predict_prepared
from stunet_perfusion.inference.strips import predict_slice
from stunet_perfusion.networks.checkpoint import load
from stunet_perfusion.networks.quantities import MAPS
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.resources import shipped_checkpoint


def test_a_stage_has_the_time_between_its_words_and_the_next_without_what_runs_inside(monkeypatch):
    moments = iter([0.0, 1.0, 3.0, 10.0, 16.0, 20.0, 21.0])
    monkeypatch.setattr(case, "perf_counter", lambda: next(moments))
    clock = StageClock()
    clock.enter("Looking")
    clock.progress(0.0, "Predicting slice 1 of 2")
    assert clock.around("Network", lambda value: value + 1)(1) == 2
    clock.progress(0.5, "Predicting slice 2 of 2")
    clock.enter("")
    # Looking 1-3; predicting 3-10 and 16-21; the network 10-16.
    assert clock.seconds == {"Looking": 2.0, "Predicting slice": 12.0, "Network": 6.0}


def test_a_stage_in_several_threads_lasts_while_any_of_them_is_in_it(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(case, "perf_counter", lambda: now[0])
    clock = StageClock()
    clock.enter("Predicting")
    begun, may_end = threading.Semaphore(0), [threading.Event(), threading.Event()]

    def network(slice_number):
        begun.release()
        may_end[slice_number].wait(20)

    timed = clock.around("Network", network)
    threads = [threading.Thread(target=timed, args=(number,)) for number in (0, 1)]
    for thread, moment in zip(threads, (2.0, 3.0), strict=True):
        now[0] = moment
        thread.start()
        begun.acquire()
    clock.enter("Waiting")
    for thread, event, moment in zip(threads, may_end, (5.0, 9.0), strict=True):
        now[0] = moment
        event.set()
        thread.join()
    now[0] = 10.0
    clock.enter("")
    # Before the network 0-2; one slice in it 2-5, the other 3-9; after it 9-10.
    assert clock.seconds == {"Predicting": 2.0, "Network": 7.0, "Waiting": 1.0}


def test_every_slice_with_brain_passes_the_function_that_is_measured():
    series, brain = make_series(frames=60, shape=(3, 40, 36), noise=1.0), head_of((3, 40, 36)).copy()
    brain[2] = False
    calls = []

    def counted(*args, **kwargs):
        calls.append(args[1].shape)
        return predict_slice(*args, **kwargs)

    clock = StageClock()
    checkpoint = load(shipped_checkpoint())
    predict_prepared(
        prepare(series, mask=brain),
        checkpoint,
        PredictionSettings(dose=0.5, stride=16),
        predict=clock.around("Network", counted),
        progress=clock.progress,
    )
    wanted = checkpoint.info.input
    planes = wanted.frames + MAPS[wanted.quantity]
    assert calls == [(planes, wanted.size, wanted.size)] * int(np.count_nonzero(brain.any(axis=(1, 2))))
    told = {
        "Network",
        "Simulating the low dose",
        "Finding the arterial input",
        "Measuring the first pass",
        "Predicting slice",
    }
    assert told <= set(clock.seconds)
