"""Features of some rows of an endless slice."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Rows:
    """Features of consecutive rows; those before the first and after the last are as the first and the last.

    Beyond the slice the signal is zero, so that a few rows further out all features are the same from row to row.
    Where the outermost rows held here are of that kind, these rows stand for all that follow.

    :param values: (N, rows, ...)
    :param first: number of the first row held; rows before the slice's own have negative numbers
    """

    values: torch.Tensor
    first: int

    @property
    def stop(self) -> int:
        """Number of the row after the last one held."""
        return self.first + self.values.shape[1]

    def take(self, first: int, stop: int) -> torch.Tensor:
        """Rows `first` to `stop` - 1: (N, stop - first, ...), a view where all of them are held."""
        if self.first <= first and stop <= self.stop:
            return self.values[:, first - self.first : stop - self.first]
        numbers = torch.arange(first, stop, device=self.values.device).clamp(self.first, self.stop - 1)
        return self.values.index_select(1, numbers - self.first)
