"""Values for viewers: a display window, and 16-bit integers with a slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stunet_perfusion.dicom_export.quantities import Quantity
from stunet_perfusion.support.errors import InputError

#: Brightest share of the brain that is shown saturated: vessels.
_SATURATED = 0.02

#: Windows above and below zero that 16-bit integers hold. A step is then at most 1/5000 of the window, so that rounding
#: costs 1e-4 of it, and what is beyond, far above anything that a viewer shows, is noise without meaning.
_WINDOWS_STORED = 6.5

_LARGEST_INTEGER = 32767


@dataclass(frozen=True)
class Window:
    """What a viewer shows from black to white."""

    low: float
    high: float

    @property
    def center(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """From black to white."""
        return self.high - self.low


@dataclass(frozen=True, eq=False)
class ReadyMap:
    """A map as it is to be exported.

    :param values: (Z, Y, X) float32, in the unit of the quantity
    :param window: what is shown at first
    """

    quantity: Quantity
    values: np.ndarray
    window: Window


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map as integers.

    :param integers: (Z, Y, X) int16; zero is zero
    :param slope: from integers to values
    :param clipped: voxels beyond what is stored, which hold the largest value that is
    """

    integers: np.ndarray
    slope: float
    clipped: int


def brain_of(maps: list[np.ndarray]) -> np.ndarray:
    """(Z, Y, X) bool: where every map has a value. Maps are 0 outside the brain, but closed-form CBV is not."""
    return np.logical_and.reduce([volume != 0 for volume in maps])


def ready_map(quantity: Quantity, volume: np.ndarray, brain: np.ndarray) -> ReadyMap:
    """A map in the unit of its export, with a window.

    :param volume: (Z, Y, X) as the package computes it
    :param brain: (Z, Y, X) bool, where values are looked at to find the window
    :raises InputError: voxels that are not a number or infinite
    """
    bad = int(np.count_nonzero(~np.isfinite(volume)))
    if bad:
        raise InputError(
            f"map {quantity.name}",
            f"has {bad} voxels that are not a number or infinite",
            "replace them by 0 before exporting it",
        )
    values = np.ascontiguousarray(volume * np.float32(quantity.factor), dtype=np.float32)
    return ReadyMap(quantity, values, _display_window(quantity, values, brain))


def _display_window(quantity: Quantity, values: np.ndarray, brain: np.ndarray) -> Window:
    """From zero to what only the brightest 2 % of the brain exceed, as a number of two digits."""
    if quantity.window is not None:
        return Window(*quantity.window)
    inside = values[brain & (values > 0)]
    if not inside.size:
        return Window(0.0, 1.0)
    return Window(0.0, _rounded(float(np.quantile(inside, 1 - _SATURATED)), digits=2))


def stored_as_integers(values: np.ndarray, window: Window) -> StoredMap:
    """16-bit integers that keep values to 1e-4 of the window.

    :param values: (Z, Y, X) finite
    """
    largest = min(float(np.abs(values).max(initial=0)), _WINDOWS_STORED * window.width)
    slope = _rounded(largest / _LARGEST_INTEGER, digits=4, up=True) if largest else 1.0
    steps = np.rint(values.astype(np.float64) / slope)
    clipped = int(np.count_nonzero(np.abs(steps) > _LARGEST_INTEGER))
    return StoredMap(np.clip(steps, -_LARGEST_INTEGER, _LARGEST_INTEGER).astype(np.int16), slope, clipped)


def _rounded(number: float, digits: int, up: bool = False) -> float:
    """A number with so few digits that DICOM's 16 characters hold it exactly."""
    unit = 10.0 ** (np.floor(np.log10(number)) - (digits - 1))
    steps = np.ceil(number / unit) if up else np.rint(number / unit)
    return float(f"{steps * unit:.{digits - 1}e}")
