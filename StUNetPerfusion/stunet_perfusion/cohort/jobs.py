"""One case of a cohort, as a worker computes it.

A case that is done has its maps, its report, and `case.json`: the numbers of the summary, and the key of everything
that decided them. Where the key is another today, the case is computed again. What computes is imported only then: a
cohort that is done is seen to be done at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stunet_perfusion import __version__
from stunet_perfusion.cases import Case
from stunet_perfusion.cohort.wording import in_table_words
from stunet_perfusion.inference.settings import PredictionSettings
from stunet_perfusion.reading.report import REPORT, read_report
from stunet_perfusion.reading.sidecar import read_sidecar
from stunet_perfusion.runs.anonymous import without_names
from stunet_perfusion.runs.output import results_folder
from stunet_perfusion.support.documents import filled_in, read_json
from stunet_perfusion.support.errors import InputError, StUNetPerfusionError
from stunet_perfusion.support.folders import files_below
from stunet_perfusion.support.plain_text import one_error
from stunet_perfusion.writing import write_json

if TYPE_CHECKING:
    from stunet_perfusion.cohort.measurements import Measurements
    from stunet_perfusion.runs.prediction import PredictionRequest, PredictionRun

#: Numbers and key of a case that is done.
DONE = "case.json"

#: Settings that change how fast a case is computed, but not what comes out.
_ONLY_SPEED = ("device", "batch")


@dataclass(frozen=True)
class CaseJob:
    """A case to be computed.

    :param case: with absolute paths
    :param output: the case's own folder, absolute
    :param checkpoint: absolute path
    :param settings: of the prediction
    :param key: of all that decides the result
    """

    case: Case
    output: Path
    checkpoint: Path
    settings: PredictionSettings
    key: str


@dataclass(frozen=True)
class CaseOutcome:
    """What became of a case.

    :param name: of the case
    :param status: `computed`, `kept` from an earlier run, or `failed`
    :param numbers: of the summary; empty where it failed
    :param error: the sentence of a case that failed
    :param notes: why numbers are missing, one sentence each
    """

    name: str
    status: str
    numbers: Mapping[str, float | None]
    error: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Done:
    """What `DONE` holds."""

    key: str
    numbers: dict[str, float | None]
    notes: tuple[str, ...]


def make_job(
    case: Case, folder: Path, checkpoint: Path, checkpoint_sha256: str, settings: PredictionSettings
) -> CaseJob:
    """The job of a case.

    :param folder: the cohort's
    """
    document = {
        "version": __version__,
        "checkpoint": checkpoint_sha256,
        "settings": {name: value for name, value in asdict(settings).items() if name not in _ONLY_SPEED},
        "echo_time": case.echo_time,
        "frame_interval": case.frame_interval,
        "sidecar": _sidecar(case.series),
        "files": {name: _state(path) for name, path in sorted({"series": case.series, **case.files}.items())},
    }
    key = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return CaseJob(case, folder / case.name, checkpoint, settings, key)


def kept_outcome(job: CaseJob) -> CaseOutcome | None:
    """What an earlier run left, or None where the case has to be computed: missing, incomplete, or made otherwise."""
    try:
        done = filled_in(_Done, read_json(job.output / DONE))
        report = read_report(job.output / REPORT)
    except (InputError, TypeError):
        return None
    if done.key != job.key or not all((job.output / map_.file).is_file() for map_ in report.maps.values()):
        return None
    return CaseOutcome(job.case.name, "kept", done.numbers, notes=done.notes)


def run_job(job: CaseJob) -> CaseOutcome:
    """Compute a case. Whatever goes wrong becomes the outcome's sentence, so that no case stops another."""
    try:
        found = _compute(job)
    except StUNetPerfusionError as error:
        return _failed(job, in_table_words(error))
    except MemoryError:
        return _failed(job, f"{job.case.name}: needs more memory than a worker has; use fewer workers")
    except Exception as error:
        return _failed(job, f"{job.case.name}: {type(error).__name__}: {error}")
    return CaseOutcome(job.case.name, "computed", found.numbers, notes=found.notes)


def _compute(job: CaseJob) -> Measurements:
    from stunet_perfusion.cohort.measurements import Measurements, measure_case
    from stunet_perfusion.runs.prediction import PredictionRequest

    case = job.case
    request = PredictionRequest(
        series=case.series,
        checkpoint=job.checkpoint,
        settings=job.settings,
        mask=case.files.get("mask"),
        nawm=case.files.get("nawm"),
        echo_time=case.echo_time,
        frame_interval=case.frame_interval,
    )
    # What a case of before has left is the cohort's, even where its report or a map of it is damaged.
    ours = (job.output / DONE).is_file()
    with results_folder(job.output, [*request.files().values(), *case.files.values()], overwrite=ours) as stage:
        run, notes = _predict(request, stage, job.output)
        measured = measure_case(run.case, case)
        found = Measurements(
            {**measured.numbers, "seconds": run.report["seconds"]},
            tuple(without_names(note, _names(case)) for note in (*notes, *measured.notes)),
        )
        write_json(stage / DONE, {"key": job.key, "numbers": dict(found.numbers), "notes": list(found.notes)})
    return found


def _names(case: Case) -> dict[str, Path]:
    return {"series": case.series, **case.files}


def _predict(request: PredictionRequest, stage: Path, output: Path) -> tuple[PredictionRun, tuple[str, ...]]:
    """Predict. White matter that was marked and cannot be used costs a sentence, and is found instead."""
    from stunet_perfusion.runs.prediction import run_prediction

    try:
        return run_prediction(request, stage, output), ()
    except InputError as error:
        if request.nawm is None or error.subject not in (request.nawm.name, str(request.nawm), "white matter"):
            raise
        return run_prediction(replace(request, nawm=None), stage, output), (f"nawm left out: {error}",)


def _failed(job: CaseJob, sentence: str) -> CaseOutcome:
    sentence = one_error(without_names(sentence, _names(job.case)))
    return CaseOutcome(job.case.name, "failed", {}, sentence)


def _sidecar(series: Path) -> dict[str, Any]:
    """What is said of a series besides; a wrong sidecar is complained about when the case is computed."""
    try:
        return read_sidecar(series).values
    except InputError:
        return {}


def _state(path: Path) -> list[Any]:
    """What changes when a file, or any file in a folder, is written again: names, sizes and times."""
    if path.is_dir():
        files = list(files_below(path))
        return sorted([file.relative_to(path).as_posix(), *_stat(file)] for file in files)
    return _stat(path)


def _stat(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]
