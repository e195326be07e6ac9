"""The Markdown report of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stunet_perfusion.evaluation.methods import Method
from stunet_perfusion.evaluation.paper_table import PAPER_TABLE, SOURCE
from stunet_perfusion.evaluation.summary import (
    Row,
    cell,
    doses_of,
    families_of,
    grading,
    nrcbv_agreement,
    rows_of,
)

_FAMILIES = {
    "cases": "cases from files",
    "training": "phantoms of the training family (heads that were not used for training)",
    "second": "phantoms of the second family (never used for training)",
}
_PAPER_ROWS = {
    "l2": ("L2 (10⁻²)", 100),
    "tumor_l2": ("t-L2 (10⁻²)", 100),
    "l1": ("L1 (10⁻²)", 100),
    "tumor_l1": ("t-L1 (10⁻²)", 100),
    "ssim": ("SSIM (%)", 100),
}

#: Columns of the table against the truth: score, heading, factor, and whether the smaller is the better (None: near
#: to 1 or to no error, which no bold face can tell).
_TRUTH_COLUMNS: tuple[tuple[str, str, float, bool | None], ...] = (
    ("l2", "L2 (10⁻²)", 100, True),
    ("l1", "L1 (10⁻²)", 100, True),
    ("ssim", "SSIM (%)", 100, False),
    ("nrmse", "NRMSE (%)", 100, True),
    ("concordance", "concordance", 1, False),
    ("bias", "bias", 1, None),
    ("limit_low", "lower limit", 1, None),
    ("limit_high", "upper limit", 1, None),
    ("edge_sharpness", "edge sharpness", 1, None),
    ("hot_spot_error", "hot-spot error", 1, None),
    ("nrcbv_error", "nRCBV error", 1, None),
    ("coverage_95", "coverage of 95 % (%)", 100, None),
)


def report_text(
    rows: Sequence[Row],
    methods: Sequence[Method],
    about: Mapping[str, Any],
    figures: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The whole report.

    :param rows: of all subjects
    :param about: what is said in the list on top, by heading
    :param figures: names of the image files
    :param notes: what readers have to know, one sentence each
    """
    parts = ["# Evaluation", "**Research use only: not for diagnosis.**"]
    parts.append("\n".join(f"- {name}: {value}" for name, value in about.items()))
    if notes:
        parts.append("\n".join(f"> {note}  " for note in notes))
    for family in families_of(rows):
        of_family = rows_of(rows, family=family)
        count = len({row["subject"] for row in of_family})
        parts.append(f"## {_FAMILIES[family][0].upper()}{_FAMILIES[family][1:]}\n\n{count} subjects.")
        if paper := rows_of(of_family, table="paper"):
            parts += [_paper_section(paper, methods)]
        if truth := rows_of(of_family, table="truth"):
            parts += [_truth_section(truth, methods), _cohort_section(truth, methods)]
    if figures:
        parts.append("## Figures")
        parts += [f"![{name.rsplit('.', 1)[0].replace('_', ' ')}]({name})" for name in figures]
    return "\n\n".join(parts) + "\n"


def table_text(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _paper_section(rows: Sequence[Row], methods: Sequence[Method]) -> str:
    shown = [method for method in methods if "paper" in method.tables and rows_of(rows, method=method.name)]
    head = ["dose and score", *(method.title for method in shown), *(f"{name} (paper)" for name in PAPER_TABLE)]
    lines = []
    for dose in doses_of(rows):
        for score, (name, factor) in _PAPER_ROWS.items():
            cells = {method.name: cell(rows_of(rows, dose=dose, method=method.name), score) for method in shown}
            known = [found.mean for found in cells.values() if found.count]
            best = (max if score == "ssim" else min)(known, default=None)
            line = [f"{100 * dose:g} %, {name}"]
            for method in shown:
                found = cells[method.name]
                line.append(_mean_sd(found.mean, found.sd, factor, found.mean == best) if found.count else "n/a")
            for column in PAPER_TABLE.values():
                mean_sd = column.get(dose, {}).get(score)
                line.append("n/a" if mean_sd is None else f"*{_mean_sd(*mean_sd, factor)}*")
            lines.append(line)
    return (
        "### The paper's Table 1\n\nMean (SD) over subjects. Each standardized CBV map is compared with the full-dose "
        "reference map. Lower doses are simulated by Equation 1. The best value of each row is bold. Verbena takes S0 "
        f"from the first frame. The paper's own figures, **from other data**, are in italics: {SOURCE}.\n\n"
        "Equation 1 is a linear filter. It can be inverted, and the filtered noise shows which dose was simulated. "
        "*Verbena, Equation 1 undone* does not know the dose, estimates it and inverts the filter; it has learned "
        "nothing. Its scores show how much of this table is due to the filter. A dose that was really injected leaves "
        "nothing to invert.\n\n" + table_text(head, lines)
    )


def _truth_section(rows: Sequence[Row], methods: Sequence[Method]) -> str:
    parts = [
        "### Against the noise-free truth\n\nLower doses are acquired, not computed from the full dose. Mean (SD) over "
        "subjects. L1, L2 and SSIM use standardized maps. All other scores use maps in multiples of normal-appearing "
        "white matter, if its mean is at least a tenth of the brain's mean. Bias and limits of agreement follow Bland "
        "and Altman, voxel by voxel. Edge sharpness is 1 for the truth."
    ]
    for dose in doses_of(rows):
        shown = [method for method in methods if rows_of(rows, dose=dose, method=method.name)]
        cells = {
            (method.name, score): cell(rows_of(rows, dose=dose, method=method.name), score)
            for method in shown
            for score, *_ in _TRUTH_COLUMNS
        }
        lines = []
        for method in shown:
            line = [method.title]
            for score, _, factor, smaller in _TRUTH_COLUMNS:
                found = cells[method.name, score]
                known = [cells[other.name, score].mean for other in shown if cells[other.name, score].count]
                best = None if smaller is None else (min if smaller else max)(known, default=None)
                missing = len(rows_of(rows, dose=dose, method=method.name)) - found.count
                text = _mean_sd(found.mean, found.sd, factor, found.mean == best, missing)
                line.append(text if found.count else "")
            lines.append(line)
        parts.append(f"**{100 * dose:g} % dose**\n\n" + table_text(["map", *(c[1] for c in _TRUTH_COLUMNS)], lines))
    return "\n\n".join(parts)


def _cohort_section(rows: Sequence[Row], methods: Sequence[Method]) -> str:
    lines = []
    for dose in doses_of(rows):
        for method in methods:
            own = rows_of(rows, dose=dose, method=method.name)
            found = nrcbv_agreement(own)
            if found.limits is None:
                continue
            limits = found.limits
            numbers = (found.concordance, limits.bias, limits.low, limits.high, grading(own), grading(own, "hot_spot"))
            lines.append([f"{100 * dose:g} %, {method.title}", str(found.count), *(f"{n:.3f}" for n in numbers)])
    if not lines:
        return ""
    head = ["dose and map", "subjects", "concordance", "bias", "lower limit", "upper limit", "AUC", "AUC of hot spot"]
    ceiling = grading(rows_of(rows, dose=1.0), "nrcbv_reference")
    return (
        "### Ratio of living tumor to white matter (nRCBV), one number per subject\n\n"
        f"AUC: high-grade against low-grade tumors. The true maps reach {ceiling:.3f}.\n\n" + table_text(head, lines)
    )


def _mean_sd(mean: float, sd: float, factor: float, best: bool = False, missing: int = 0) -> str:
    digits = 2 if factor == 100 else 3
    text = f"{factor * mean:.{digits}f}"
    text = f"**{text}**" if best else text
    text = text if sd != sd else f"{text} ({factor * sd:.{digits}f})"
    return f"{text}, {missing} missing" if missing else text
