"""Cases that are seen in several epochs, group by group."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Generic, TypeVar

_Case = TypeVar("_Case")


class SeenAgain(Generic[_Case]):
    """Groups of cases for one epoch after the other. A group has new cases, and those of the epochs before.

    :param cases: new ones, as many an epoch as all groups hold, in the order of the epochs
    :param sizes: new cases of each group
    :param epochs: in which a case is seen; 1 is never again
    """

    def __init__(self, cases: Iterator[_Case], sizes: Sequence[int], epochs: int = 1) -> None:
        self._cases = cases
        self._sizes = list(sizes)
        self._before: list[deque[list[_Case]]] = [deque(maxlen=epochs - 1) for _ in sizes]

    def of_epoch(self) -> Iterator[list[_Case]]:
        """The groups of the next epoch, each made when it is asked for: new cases, then those of the epochs before."""
        for size, before in zip(self._sizes, self._before, strict=True):
            new = list(islice(self._cases, size))
            yield [*new, *chain.from_iterable(reversed(before))]
            before.append(new)

    def catch_up(self, epochs: int) -> None:
        """Pass over epochs that were seen in an earlier run, and keep what of them is to be seen again."""
        for _ in range(epochs):
            for _ in self.of_epoch():
                pass
