"""The table of a cohort: one row a case, done or failed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from stunet_perfusion.cases import Case
from stunet_perfusion.cohort.jobs import CaseOutcome
from stunet_perfusion.cohort.numbers import NUMBERS
from stunet_perfusion.cohort.outliers import unusual_cases
from stunet_perfusion.preprocessing.quality.report import LIGHTS
from stunet_perfusion.support.plain_text import defused
from stunet_perfusion.support.staged import staged_file


def summary_rows(cases: Sequence[Case], outcomes: Mapping[str, CaseOutcome]) -> list[dict[str, str]]:
    """Rows of text: who, what became of it, every number, in which of them it
    is unlike the others of the cohort, the table's own columns, notes, and the error's sentence.

    :param outcomes: by name of the case
    """
    facts = list(dict.fromkeys(name for case in cases for name in case.facts))
    unusual = unusual_cases({name: outcome.numbers for name, outcome in outcomes.items()})
    rows = []
    for case in cases:
        outcome = outcomes[case.name]
        row = {"case": case.name, "subject": case.subject, "part": case.part, "status": outcome.status}
        row |= {name: _cell(outcome.numbers.get(name)) for name in NUMBERS}
        row |= {name: case.facts.get(name, "") for name in facts if name not in row}
        if (light := outcome.numbers.get("quality")) is not None:
            row["quality"] = LIGHTS[int(light)]
        row["unusual"] = " ".join(unusual.get(case.name, ()))
        rows.append(row | {"notes": " ".join(outcome.notes), "error": outcome.error})
    return rows


def write_summary(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write the table as CSV.

    :raises OutputError: it cannot be written
    """
    with staged_file(path) as staged, open(staged, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: defused(cell) for name, cell in row.items()} for row in rows)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
