"""The rows and columns of the tables: every way to get a CBV map from a series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from stunet_perfusion.preprocessing.preparation import PreparedSeries

Kind = Literal["classical", "floor", "network"]

#: The two tables: against Verbena's map at full dose, and against the truth.
Table = Literal["paper", "truth"]
TABLES: tuple[Table, ...] = ("paper", "truth")


@dataclass(frozen=True, eq=False)
class MethodMap:
    """A map by one method.

    :param cbv: (Z, Y, X) relative CBV whose zero is no blood; any unit, since no score depends on it
    :param uncertainty: (Z, Y, X) standard deviation that the method gives it, same unit, or None
    """

    cbv: np.ndarray
    uncertainty: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Method:
    """A way to get a map.

    :param name: short, for files
    :param title: for people
    :param kind: `classical` and `floor` learn nothing from images; a floor is what a network must not fall below
    :param compute: a map of a prepared series, for a table and a dose
    :param key: all that decides the map, as JSON
    :param tables: where it stands
    :param same_in_tables: whether its map is the same in both tables
    """

    name: str
    title: str
    kind: Kind
    compute: Callable[[PreparedSeries, Table, float], MethodMap]
    key: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = TABLES
    same_in_tables: bool = True
