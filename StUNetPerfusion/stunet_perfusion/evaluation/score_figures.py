"""Figures of scores: box plots over subjects, Bland-Altman of nRCBV, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stunet_perfusion.evaluation.drawing import Color, colors_of, sheet
from stunet_perfusion.evaluation.map_metrics import LEVELS
from stunet_perfusion.evaluation.methods import Method
from stunet_perfusion.evaluation.summary import Row, cell, doses_of, nrcbv_agreement, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

_BOXED = {
    "paper": {"l2": "L2", "tumor_l2": "t-L2", "l1": "L1", "tumor_l1": "t-L1", "ssim": "SSIM"},
    "truth": {
        "l2": "L2",
        "ssim": "SSIM",
        "concordance": "concordance",
        "nrcbv_error": "nRCBV error",
        "hot_spot_error": "hot-spot error",
        "edge_sharpness": "edge sharpness",
    },
}
_AGAINST = {"paper": "full-dose reference (lower doses by Equation 1)", "truth": "noise-free truth (acquired doses)"}

_GRADES = "low grade blue, high grade red"

#: Axes that hold errors of very different sizes are logarithmic.
_LOGARITHMIC = ("l2", "tumor_l2")

#: Of ratios one person's can be fifty times all others', where noise leaves hardly any white matter to divide by. Axes
#: are linear up to these values on either side, in which all but such persons are, and logarithmic beyond.
_LINEAR_UP_TO = {"nrcbv_error": 1.0, "hot_spot_error": 1.0, "edge_sharpness": 2.0}
_RATIOS_LINEAR_UP_TO = 10.0


def save_boxes(path: Path, rows: Sequence[Row], methods: Sequence[Method], table: str, family: str) -> None:
    """Box plots over subjects: a panel a score, groups of doses, a box a method.

    :param rows: of one family and table, not empty
    """
    shown = [method for method in methods if rows_of(rows, method=method.name)]
    doses, colors = doses_of(rows), colors_of([method.name for method in shown])
    scores = {score: name for score, name in _BOXED[table].items() if cell(rows, score).count}
    with sheet(
        path, 4.2 * min(len(scores), 3) + 2.2, 3.4 * -(-len(scores) // 3) + 0.8, _title(family, table)
    ) as figure:
        axes = figure.subplots(-(-len(scores) // 3), min(len(scores), 3), squeeze=False)
        for axis in axes.flat[len(scores) :]:
            axis.set_visible(False)
        for axis, (score, name) in zip(axes.flat, scores.items(), strict=False):
            for n, method in enumerate(shown):
                boxes = [_values(rows_of(rows, dose=dose, method=method.name), score) for dose in doses]
                places = np.arange(len(doses)) + 0.8 * ((n + 0.5) / len(shown) - 0.5)
                drawn = axis.boxplot(boxes, positions=places, widths=0.6 / len(shown), patch_artist=True, sym=".")
                for box in drawn["boxes"]:
                    box.set_facecolor(colors[method.name])
                for line in drawn["medians"]:
                    line.set_color("black")
            axis.set_xticks(range(len(doses)), [f"{100 * dose:g} %" for dose in doses])
            axis.set_title(name, fontsize=10)
            if score in _LOGARITHMIC:
                axis.set_yscale("log")
            elif score in _LINEAR_UP_TO:
                _linear_in_the_middle(axis, "y", _LINEAR_UP_TO[score])
            axis.grid(axis="y", color="0.9")
        patches = [_patch(colors[method.name], method.title) for method in shown]
        figure.legend(handles=patches, loc="outside right upper", fontsize=8)


def save_bland_altman(path: Path, rows: Sequence[Row], methods: Sequence[Method], family: str) -> None:
    """Bland-Altman plots of nRCBV: a row a dose, a column a method, a dot a person.

    :param rows: of one family, table `truth`, with nRCBV
    """
    shown = [method for method in methods if cell(rows_of(rows, method=method.name), "nrcbv").count]
    doses = doses_of(rows)
    with sheet(
        path, 2.5 * len(shown) + 0.8, 2.4 * len(doses) + 1, f"nRCBV against the truth, {family}; {_GRADES}"
    ) as figure:
        axes = figure.subplots(len(doses), len(shown), sharex=True, sharey="row", squeeze=False)
        for line, dose in zip(axes, doses, strict=True):
            for axis, method in zip(line, shown, strict=True):
                own = [row for row in rows_of(rows, dose=dose, method=method.name) if "nrcbv" in row]
                for grade, color in (("low", "tab:blue"), ("high", "tab:red"), ("", "0.4")):
                    found, true = (
                        np.array([row[name] for row in rows_of(own, grade=grade)])
                        for name in ("nrcbv", "nrcbv_reference")
                    )
                    axis.plot((found + true) / 2, found - true, ".", color=color)
                limits = nrcbv_agreement(own).limits
                for level, style in (
                    () if limits is None else ((limits.bias, "-"), (limits.low, "--"), (limits.high, "--"))
                ):
                    axis.axhline(level, color="black", linestyle=style, linewidth=0.8)
                axis.axhline(0, color="0.8", linewidth=0.6)
                _linear_in_the_middle(axis, "y", _LINEAR_UP_TO["nrcbv_error"])
                _linear_in_the_middle(axis, "x", _RATIOS_LINEAR_UP_TO)
            line[0].set_ylabel(f"{100 * dose:g} % dose\nmap minus truth")
        for axis, method in zip(axes[0], shown, strict=True):
            axis.set_title(method.title, fontsize=9)
        for axis in axes[-1]:
            axis.set_xlabel("mean of both")


def save_calibration(path: Path, rows: Sequence[Row], methods: Sequence[Method], family: str) -> None:
    """Observed over nominal coverage of the uncertainty's intervals, a panel a dose.

    :param rows: of one family, table `truth`, some with coverage
    """
    shown = [method for method in methods if cell(rows_of(rows, method=method.name), "coverage_95").count]
    doses, colors = doses_of(rows), colors_of([method.name for method in shown])
    with sheet(path, 3.2 * len(doses), 3.8, f"Coverage of the uncertainty's intervals, {family}") as figure:
        axes = figure.subplots(1, len(doses), sharey=True, squeeze=False)[0]
        for axis, dose in zip(axes, doses, strict=True):
            axis.plot([0, 100], [0, 100], color="0.7", linewidth=0.8)
            for method in shown:
                own = rows_of(rows, dose=dose, method=method.name)
                observed = [100 * cell(own, f"coverage_{100 * level:.0f}").mean for level in LEVELS]
                axis.plot(
                    [100 * level for level in LEVELS], observed, "o-", color=colors[method.name], label=method.title
                )
            axis.set_title(f"{100 * dose:g} % dose", fontsize=10)
            axis.set_xlabel("nominal, %")
        axes[0].set_ylabel("observed, %")
        axes[0].legend(fontsize=8)


def _values(rows: Sequence[Row], score: str) -> list[float]:
    return [row[score] for row in rows if row.get(score) is not None]


def _linear_in_the_middle(axis: Axes, direction: str, limit: float) -> None:
    """An axis that is linear up to a value on either side of 0, and logarithmic beyond."""
    from matplotlib.ticker import FixedLocator, NullLocator

    scale, lines = (axis.set_xscale, axis.xaxis) if direction == "x" else (axis.set_yscale, axis.yaxis)
    scale("symlog", linthresh=limit, linscale=2)
    ticks = [limit * step for step in (0.5, 1, 10, 100)]
    lines.set_major_locator(FixedLocator([0, *ticks, *(-tick for tick in ticks)]))
    lines.set_minor_locator(NullLocator())
    lines.set_major_formatter("{x:g}")


def _title(family: str, table: str) -> str:
    return f"{family}: against the {_AGAINST[table]}"


def _patch(color: Color, label: str) -> Patch:
    from matplotlib.patches import Patch

    return Patch(facecolor=color, label=label)
