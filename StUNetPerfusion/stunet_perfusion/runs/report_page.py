"""One page of a run: key slices in color, curves, numbers of regions, quality, and how the maps were made.

Drawn with matplotlib, as PDF (text stays text) or PNG.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stunet_perfusion.regions.blood_volume_unit import NCBV_WINDOW
from stunet_perfusion.regions.region_error import Interval
from stunet_perfusion.regions.region_numbers import RegionNumbers
from stunet_perfusion.runs.results import USE
from stunet_perfusion.series import Grid
from stunet_perfusion.support.colormap import perfusion_colors
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.staged import staged_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A4, inches.
PAGE = (8.27, 11.69)

#: Slices of a page.
SLICES = 4

#: nCBV below this is clear, so that the anatomy is seen.
CLEAR_BELOW = 0.5
OPACITY = 0.85

#: Outlines and lines: colors that the map's own scale (blue, green, yellow, red) does not have.
REGION_COLORS = ("#ff00ff", "#ff9be8", "#c8a2ff", "#b000b0")
WHITE_MATTER_COLOR = "#9a9a9a"
_LIGHTS = {"green": "#2e9e4f", "yellow": "#d9a400", "red": "#c8102e"}
_INK, _PALE = "#1a1a1a", "#6b6b6b"


@dataclass(frozen=True, eq=False)
class PageContent:
    """What a page shows. Arrays are (Z, Y, X) on one grid.

    :param ncbv: in multiples of white matter
    :param under: anatomic image, or the signal before the bolus
    :param under_name: what that is
    :param brain: bool
    :param regions: bool by name
    :param white_matter: bool, or None
    :param numbers: of the regions, by name
    :param shares: histogram's edges, and shares by the region's name
    :param report: of the run
    :param notes: for people
    """

    grid: Grid
    ncbv: np.ndarray
    under: np.ndarray
    under_name: str
    brain: np.ndarray
    regions: Mapping[str, np.ndarray]
    white_matter: np.ndarray | None
    numbers: Mapping[str, RegionNumbers]
    edges: np.ndarray
    shares: Mapping[str, np.ndarray]
    report: Mapping[str, Any]
    notes: tuple[str, ...]


def save_page(path: Path, content: PageContent) -> None:
    """Draw the page and save it.

    :param path: ends in .pdf or .png
    :raises InputError: another ending, or matplotlib is not installed
    :raises OutputError: the file cannot be written
    """
    if path.suffix.lower() not in (".pdf", ".png"):
        raise InputError(path, "has an ending that names no known format", "end it in .pdf or .png")
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("matplotlib", "is not installed", "run: pip install 'stunet-perfusion[demo]'") from None
    with rc_context({"pdf.fonttype": 42, "font.size": 8, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=PAGE, facecolor="white")
        FigureCanvasAgg(figure)
        _draw(figure, content)
        with staged_file(path) as staged:
            # Without a date in it, the same run makes the same file.
            metadata = {"CreationDate": None} if path.suffix.lower() == ".pdf" else {}
            figure.savefig(staged, dpi=150, metadata=metadata)


def result_sentence(content: PageContent) -> str:
    """What the page says first."""
    if not content.numbers:
        return "No region was given: the maps alone are shown."
    name, numbers = next(iter(content.numbers.items()))
    above = numbers.burden.shares[-1]
    return (
        f"{name}: {with_interval(numbers.ncbv)} × white matter on average, {with_interval(numbers.hot_spot_ncbv)} in "
        f"the hot spot; {100 * above.value:.0f} % of it above {numbers.burden.thresholds[-1]:g}."
    )


def with_interval(number: Interval, factor: float = 1.0, digits: int = 2) -> str:
    """`4.00 (3.80-4.20)`, or the number alone."""
    text = f"{factor * number.value:.{digits}f}"
    if number.low is None or number.high is None:
        return text
    return f"{text} ({factor * number.low:.{digits}f}–{factor * number.high:.{digits}f})"


def key_slices(regions: Mapping[str, np.ndarray], brain: np.ndarray, count: int = SLICES) -> list[int]:
    """Slices that show most: through the regions, or evenly through the brain; from the lowest to the highest index."""
    area = sum((region.sum(axis=(1, 2)) for region in regions.values()), np.zeros(len(brain)))
    if not area.any():
        area = brain.sum(axis=(1, 2)) > 0.5 * brain.sum(axis=(1, 2)).max()
    there = np.flatnonzero(area)
    if len(there) <= count:
        around = np.arange(len(brain))
        nearest = np.argsort(np.abs(around - there.mean()), kind="stable")
        more = [int(z) for z in nearest if z not in there and brain[z].any()]
        return sorted([*map(int, there), *more[: count - len(there)]])
    return sorted({int(z) for z in there[np.linspace(0, len(there) - 1, count).round().astype(int)]})


def _draw(figure: Figure, content: PageContent) -> None:
    figure.text(0.06, 0.965, "Cerebral blood volume", fontsize=16, color=_INK, va="top", weight="bold")
    figure.text(0.94, 0.965, _what(content.report), fontsize=9, color=_PALE, va="top", ha="right")
    figure.text(0.06, 0.938, _wrapped(result_sentence(content), 105), fontsize=10, color=_INK, va="top")
    _draw_slices(figure, content)
    _draw_curves(figure, content.report)
    _draw_histogram(figure, content)
    _draw_table(figure, content)
    _draw_words(figure, content)


def _draw_slices(figure: Figure, content: PageContent) -> None:
    slices = key_slices(content.regions, content.brain)
    rows, columns = _box(content.brain)
    width, height = 0.84 / SLICES, 0.185
    for place, z in enumerate(slices):
        for line in range(2):
            axes = figure.add_axes((0.06 + place * width, 0.715 - line * (height + 0.005), width - 0.006, height))
            axes.set_facecolor("black")
            _show_slice(axes, content, z, (rows, columns), colored=line == 0)
            if line == 0:
                axes.set_title(f"slice {z + 1} of {len(content.brain)}", fontsize=7, color=_PALE, pad=2)
    _draw_legend(figure)
    left, right = _sides(content.grid)
    figure.text(
        0.06, 0.518, f"left of the picture: patient's {left}; right: {right}.  {_outlines(content)}", fontsize=7
    )


def _show_slice(axes: Axes, content: PageContent, z: int, box: tuple[slice, slice], colored: bool) -> None:
    from matplotlib.colors import ListedColormap

    inside = content.under[content.brain]
    top = float(np.percentile(inside, 99.5)) if inside.size else 1.0
    # Seen from the feet, as radiologists are used to: the array's rows run from front to back in most scans.
    turned = _turn(content.grid)
    aspect = float(content.grid.spacing[1] / content.grid.spacing[0])
    axes.imshow(turned(content.under[z][box]), cmap="gray", vmin=0, vmax=top or 1, aspect=aspect)
    if colored:
        ncbv = content.ncbv[z][box]
        shown = np.ma.masked_where(~content.brain[z][box] | (ncbv < CLEAR_BELOW), ncbv)
        colors = ListedColormap(perfusion_colors())
        axes.imshow(
            turned(shown),
            cmap=colors,
            vmin=NCBV_WINDOW[0],
            vmax=NCBV_WINDOW[1],
            alpha=OPACITY,
            aspect=aspect,
            interpolation="nearest",
        )
    outlined = [(region, color) for region, color in zip(content.regions.values(), _colors(), strict=False)]
    if not colored and content.white_matter is not None:
        outlined.append((content.white_matter, "#ffffff"))
    for region, color in outlined:
        if region[z][box].any():
            axes.contour(turned(region[z][box].astype(float)), levels=[0.5], colors=[color], linewidths=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in axes.spines.values():
        edge.set_visible(False)


def _draw_legend(figure: Figure) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    place = figure.add_axes((0.915, 0.72, 0.014, 0.17))
    colors = ScalarMappable(Normalize(*NCBV_WINDOW), ListedColormap(perfusion_colors()))
    bar = figure.colorbar(colors, cax=place, extend="max")
    bar.ax.tick_params(labelsize=7)
    bar.set_label("CBV, × white matter", fontsize=7)


def _draw_curves(figure: Figure, report: Mapping[str, Any]) -> None:
    axes = figure.add_axes((0.11, 0.375, 0.36, 0.105))
    axes.set_title("Mean signal, % of the baseline", fontsize=8, loc="left", color=_INK)
    curves = report.get("curves")
    if isinstance(curves, Mapping) and curves.get("times_s"):
        times = np.asarray(curves["times_s"], dtype=float)
        for name, color in (("brain", _INK), ("white_matter", WHITE_MATTER_COLOR)):
            if curves.get(name):
                values = np.asarray(curves[name], dtype=float)
                axes.plot(times, values, color=color, linewidth=1.2)
                lowest = int(np.argmin(values))
                place = (times[lowest], values[lowest])
                axes.annotate(
                    name.replace("_", " "), place, (6, -2), textcoords="offset points", fontsize=7, color=color
                )
        axes.set_xlim(times[0], times[-1])
    axes.set_xlabel("s", fontsize=7, labelpad=1)
    _plain(axes)


def _draw_histogram(figure: Figure, content: PageContent) -> None:
    axes = figure.add_axes((0.60, 0.375, 0.34, 0.105))
    axes.set_title("nCBV, share of voxels, %", fontsize=8, loc="left", color=_INK)
    colors = dict(zip(content.regions, ("#b000b0", "#d070c0", "#7a5fc0", "#555555"), strict=False))
    for name, shares in content.shares.items():
        color = colors.get(name, WHITE_MATTER_COLOR)
        axes.stairs(100 * shares, content.edges, color=color, linewidth=1.2, label=name)
    if content.shares:
        axes.legend(fontsize=7, frameon=False, loc="upper right")
    axes.set_xlim(content.edges[0], content.edges[-1])
    axes.set_xlabel("× white matter", fontsize=7, labelpad=1)
    _plain(axes)


def _draw_table(figure: Figure, content: PageContent) -> None:
    heads = ["", "ml", "mean nCBV", "hot spot", "other side", "burden: low / middle / high, %", "PSR, %"]
    rows = []
    for name, numbers in content.numbers.items():
        shares = " / ".join(f"{100 * share.value:.0f}" for share in numbers.burden.shares)
        high = with_interval(numbers.burden.shares[-1], 100, 0)
        other = "" if numbers.mirror_ncbv is None else with_interval(numbers.mirror_ncbv)
        recovery = f"{numbers.means['psr']:.0f}" if "psr" in numbers.means else ""
        values = [with_interval(numbers.ncbv), with_interval(numbers.hot_spot_ncbv), other]
        rows.append([name, f"{numbers.milliliters:.1f}", *values, f"{shares}  (high: {high})", recovery])
    if not rows:
        return
    axes = figure.add_axes((0.06, 0.235, 0.88, 0.10))
    axes.axis("off")
    table = axes.table(rows, colLabels=heads, loc="upper left", cellLoc="right", edges="horizontal")
    table.auto_set_font_size(False)
    table.set_fontsize(7.5)
    widths = (0.13, 0.06, 0.16, 0.16, 0.16, 0.26, 0.07)
    for (row, column), cell in table.get_celld().items():
        cell.set_width(widths[column])
        cell.set_edgecolor("#c0c0c0")
        cell.set_text_props(color=_PALE if row == 0 else _INK, ha="left" if column == 0 else "right")


def _draw_words(figure: Figure, content: PageContent) -> None:
    lines: list[tuple[str, str]] = []
    quality = content.report.get("quality")
    if isinstance(quality, Mapping):
        judged = [entry for entry in quality.get("findings", ()) if entry.get("light") != "green"]
        if not judged:
            lines.append((_LIGHTS["green"], "Quality: nothing to remark."))
        for entry in judged[:4]:
            text = f"{entry.get('title', '')}: {entry.get('meaning', '')} {entry.get('advice', '')}"
            lines.append((_LIGHTS.get(str(entry.get("light")), _PALE), text))
        lines += [(_PALE, f"Mended: {entry.get('sentence', '')}") for entry in quality.get("mended", ())[:2]]
    lines += [(_PALE, note) for note in content.notes[:4]]
    top = 0.225
    for color, text in lines:
        wrapped = _wrapped(text, 135)
        figure.text(0.06, top, "●", fontsize=8, color=color, va="top")
        figure.text(0.08, top, wrapped, fontsize=7.5, color=_INK, va="top")
        top -= 0.0125 * (wrapped.count("\n") + 1)
    figure.text(0.06, 0.035, _wrapped(_provenance(content.report), 160), fontsize=6.5, color=_PALE, va="bottom")
    figure.text(0.06, 0.022, USE, fontsize=8, color=_INK, va="bottom", weight="bold")


def _what(report: Mapping[str, Any]) -> str:
    checkpoint = report.get("checkpoint")
    method = "closed form"
    if isinstance(checkpoint, Mapping):
        method = {"stunet": "stU-Net"}.get(str(checkpoint.get("network")), str(checkpoint.get("network")))
    dose = report.get("dose", 1.0)
    return f"{method}, {100 * float(dose):g} % of the dose" if isinstance(dose, int | float) else method


def _provenance(report: Mapping[str, Any]) -> str:
    provenance = report.get("provenance")
    versions = provenance.get("versions", {}) if isinstance(provenance, Mapping) else {}
    checkpoint = report.get("checkpoint")
    parts = [f"StUNetPerfusion {versions.get('stunet-perfusion', '')}".strip()]
    if isinstance(checkpoint, Mapping):
        parts.append(f"checkpoint {checkpoint.get('name', '')}")
    for key, label in (("echo_time_s", "TE"), ("frame_interval_s", "TR")):
        if isinstance(report.get(key), int | float):
            parts.append(f"{label} {1000 * report[key]:.0f} ms")
    if isinstance(report.get("frames"), int):
        parts.append(f"{report['frames']} frames")
    if isinstance(provenance, Mapping) and provenance.get("acquisition_sha256"):
        parts.append(f"acquisition {str(provenance['acquisition_sha256'])[:12]}")
    parts.append(f"95 % intervals: {report.get('uncertainty_is', 'none')}")
    return "; ".join(parts) + "."


def _outlines(content: PageContent) -> str:
    names = list(content.regions)
    words = [f"outlined: {', '.join(names)}"] if names else []
    if content.white_matter is not None:
        words.append("white outline: white matter")
    return "; ".join([f"under the map: {content.under_name}", *words]) + "."


def _colors() -> tuple[str, ...]:
    return REGION_COLORS


def _box(brain: np.ndarray, margin: int = 3) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(brain.any(axis=(0, 2))), np.flatnonzero(brain.any(axis=(0, 1)))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1),
    )


def _turn(grid: Grid) -> Any:
    """Flips a slice so that the patient's right is on the left of the picture, and the front is up."""
    columns_to_left = grid.ijk_to_ras[0, 0] < 0
    rows_to_back = grid.ijk_to_ras[1, 1] < 0

    def turned(image: np.ndarray) -> np.ndarray:
        image = image if columns_to_left else image[:, ::-1]
        return image if rows_to_back else image[::-1]

    return turned


def _sides(grid: Grid) -> tuple[str, str]:
    """Which of the patient's sides is on the left and on the right of the picture."""
    main = int(np.argmax(np.abs(grid.ijk_to_ras[:3, 0])))
    return ("right", "left") if main == 0 else (("back", "front") if main == 1 else ("feet", "head"))


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7, colors=_PALE)
    for name in ("top", "right"):
        axes.spines[name].set_visible(False)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
