"""Work by slice: in order, whatever the number of threads, and stopped by an error or by nobody listening."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from science.synthetic import make_series
from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.preprocessing.brain import mean_curve, mean_image
from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.threads import torch_threads


@settings(deadline=None, max_examples=20)
@given(slices=st.lists(st.integers(0, 50), max_size=30))
def test_results_come_in_the_order_of_the_slices(slices):
    assert list(by_slice(lambda z: z * z, slices)) == [z * z for z in slices]


def test_slices_are_worked_on_at_the_same_time(threads):
    """As many slices as there are threads wait for each other, which one after the other they could not."""
    together = threading.Barrier(threads)
    assert list(by_slice(lambda z: together.wait() >= 0, range(threads))) == [True] * threads


def test_an_error_comes_out_and_ends_the_work(threads):
    begun = []

    def fail(z):
        begun.append(z)
        if z == 1:
            raise ValueError("slice 1")

    with pytest.raises(ValueError, match="slice 1"):
        list(by_slice(fail, range(10_000)))
    assert len(begun) < 10_000


def test_whoever_stops_listening_stops_the_work(threads):
    begun = []
    results = by_slice(begun.append, range(10_000))
    next(results)
    results.close()
    assert len(begun) < 10_000


def test_numbers_do_not_depend_on_threads():
    series = make_series(shape=(7, 20, 22), noise=3.0, seed=1)
    mask = np.random.default_rng(0).random((7, 20, 22)) < 0.5
    found = []
    for count in (1, 3):
        with torch_threads(count):
            low = simulate_dose(series, 8, 0.4, "noise-matched", seed=2).signal
            found.append((low, mean_image(series), mean_curve(series, mask)))
    for one, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, three)
