"""Options that mean the same for every verb, and how a verb talks: a progress bar for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from stunet_perfusion.preprocessing.mending import parse_mend
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.plain_text import shown
from stunet_perfusion.support.progress import Progress, no_progress

Series = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="4-D NIfTI, .nrrd or .seq.nrrd sequence, or a folder: DICOM, one volume per frame, or BIDS",
    ),
]
Which = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="NAME",
        help="series of a folder that holds several: DICOM number, description or UID, or a part of the file's name",
    ),
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="folder for the results")]
EchoTime = Annotated[
    float | None, typer.Option("--echo-time", metavar="SECONDS", help="echo time (TE); overrides the file")
]
FrameInterval = Annotated[
    float | None,
    typer.Option("--frame-interval", metavar="SECONDS", help="time between frames; overrides the file"),
]
DropFrames = Annotated[
    str,
    typer.Option(
        "--drop-frames", metavar="auto|N", help="number of first frames to leave out (not yet in steady state)"
    ),
]
Mend = Annotated[
    str,
    typer.Option(
        "--mend",
        metavar="auto|off|KINDS",
        help="repairs of a damaged series: auto (all), off, or some of motion,frames,level",
    ),
]
WhichBolus = Annotated[
    str,
    typer.Option("--bolus", metavar="auto|N", help="bolus to use if there are several; auto: the last full-dose one"),
]
Mask = Annotated[Path | None, typer.Option("--mask", metavar="FILE", help="brain mask; found automatically by default")]
WhiteMatter = Annotated[
    Path | None,
    typer.Option(
        "--nawm", metavar="FILE", help="normal white matter, the unit of nCBV; found automatically by default"
    ),
]
Bids = Annotated[
    bool, typer.Option("--bids", help="name the files as a BIDS derivative, each with a sidecar instead of report.json")
]
Subject = Annotated[
    str | None,
    typer.Option("--subject", metavar="LABEL", help="subject for --bids, if the input's name has no sub-LABEL"),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="seed of the random numbers")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="replace files that are no results of this program; never those it reads")
]
Anonymous = Annotated[
    bool, typer.Option("--anonymous", help="keep every path out of the report; 'repeat' then asks for the files")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of text and progress")]


def plain_console(stderr: bool = False) -> Console:
    """A console that prints what it is given, on one line where it was one.

    Names of files may hold what rich would take for its own markup, `a[/b]` or `:smile:`.
    """
    return _PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


class _PlainConsole(Console):
    """Texts from outside, such as the description of a DICOM series, give the terminal no commands."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(shown(each) if isinstance(each, str) else each for each in objects), **options)


#: What a person reads goes here; only results go to the standard output.
console = plain_console(stderr=True)


def frames_option(text: str, option: str) -> int | Literal["auto"]:
    """`auto`, or a number of frames.

    :raises InputError: anything else
    """
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit():
        return int(text)
    raise InputError(option, f"'{text}' is neither a number of frames nor 'auto'", f"write for example {option} 2")


def mend_option(text: str) -> str:
    """What is mended.

    :raises InputError: as `parse_mend`
    """
    parse_mend(text)
    return text


def print_notes(report: dict[str, Any]) -> None:
    """What a report notes, and which quality lights are yellow, for people."""
    for note in report["notes"]:
        console.print(note)
    for finding in (report.get("quality") or {}).get("findings", ()):
        if finding["light"] == "yellow":
            console.print(f"Quality: {finding['meaning']} {finding['advice']}".strip())


@contextmanager
def progress_bar(quiet: bool, lines: bool = False) -> Iterator[Progress]:
    """A `Progress` that draws a bar on the terminal, or nothing at all where `quiet`.

    :param lines: where there is no terminal but a pipe or a file, write a line at every tenth; else nothing
    """
    if quiet or not console.is_terminal:
        yield _lines() if lines and not quiet else no_progress
        return
    columns = (TextColumn("{task.description:<34}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)


def _lines() -> Progress:
    told = -1

    def tell(fraction: float, message: str) -> None:
        nonlocal told
        # A sum of shares may be a hair less than the tenth that it means.
        tenth = int(10 * fraction + 1e-6)
        if tenth > told:
            told = tenth
            console.print(f"{10 * tenth:3d} %  {message}")

    return tell


def print_json(document: dict[str, Any]) -> None:
    """Print a JSON document, and nothing else, to the standard output."""
    print(json.dumps(document, indent=2, allow_nan=False))
