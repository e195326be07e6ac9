"""What every network offers, whatever it is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch


class CbvNetwork(nn.Module, ABC):
    """Takes strips (N, T, Y, X) of the standardized signal and returns strips (N, Y, X) of the standardized CBV map."""

    @property
    @abstractmethod
    def row_step(self) -> int:
        """Two strips whose first rows are this many rows apart see the same pairing of rows in every reduction."""

    @property
    @abstractmethod
    def row_reach(self) -> int:
        """Rows beyond an output row, on either side, that can change it."""

    @abstractmethod
    def check_strip(self, frames: int, rows: int, columns: int) -> None:
        """Refuse strips that do not fit.

        :raises InputError: a number of frames, rows or columns that the network does not take
        """

    if TYPE_CHECKING:
        # A torch module takes anything and returns anything, as far as torch tells.
        def __call__(self, strips: torch.Tensor) -> torch.Tensor: ...
