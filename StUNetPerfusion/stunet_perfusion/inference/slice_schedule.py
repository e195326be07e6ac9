"""In which order slices of a case go through the network, how many at a time, and what is done beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from stunet_perfusion.support.by_slice import by_slice
from stunet_perfusion.support.concurrent_work import beside_the_network
from stunet_perfusion.support.threads import threads_here

#: Each takes the memory of its features, of which a case is to take little, however many processors there are.
MOST_SLICES_AT_A_TIME = 4

_Made = TypeVar("_Made")
_Said = TypeVar("_Said")


def slices_at_a_time(slices: int, device: str = "cpu") -> int:
    """How many slices go through the network at the same time: on the CPU as many as there are threads, and on another
    device, which one slice fills, one.

    :param slices: that there are
    """
    return min(threads_here(), slices, MOST_SLICES_AT_A_TIME) if device == "cpu" else 1


def each_slice(
    slices: Sequence[int],
    make: Callable[[int], _Made],
    predict: Callable[[_Made], _Said],
    finish: Callable[[int, _Made, _Said], None],
    device: str = "cpu",
) -> Iterator[int]:
    """Each slice from the series to the map: several at a time, or one, while the next is made and the one before is
    finished beside it.

    :param make: what the network is given for a slice
    :param predict: what the network says of that
    :param finish: puts it into the map. All are done when the last slice has come.
    :returns: the slices, in order, as the network is done with them
    :raises Exception: the first that a slice raised; slices not yet begun are left out
    """
    at_a_time = slices_at_a_time(len(slices), device)
    if at_a_time > 1:

        def whole_way(z: int) -> int:
            made = make(z)
            finish(z, made, predict(made))
            return z

        yield from by_slice(whole_way, slices, at_a_time)
        return
    with beside_the_network(device) as beside:
        coming, finished = beside.submit(make, slices[0]), []
        for z, following in zip(slices, [*slices[1:], None], strict=True):
            made = coming.result()
            if following is not None:
                coming = beside.submit(make, following)
            finished.append(beside.submit(finish, z, made, predict(made)))
            if following is None:
                for slice_of_map in finished:
                    slice_of_map.result()
            yield z
