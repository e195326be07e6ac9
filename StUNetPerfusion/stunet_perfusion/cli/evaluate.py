"""`stunet-perfusion evaluate`: the paper's table, the table against the truth, and the study of simulated doses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from stunet_perfusion import __version__
from stunet_perfusion.cases import read_cases
from stunet_perfusion.cli import options
from stunet_perfusion.evaluation.classical import classical_methods
from stunet_perfusion.evaluation.dose_study import StudySettings, study_doses
from stunet_perfusion.evaluation.dose_study_report import write_study
from stunet_perfusion.evaluation.drawing import check_matplotlib
from stunet_perfusion.evaluation.learned import network_methods
from stunet_perfusion.evaluation.methods import TABLES, Method
from stunet_perfusion.evaluation.phantom_subjects import FAMILIES, RIDGE_STREAM, heads_of, phantom_subjects
from stunet_perfusion.evaluation.ridge import read_ridge, ridge_method, write_ridge
from stunet_perfusion.evaluation.ridge_training import fit_ridge
from stunet_perfusion.evaluation.run import evaluate, heads_in_training, write_evaluation
from stunet_perfusion.evaluation.subjects import Subject, subjects_of_cases
from stunet_perfusion.networks.checkpoint import read_info
from stunet_perfusion.runs.provenance import versions
from stunet_perfusion.support.devices import choose_device
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, part_of
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.writing import write_json

RIDGE_FILE = "ridge.json"

TablesChoice = Literal["paper", "truth", "both"]
FamilyChoice = Literal["training", "second", "both"]
Study = Literal["maps", "dose"]


def command(
    output: options.OutputFolder,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", metavar="CSV", help="table of cases, as 'qin' writes it; those of part test"),
    ] = None,
    anatomy: Annotated[
        list[Path] | None,
        typer.Option("--anatomy", metavar="LABELS|DIR|mni|drawn", help="heads of the phantoms; may be repeated"),
    ] = None,
    tumors: Annotated[
        list[Path] | None, typer.Option("--tumors", metavar="MASK|DIR", help="tumor masks; simulated by default")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="networks to score; default: the shipped stU-Net"),
    ] = None,
    study: Annotated[Study, typer.Option(help="what to score: predicted maps, or dose simulations")] = "maps",
    table: Annotated[
        TablesChoice, typer.Option(help="scores against Verbena as in the paper, against the truth, or both")
    ] = "both",
    family: Annotated[FamilyChoice, typer.Option(help="family of phantoms")] = "both",
    subjects: Annotated[
        int, typer.Option(min=1, metavar="N", help="phantoms per family; every second one has a high-grade tumor")
    ] = 12,
    slice_step: Annotated[int, typer.Option(min=1, metavar="N", help="use every Nth slice of the phantoms only")] = 1,
    ridge: Annotated[
        Path | None, typer.Option("--ridge", metavar="FILE", help="ridge regression from an earlier evaluation")
    ] = None,
    ridge_anatomy: Annotated[
        list[Path] | None,
        typer.Option("--ridge-anatomy", metavar="LABELS|DIR", help="training heads for the ridge regression"),
    ] = None,
    smoothing: Annotated[
        str, typer.Option(metavar="MM,...", help="Gaussian filters for Verbena's map (FWHM in mm)")
    ] = "3,6",
    automatic_brain: Annotated[
        bool, typer.Option("--automatic-brain", help="find the brain of phantoms instead of using the true mask")
    ] = False,
    stride: Annotated[
        int,
        typer.Option(
            "--stride", min=1, metavar="N", help="strip stride in rows; 1 is the paper's choice, more is faster"
        ),
    ] = 1,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda:0|mps", help="where to compute")] = "auto",
    pictures: Annotated[int, typer.Option(min=0, metavar="N", help="subjects per family whose maps are drawn")] = 2,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Writes scores.csv with every number, figures and report.md. The same command continues a stopped evaluation."""
    started = time.monotonic()
    check_matplotlib()
    heads = heads_of(anatomy or [])
    masks = heads_of(tumors or [])
    with options.progress_bar(quiet=json) as progress:
        if study == "dose":
            if not heads:
                raise InputError("--anatomy", "is missing", "name a head to scan, for example --anatomy drawn")
            found = study_doses(heads, StudySettings(seed=seed, slice_step=slice_step), part_of(progress, 0, 0.95))
            files = write_study(output, found)
            _say(output, files, {"rows": found.rows}, json)
            return
        people = [] if cases is None else subjects_of_cases(read_cases(cases), "test")
        for name in FAMILIES if family == "both" else (family,):
            if heads:
                people += phantom_subjects(
                    heads,
                    name,
                    subjects,
                    tumors=masks,
                    seed=seed,
                    slice_step=slice_step,
                    automatic_brain=automatic_brain,
                )
        if not people:
            raise InputError("evaluate", "has nobody to evaluate", "give --cases CSV, --anatomy HEADS, or both")
        paths = checkpoint or [shipped_checkpoint()]
        learned = network_methods(paths, stride, choose_device(device))
        floor, ridge_note = _ridge(
            output,
            ridge,
            heads_of(ridge_anatomy or []),
            heads,
            cases,
            masks,
            seed,
            part_of(progress, 0, 0.1),
        )
        methods = [*classical_methods(_widths(smoothing)), *floor, *learned]
        tables = TABLES if table == "both" else (table,)
        result, shown = evaluate(
            people, methods, tables, output, pictures=pictures, progress=part_of(progress, 0.1, 0.98)
        )
        trainings = {path.stem: read_info(path).training for path in paths}
        about = {
            "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
            "device": device,
            "stride": stride,
            "seed": seed,
            "ridge regression": ridge_note,
            "networks": ", ".join(f"{name} ({_brief(training)})" for name, training in trainings.items()),
        }
        files = write_evaluation(output, result, methods, shown, about, heads_in_training(people, trainings))
    document = {
        "use": "Research use only: not for diagnosis.",
        **about,
        "versions": versions(),
        "methods": [{"name": method.name, "kind": method.kind, **method.key} for method in learned],
        "subjects": [{"family": one.family, "name": one.name, "grade": one.grade, **one.key} for one in people],
        "seconds": round(time.monotonic() - started, 1),
        "notes": result.notes,
    }
    write_json(output / "report.json", document)
    _say(output, [*files, "report.json"], document, json)


def _ridge(
    output: Path,
    given: Path | None,
    ridge_heads: tuple[str, ...],
    heads: tuple[str, ...],
    cases: Path | None,
    masks: tuple[str, ...],
    seed: int,
    progress: Progress,
) -> tuple[list[Method], str]:
    """The ridge regression from its file, or fitted and written; none where there is nobody to fit it to."""
    if given is not None:
        fits, trained_on = read_ridge(given)
        return [ridge_method(fits)], trained_on
    if shared := set(ridge_heads) & set(heads):
        raise InputError(sorted(shared)[0], "is both fitted to and evaluated", "give other heads to --ridge-anatomy")
    people: list[Subject] = []
    if ridge_heads:
        count = max(2 * len(ridge_heads), 8)
        people += phantom_subjects(
            ridge_heads, "training", count, tumors=masks, seed=seed, slice_step=4, stream=RIDGE_STREAM
        )
    train = [] if cases is None else [case for case in read_cases(cases) if case.part == "train"]
    if train:
        people += subjects_of_cases(train, "train")
    if not people:
        return [], "none: give --ridge FILE, --ridge-anatomy HEADS, or cases of part train"
    trained_on = f"{len(people)} subjects ({len(train)} cases, {len(people) - len(train)} phantoms)"
    fits = fit_ridge(people, progress)
    write_ridge(output / RIDGE_FILE, fits, trained_on)
    return [ridge_method(fits)], trained_on


def _widths(text: str) -> tuple[float, ...]:
    try:
        widths = tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError:
        widths = (-1.0,)
    if any(not 0 < width < 50 for width in widths):
        raise InputError("--smoothing", f"'{text}' are no widths", "write millimeters, for example 3,6")
    return widths


def _brief(training: dict[str, Any]) -> str:
    return str(training.get("data", "training unknown"))


def _say(output: Path, files: list[str], document: dict[str, Any], json: bool) -> None:
    if json:
        options.print_json({**document, "output": str(output), "files": files})
    else:
        options.console.print(f"Wrote {', '.join(files)} to {output}. Research use only: not for diagnosis.")
