"""`stunet-perfusion regions`: numbers of regions in the maps of a run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stunet_perfusion.cli import options
from stunet_perfusion.regions.region_error import Interval
from stunet_perfusion.runs.output import refuse_output_in_input
from stunet_perfusion.runs.regions import MeasuredRun, MirrorSettings, measure_run, write_regions
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.staged import staged_output


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="folder that 'predict' or 'reference' wrote")],
    regions: Annotated[
        list[Path] | None, typer.Option("--region", metavar="MASK", help="a region; may be given several times")
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="measure the same region on the other side, too")] = False,
    turn: Annotated[
        float, typer.Option("--turn", metavar="DEGREES", help="turn the plane of symmetry, counterclockwise from above")
    ] = 0.0,
    shift: Annotated[
        float, typer.Option("--shift", metavar="MM", help="shift the plane of symmetry to the patient's right")
    ] = 0.0,
    diameter: Annotated[
        float,
        typer.Option("--hot-spot", metavar="VOXELS", help="diameter of the disk that the hot spot is the mean of"),
    ] = 3.0,
    thresholds: Annotated[
        str, typer.Option("--thresholds", metavar="A,B", help="nCBV between the classes of tumor burden")
    ] = "1.0,1.75",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="write regions.json, classes, hot spots and mirror images"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Prints volume, mean nCBV, hot spot (highest mean of a small disk), fractional tumor burden, and means of the
    other maps, with 95 % intervals where the run has an uncertainty. With a map of Tmax (reference --maps all) also
    the volume of tissue above 6 s and its mismatch, for research use only.
    """
    if (turn or shift) and not mirror:
        raise InputError("--turn and --shift", "move the plane of --mirror", "give --mirror, too")
    measured = measure_run(
        run,
        regions or [],
        mirror=MirrorSettings(mirror, turn, shift),
        diameter=diameter,
        thresholds=_numbers(thresholds),
    )
    document = measured.as_json()
    if output is not None:
        refuse_output_in_input(run, output)
        with staged_output(output) as stage:
            document = write_regions(stage, measured)
    if json:
        options.print_json(document)
        return
    for note in measured.notes:
        options.console.print(note)
    options.plain_console().print(_table(measured))


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError("--thresholds", f"'{text}' are no numbers", "write for example 1.0,1.75") from None


def _table(measured: MeasuredRun) -> Table:
    table = Table(
        title="nCBV, x white matter",
        caption="Research use only: not for diagnosis.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    for name in measured.regions:
        table.add_column(name, justify="right")
    numbers = list(measured.regions.values())
    table.add_row("volume, ml", *(f"{each.milliliters:.1f}" for each in numbers))
    table.add_row("mean nCBV", *(_with_interval(each.ncbv) for each in numbers))
    table.add_row("hot spot", *(_with_interval(each.hot_spot_ncbv) for each in numbers))
    if any(each.mirror_ncbv is not None for each in numbers):
        others = ("" if each.mirror_ncbv is None else _with_interval(each.mirror_ncbv) for each in numbers)
        table.add_row("other side", *others)
    if numbers:
        thresholds = numbers[0].burden.thresholds
        names = [
            f"below {thresholds[0]:g}",
            *(f"{a:g} to {b:g}" for a, b in pairwise(thresholds)),
        ]
        names.append(f"above {thresholds[-1]:g}")
        for place, name in enumerate(names):
            table.add_row(f"burden {name}, %", *(_with_interval(each.burden.shares[place], 100) for each in numbers))
        for name in numbers[0].means:
            table.add_row(f"mean {name}", *(f"{each.means[name]:.3g}" for each in numbers))
    if measured.delayed is not None:
        late = measured.delayed
        table.add_section()
        table.add_row("Tmax above 6 s, ml", f"{late.late_ml:.1f}")
        table.add_row("of it without flow, ml", f"{late.core_ml:.1f}")
        table.add_row("mismatch, ml", f"{late.mismatch_ml:.1f}")
    return table


def _with_interval(number: Interval, factor: float = 1.0) -> str:
    digits = 2 if factor == 1 else 0
    text = f"{factor * number.value:.{digits}f}"
    if number.low is None or number.high is None:
        return text
    return f"{text} ({factor * number.low:.{digits}f} to {factor * number.high:.{digits}f})"
