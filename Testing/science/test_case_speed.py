"""How a case's seconds are told by its stages; what is measured is no matter of tests."""

import numpy as np

from science.synthetic import head_of, make_series
from stunet_perfusion import case_speed
from stunet_perfusion.case_speed import StageClock
from stunet_perfusion.checkpoint import load
from stunet_perfusion.network_quantities import MAPS
from stunet_perfusion.predict import PredictionSettings, predict_prepared
from stunet_perfusion.preparation import prepare
from stunet_perfusion.resources import shipped_checkpoint
from stunet_perfusion.strips import predict_slice


def test_a_stage_has_the_time_between_its_words_and_the_next_without_what_runs_inside(monkeypatch):
    moments = iter([0.0, 1.0, 3.0, 10.0, 16.0, 20.0, 21.0])
    monkeypatch.setattr(case_speed, "perf_counter", lambda: next(moments))
    clock = StageClock()
    clock.enter("Looking")
    clock.progress(0.0, "Predicting slice 1 of 2")
    assert clock.around("Network", lambda value: value + 1)(1) == 2
    clock.progress(0.5, "Predicting slice 2 of 2")
    clock.enter("")
    # Looking 1-3; predicting 3-10 and 16-21; the network 10-16.
    assert clock.seconds == {"Looking": 2.0, "Predicting slice": 12.0, "Network": 6.0}


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
