"""The color table of perfusion maps, read from the one file that 3D Slicer shows them with."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.support.resources import RESOURCES

#: Black is 0, then blue, green, yellow, red, in steps that look equal.
COLOR_TABLE = RESOURCES / "ColorTables" / "CBV.ctbl"


def perfusion_colors() -> np.ndarray:
    """(256, 3) float64 red, green, blue from 0 to 1; the first row is black.

    Ready for `matplotlib.colors.ListedColormap`.
    """
    table = np.loadtxt(COLOR_TABLE, comments="#", dtype=float)
    return table[np.argsort(table[:, 0]), 2:5] / 255
