"""The figure that sets maps of several doses beside each other, as the paper's Fig. 1 does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stunet_perfusion.regions.blood_volume_unit import NCBV_WINDOW
from stunet_perfusion.support.colormap import perfusion_colors
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import staged_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: The window of every panel. High-grade tumors are around 5.
WINDOW = NCBV_WINDOW


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of the figure.

    :param image: (Y, X) CBV relative to normal-appearing white matter
    :param caption: what stands under its corner; may be empty
    """

    image: np.ndarray
    caption: str = ""


def busiest_slice(tumor: np.ndarray, brain: np.ndarray) -> int:
    """The slice with most tumor, or with most brain where there is none. Both are (Z, Y, X) bool."""
    area = (tumor if tumor.any() else brain).sum(axis=(1, 2))
    return int(np.argmax(area))


def cropped(image: np.ndarray, brain: np.ndarray, margin: int = 3) -> np.ndarray:
    """The part of a slice that holds brain, black outside of it. Both are (Y, X)."""
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    part = (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )
    return np.where(brain, image, 0)[part]


def save_comparison(
    path: Path, rows: Mapping[str, Sequence[Panel]], columns: Sequence[str], title: str, footnote: str
) -> None:
    """Draw rows of panels in one window, with one color bar, and save them.

    :param rows: the panels of each row, by the row's name
    :param columns: the names of the columns
    :raises InputError: matplotlib is not installed
    :raises OutputError: the file cannot be written
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("matplotlib", "is not installed", "run: pip install 'stunet-perfusion[demo]'") from None
    height, width = next(iter(rows.values()))[0].image.shape
    panel_width = 2.6
    size = (panel_width * len(columns) + 1.6, panel_width * height / width * len(rows) + 1.1)
    figure = Figure(figsize=size, facecolor="black")
    FigureCanvasAgg(figure)
    _draw_color_bar(figure, _draw_panels(figure, rows, columns))
    figure.text(0.5, 1 - 0.1 / size[1], title, color="white", fontsize=13, ha="center", va="top")
    figure.text(0.5, 0.08 / size[1], footnote, color="0.75", fontsize=8, ha="center", va="bottom")
    with staged_file(path) as file:
        figure.savefig(file, dpi=120, facecolor="black")


def _draw_panels(figure: Figure, rows: Mapping[str, Sequence[Panel]], columns: Sequence[str]) -> AxesImage:
    """All panels with the names of rows and columns, side by side.

    :returns: the last panel's image, whose colors are those of all
    """
    width, height = figure.get_size_inches()
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    figure.subplots_adjust(
        left=0.9 / width,
        right=1 - 0.85 / width,
        top=1 - 0.75 / height,
        bottom=0.5 / height,
        wspace=0.02,
        hspace=0.08,
    )
    for line, (name, panels) in zip(axes, rows.items(), strict=True):
        for axis, panel in zip(line, panels, strict=True):
            shown = _draw_panel(axis, panel)
        line[0].set_ylabel(name, color="white", fontsize=12, labelpad=8)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column, color="white", fontsize=12, pad=6)
    return shown


def _draw_panel(axis: Axes, panel: Panel) -> AxesImage:
    from matplotlib.colors import ListedColormap

    colors = ListedColormap(perfusion_colors())
    shown = axis.imshow(panel.image, cmap=colors, vmin=WINDOW[0], vmax=WINDOW[1], interpolation="nearest")
    axis.text(0.01, -0.01, panel.caption, transform=axis.transAxes, color="white", fontsize=9, va="top", ha="left")
    axis.set_xticks([])
    axis.set_yticks([])
    for edge in axis.spines.values():
        edge.set_visible(False)
    return shown


def _draw_color_bar(figure: Figure, shown: AxesImage) -> None:
    """The scale of all panels, at the right edge."""
    width, height = figure.get_size_inches()
    place = figure.add_axes((1 - 0.7 / width, 0.5 / height, 0.16 / width, 1 - 1.25 / height))
    bar = figure.colorbar(shown, cax=place, extend="max")
    bar.ax.tick_params(colors="white", labelsize=9)
    bar.set_label("CBV, × white matter", color="white", fontsize=9)
    bar.ax.spines["outline"].set_edgecolor("white")
