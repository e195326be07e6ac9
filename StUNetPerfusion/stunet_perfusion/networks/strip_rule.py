"""How a slice is cut into strips: part of what a checkpoint says of itself, and known without torch."""

from __future__ import annotations

from dataclasses import dataclass

from stunet_perfusion.support.errors import InputError

PADDINGS = ("zero", "context")


@dataclass(frozen=True)
class StripRule:
    """How a slice is cut.

    :param rows: height of a strip; its width is the slice's
    :param padding: `zero`: a strip is predicted alone, and the network pads it with zeros (the literal reading of
        the paper); `context`: a strip is predicted together with the rows around it, which are then cut away. Rows
        beyond the slice are zero, which is the standardized signal's mean.
    """

    rows: int = 32
    padding: str = "zero"

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise InputError("strip padding", f"'{self.padding}' is not known", f"use one of {', '.join(PADDINGS)}")
        if self.rows < 1:
            raise InputError("strip", f"a strip of {self.rows} rows is none", "use 32 rows")
