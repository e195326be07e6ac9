"""`stunet-perfusion qin`: cases from a download of TCIA QIN-BRAIN-DSC-MRI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from stunet_perfusion.cases import PARTS, Case, write_cases
from stunet_perfusion.cli import options
from stunet_perfusion.qin.conversion import case_names, convert_session
from stunet_perfusion.qin.finding import Session, find_sessions
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.training.subject_split import PAPER, split_subjects
from stunet_perfusion.writing import write_json


def command(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="folder that the collection was downloaded to")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="CASES", help="folder for cases and cases.csv")],
    split: Annotated[
        str, typer.Option("--split", metavar="N,N,N", help="subjects to train, validate and test, or their ratio")
    ] = ",".join(map(str, PAPER)),
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Subjects are found by PatientID and date, whatever the folders are called. Series of more than 256 x 256 pixels
    were resampled and are reduced by averaging; masks are resampled to the series. Writes a folder a case, cases.csv
    for 'batch', 'train' and 'evaluate', and qin.json, which says what is missing.
    """
    shares = _shares(split)
    rows: list[dict[str, Any]] = []
    cases: list[Case] = []
    with options.progress_bar(quiet=json) as progress:
        sessions = find_sessions(root, part_of(progress, 0.0, 0.1))
        names = case_names(sessions)
        for n, (session, name) in enumerate(zip(sessions, names, strict=True)):
            of_session = part_of(progress, 0.1 + 0.9 * n / len(sessions), 0.1 + 0.9 * (n + 1) / len(sessions))
            row: dict[str, Any] = {
                "case": name,
                "subject": session.subject,
                "missing": list(session.missing),
                "notes": [],
            }
            try:
                converted = convert_session(session, output, name, of_session)
            except InputError as error:
                row["error"] = str(error)
            else:
                cases.append(converted.case)
                row["notes"] = list(converted.notes)
            rows.append(row)
    if not cases:
        first = rows[0].get("error", "")
        raise InputError(root, f"holds no usable DSC series ({first})", "download the DSC series of the collection too")
    parts = split_subjects((case.subject for case in cases), seed, shares)
    cases = [replace(case, part=parts[case.subject]) for case in cases]
    write_cases(output / "cases.csv", cases)
    part_of_case = {case.name: case.part for case in cases}
    for row in rows:
        row["part"] = part_of_case.get(row["case"])
    document: dict[str, Any] = {
        "collection": "TCIA QIN-BRAIN-DSC-MRI, doi 10.7937/K9/TCIA.2016.5DI84Js8",
        "seed": seed,
        "split": dict(zip(PARTS, shares, strict=True)),
        "subjects": {part: sum(found == part for found in parts.values()) for part in PARTS},
        "sessions": rows,
    }
    write_json(output / "qin.json", document)
    if json:
        options.print_json(document)
        return
    options.console.print(_table(sessions, rows))
    counts = ", ".join(f"{count} to {part}" for part, count in document["subjects"].items())
    options.console.print(f"Wrote {len(cases)} cases to {output / 'cases.csv'}: {counts} (subjects).")


def _shares(text: str) -> tuple[int, int, int]:
    words = text.split(",")
    if len(words) != 3 or not all(word.strip().isdecimal() for word in words) or not any(map(int, words)):
        raise InputError("--split", f"'{text}' is not three numbers of subjects", "write for example 25,12,12")
    train, validation, test = map(int, words)
    return train, validation, test


def _table(sessions: list[Session], rows: list[dict[str, Any]]) -> Table:
    table = Table(title="QIN-BRAIN-DSC-MRI", title_justify="left")
    for column in ("case", "part", "missing", "what else"):
        table.add_column(column)
    for session, row in zip(sessions, rows, strict=True):
        remarks = row.get("error") or " ".join(session.notes)
        table.add_row(row["case"], row["part"] or "left out", ", ".join(row["missing"]) or "nothing", remarks)
    return table
