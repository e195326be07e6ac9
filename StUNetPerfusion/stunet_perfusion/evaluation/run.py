"""The whole evaluation: every subject in turn, then tables, figures and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stunet_perfusion.evaluation.figures import save_figures
from stunet_perfusion.evaluation.methods import Method, Table
from stunet_perfusion.evaluation.report import report_text
from stunet_perfusion.evaluation.subject_files import scores_of
from stunet_perfusion.evaluation.subjects import Subject
from stunet_perfusion.evaluation.tables import write_table
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.support.staged import staged_file

#: Where the files of subjects are, and the files of the whole.
SUBJECTS = "subjects"
SCORES = "scores.csv"
REPORT = "report.md"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    :param rows: every number, one row a subject, table, dose and method
    :param notes: what went wrong, one sentence each
    """

    rows: list[dict[str, Any]]
    notes: list[str]


def evaluate(
    subjects: Sequence[Subject],
    methods: Sequence[Method],
    tables: Sequence[Table],
    output: Path,
    *,
    pictures: int = 2,
    progress: Progress = no_progress,
) -> tuple[Evaluation, list[Subject]]:
    """Score all subjects. Each leaves a file, and an evaluation of the same goes on behind the last one.

    A subject that cannot be used becomes a note, and does not stop the others.

    :param pictures: how many subjects of each family are shown
    :returns: what was found, and the subjects whose maps were kept for the figures
    :raises InputError: no subject could be used
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    pictured: list[Subject] = []
    for n, subject in enumerate(subjects):
        report = part_of(progress, n / len(subjects), (n + 1) / len(subjects))
        show = sum(other.family == subject.family for other in pictured) < pictures
        name = f"{subject.family} {subject.name}"
        try:
            found = scores_of(subject, methods, tables, output / SUBJECTS, show, report)
        except InputError as error:
            notes.append(f"{name} was left out: {error}")
            continue
        if show:
            pictured.append(subject)
        about = {"family": subject.family, "subject": subject.name, "head": subject.head, "grade": subject.grade}
        rows += [about | row for row in found.rows]
        notes += [
            f"{name}, {failure['method'] or 'every method'} at {100 * failure['dose']:g} %: {failure['error']}"
            for failure in found.failures
        ]
    if not rows:
        raise InputError("evaluation", notes[0] if notes else "has no subjects", "check cases and heads")
    return Evaluation(rows, notes), pictured


def write_evaluation(
    output: Path,
    found: Evaluation,
    methods: Sequence[Method],
    pictured: Sequence[Subject],
    about: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> list[str]:
    """Write `scores.csv`, the figures and `report.md`.

    :returns: the names of the files
    :raises InputError: matplotlib is not installed
    :raises OutputError: a file cannot be written
    """
    write_table(output / SCORES, found.rows)
    figures = save_figures(output, output / SUBJECTS, found.rows, methods, pictured)
    with staged_file(output / REPORT) as file:
        text = report_text(found.rows, methods, about, figures, [*notes, *found.notes])
        file.write_text(text, encoding="utf-8")
    return [SCORES, REPORT, *figures]


def heads_in_training(subjects: Sequence[Subject], trainings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Warnings where the document of a checkpoint names the head of a subject.

    :param trainings: what checkpoints say of their training, by name
    """
    heads = {subject.head for subject in subjects if subject.head not in ("", "mni", "drawn")}
    return [
        f"{name} names {head} among what it was trained with: its scores on that head are no test."
        for name, training in trainings.items()
        for head in sorted(heads)
        if head in str(training)
    ]
