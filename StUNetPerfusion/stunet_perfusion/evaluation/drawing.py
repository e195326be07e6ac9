"""What all figures of the evaluation have in common: a white sheet, colors a method, and saving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.staged import staged_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Red, green, blue and opacity, 0 to 1.
Color = tuple[float, float, float, float]

NOTE = "Research use only: not for diagnosis."


def check_matplotlib() -> None:
    """Say before an hour of computing, not after it, that nothing can be drawn.

    :raises InputError: matplotlib is not installed
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("matplotlib", "is not installed", "run: pip install 'stunet-perfusion[demo]'") from None


@contextmanager
def sheet(path: Path, width: float, height: float, title: str) -> Iterator[Figure]:
    """A figure that is saved when the block ends.

    :param width: inches
    :raises InputError: matplotlib is not installed
    :raises OutputError: the file cannot be written
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12)
    yield figure
    figure.supxlabel(NOTE, fontsize=7, color="0.4")
    with staged_file(path) as file:
        figure.savefig(file, dpi=110)


def colors_of(names: Sequence[str]) -> dict[str, Color]:
    """A color a name, of a scale that color-blind readers can tell apart."""
    from matplotlib import colormaps

    scale = colormaps["tab10" if len(names) <= 10 else "tab20"]
    return {name: scale(n % scale.N) for n, name in enumerate(names)}
