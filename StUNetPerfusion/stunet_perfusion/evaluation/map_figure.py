"""The paper's Fig. 1 for a subject: a row a dose, a column a method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stunet_perfusion.evaluation.methods import Method, Table
from stunet_perfusion.evaluation.panels import TRUTH, panel_name
from stunet_perfusion.evaluation.summary import Row, doses_of, rows_of
from stunet_perfusion.runs.figures import Panel, save_comparison

_LOWERED = {"paper": "lower doses by Equation 1", "truth": "acquired at each dose"}


def save_maps(
    path: Path, panels: Path, rows: Sequence[Row], methods: Sequence[Method], table: Table, title: str
) -> bool:
    """Draw the slices that were kept of a subject, with L1 under each.

    :param panels: the `.npz` file of the subject
    :param rows: of the subject, this table
    :returns: whether there was anything to draw
    """
    if not panels.is_file() or not rows:
        return False
    with np.load(panels) as file:
        images = dict(file)
    doses = doses_of(rows)
    shown = [m for m in methods if any(panel_name(table, dose, m.name) in images for dose in doses)]
    if not shown:
        return False
    blank = np.zeros_like(next(iter(images.values())))
    lines = {}
    for dose in doses:
        line = []
        for method in shown:
            image = images.get(panel_name(table, dose, method.name))
            own = rows_of(rows, dose=dose, method=method.name)
            caption = f"L1 {own[0]['l1']:.3f}" if own else ""
            line.append(Panel(blank if image is None else image, caption))
        if table == "truth":
            line.append(Panel(images[TRUTH]))
        lines[f"{100 * dose:g} % dose"] = line
    columns = [method.title for method in shown] + (["truth"] if table == "truth" else [])
    against = "the full-dose reference" if table == "paper" else "the truth"
    save_comparison(
        path,
        lines,
        columns,
        f"{title}; {_LOWERED[table]}",
        f"L1 of standardized maps against {against}, brain of all slices. Research use only: not for diagnosis.",
    )
    return True
