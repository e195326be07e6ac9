"""`stunet-perfusion report`: one page of a run, as PDF or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.reading.door import readers_door
from stunet_perfusion.reading.report import REPORT
from stunet_perfusion.runs.page_content import page_content
from stunet_perfusion.runs.report_page import result_sentence, save_page


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="folder that 'predict' or 'reference' wrote")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="page.pdf or page.png")],
    regions: Annotated[
        list[Path] | None, typer.Option("--region", metavar="MASK", help="a region; may be given several times")
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="measure the same region on the other side, too")] = False,
    anatomy: Annotated[
        Path | None, typer.Option("--anatomy", metavar="IMAGE", help="T1 after contrast, FLAIR or T2 under the map")
    ] = None,
    register: Annotated[
        bool, typer.Option("--register/--as-headers-say", help="find where the anatomy lies, or trust the headers")
    ] = True,
    json: options.Json = False,
) -> None:
    """Draws key slices in color with their legend, curves, the numbers of the regions with 95 % intervals, the quality
    of the series, and how the maps were made.
    """
    with options.progress_bar(quiet=json) as progress:
        content = page_content(run, regions or [], mirror=mirror, anatomy=anatomy, register=register, progress=progress)
        with readers_door(run / REPORT):
            # The page shows what the report says, whatever that is.
            save_page(output, content)
    sentence = result_sentence(content)
    if json:
        options.print_json({"file": str(output), "result": sentence, "notes": list(content.notes)})
        return
    options.console.print(f"{sentence} Wrote {output}. Research use only: not for diagnosis.")
