"""Work beside the network: in a thread where a processor is left, else before anything else, with the same outcome."""

from __future__ import annotations

import threading

import pytest

from stunet_perfusion.support import concurrent_work
from stunet_perfusion.support.concurrent_work import OnTheSpot, beside_the_network


@pytest.mark.parametrize(
    ("device", "threads", "slices", "processors", "in_a_thread"),
    [
        ("cpu", 1, 1, 2, True),
        ("cpu", 2, 1, 2, False),
        ("cpu", 2, 2, 2, True),
        ("cpu", 4, 2, 4, False),
        ("cpu", 4, 1, 2, False),
        ("cuda:0", 2, 1, 2, True),
        ("cpu", 1, 1, 1, False),
    ],
)
def test_a_thread_is_taken_where_it_does_not_hold_the_network_up(
    monkeypatch, device, threads, slices, processors, in_a_thread
):
    monkeypatch.setattr(concurrent_work, "processors", lambda: processors)
    monkeypatch.setattr(concurrent_work, "threads_here", lambda: threads)
    with beside_the_network(device, slices) as executor:
        worked_in = executor.submit(threading.current_thread).result()
    assert (worked_in is not threading.current_thread()) == in_a_thread


def test_on_the_spot_is_done_at_once_and_in_order():
    done = []
    with OnTheSpot() as executor:
        futures = [executor.submit(done.append, number) for number in range(3)]
        assert done == [0, 1, 2]
    assert all(future.done() for future in futures)


def test_on_the_spot_an_error_waits_to_be_asked_for():
    future = OnTheSpot().submit(int, "no number")
    assert future.done()
    with pytest.raises(ValueError, match="no number"):
        future.result()
