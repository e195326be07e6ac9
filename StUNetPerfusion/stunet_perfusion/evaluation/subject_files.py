"""The scores of a subject as a file, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stunet_perfusion import __version__
from stunet_perfusion.evaluation.methods import Method, Table
from stunet_perfusion.evaluation.panels import PanelKeeper
from stunet_perfusion.evaluation.scores import SubjectScores, score_subject
from stunet_perfusion.evaluation.subjects import Subject
from stunet_perfusion.support.documents import read_json
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.writing import write_json

#: Raised when scores come out otherwise from the same maps.
SCORES_VERSION = 1


def fingerprint(subject: Subject, methods: Sequence[Method], tables: Sequence[Table]) -> str:
    """A hash of all that decides a subject's scores."""
    document = {
        "program": [__version__, SCORES_VERSION],
        "subject": dict(subject.key),
        "methods": [[method.name, dict(method.key)] for method in methods],
        "tables": list(tables),
        "equation1": "mirrored",
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode("utf-8")).hexdigest()


def scores_of(
    subject: Subject,
    methods: Sequence[Method],
    tables: Sequence[Table],
    folder: Path,
    pictured: bool,
    progress: Progress = no_progress,
) -> SubjectScores:
    """Score a subject, or read what was scored before with the same data and methods.

    :param folder: `<family>-<name>.json` is written there, and with `pictured` the slices shown as `.npz`
    :raises InputError: as `score_subject`
    :raises OutputError: a file cannot be written
    """
    path = folder / f"{subject.family}-{subject.name}.json"
    key = fingerprint(subject, methods, tables)
    if (kept := _kept(path, key)) is not None and (not pictured or panels_file(path).is_file()):
        return kept
    keeper = PanelKeeper()
    watch = keeper if pictured else lambda *_: None
    scores = score_subject(subject, methods, tables, watch=watch, progress=progress)
    keeper.write(panels_file(path))
    write_json(path, {"fingerprint": key, "rows": _without_nan(scores.rows), "failures": scores.failures})
    return _kept(path, key) or scores


def panels_file(path: Path) -> Path:
    """Where the slices of a subject are, given the file of its scores."""
    return path.with_suffix(".npz")


def _kept(path: Path, key: str) -> SubjectScores | None:
    try:
        document = read_json(path)
        if document["fingerprint"] != key:
            return None
        return SubjectScores(document["rows"], document["failures"])
    except (ValueError, KeyError, TypeError):
        return None


def _without_nan(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no NaN: such numbers are left out."""
    return [{name: value for name, value in row.items() if value == value} for row in rows]
