"""All figures of an evaluation, from its rows and the slices that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stunet_perfusion.evaluation.map_figure import save_maps
from stunet_perfusion.evaluation.methods import Method
from stunet_perfusion.evaluation.score_figures import save_bland_altman, save_boxes, save_calibration
from stunet_perfusion.evaluation.subject_files import panels_file
from stunet_perfusion.evaluation.subjects import Subject
from stunet_perfusion.evaluation.summary import Row, cell, families_of, rows_of


def save_figures(
    folder: Path, subjects_folder: Path, rows: Sequence[Row], methods: Sequence[Method], pictured: Sequence[Subject]
) -> list[str]:
    """Draw what the rows allow.

    :param folder: where figures go
    :param subjects_folder: where the slices of subjects are
    :param pictured: subjects whose maps are shown
    :returns: the files' names
    :raises InputError: matplotlib is not installed
    """
    names = []
    for subject in pictured:
        for table in ("paper", "truth"):
            own = rows_of(rows, family=subject.family, subject=subject.name, table=table)
            name = f"maps_{subject.family}_{subject.name}_{table}.png"
            panels = panels_file(subjects_folder / f"{subject.family}-{subject.name}.json")
            if save_maps(folder / name, panels, own, methods, table, f"CBV, {subject.family} {subject.name}"):
                names.append(name)
    for family in families_of(rows):
        for table in ("paper", "truth"):
            if own := rows_of(rows, family=family, table=table):
                names.append(f"boxes_{family}_{table}.png")
                save_boxes(folder / names[-1], own, methods, table, family)
        truth = rows_of(rows, family=family, table="truth")
        if cell(truth, "nrcbv").count:
            names.append(f"bland_altman_{family}.png")
            save_bland_altman(folder / names[-1], truth, methods, family)
        if cell(truth, "coverage_95").count:
            names.append(f"calibration_{family}.png")
            save_calibration(folder / names[-1], truth, methods, family)
    return names
