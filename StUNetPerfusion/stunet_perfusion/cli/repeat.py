"""`stunet-perfusion repeat`: a run once more from its report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.runs.repeat import MapComparison, Repetition, repeat

#: Exit status where other maps came out.
DIFFERENT = 1


def command(
    report: Annotated[
        Path, typer.Argument(metavar="REPORT", help="report.json, or the sidecar of a map in a BIDS derivative")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="folder for the new maps; by default they are not kept"),
    ] = None,
    series: Annotated[Path | None, typer.Option("--input", metavar="INPUT", help="where the series is now")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="where the checkpoint is now")
    ] = None,
    mask: Annotated[Path | None, typer.Option("--mask", metavar="FILE", help="where the brain mask is now")] = None,
    vessels: Annotated[
        Path | None, typer.Option("--vessels", metavar="MASK", help="where the vessel mask is now")
    ] = None,
    nawm: Annotated[
        Path | None, typer.Option("--nawm", metavar="MASK", help="where the white-matter mask is now")
    ] = None,
    aif: Annotated[Path | None, typer.Option("--aif", metavar="FILE.txt", help="where the AIF is now")] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="auto|cpu|cuda:0|mps", help="compute on this device instead of the first run's"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Stops if the input, the checkpoint or a mask has changed. The exit status is 0 if the maps are the same (except
    for rounding), and 1 if they are not.
    """
    files = {"series": series, "checkpoint": checkpoint, "mask": mask, "vessels": vessels, "nawm": nawm, "aif": aif}
    given = {role: path for role, path in files.items() if path is not None}
    with options.progress_bar(quiet=json) as progress:
        result = repeat(report, output=output, files=given, device=device, progress=progress)
    if json:
        options.print_json(
            {
                "equal": result.equal,
                "maps": [asdict(map_) for map_ in result.maps],
                "other_versions": {name: list(pair) for name, pair in result.other_versions.items()},
            }
        )
    else:
        _print(result)
    if not result.equal:
        raise typer.Exit(DIFFERENT)


def _print(result: Repetition) -> None:
    for map_ in result.maps:
        options.console.print(f"{map_.name}: {_sentence(map_)}")
    for name, (then, now) in result.other_versions.items():
        options.console.print(f"{name} was {then or 'absent'} then, and is {now or 'absent'} now.")


def _sentence(map_: MapComparison) -> str:
    if map_.identical:
        return "the same, bit for bit"
    if map_.difference is None:
        return "different, by an unknown amount: the map next to the report is missing or was changed"
    how = "the same except for rounding" if map_.equal else "different"
    return f"{how}, by {map_.difference:.2g} of the map's standard deviation at most"
