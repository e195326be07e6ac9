"""`stunet-perfusion anatomy`: the maps of a run in the voxels of an anatomic image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.runs.anatomy import maps_on_anatomy, write_on_anatomy
from stunet_perfusion.runs.output import refuse_output_in_input
from stunet_perfusion.support.staged import staged_output


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="folder that 'predict' or 'reference' wrote")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="T1 after contrast, FLAIR or T2 of the same patient")],
    output: options.OutputFolder,
    register: Annotated[
        bool, typer.Option("--register/--as-headers-say", help="find where the image lies, or trust the headers")
    ] = True,
    json: options.Json = False,
) -> None:
    """Registers the image rigidly to the series' baseline (mutual information), and writes every map and the white
    matter in the voxels of the image, with registration.json.
    """
    refuse_output_in_input(run, output)
    with staged_output(output) as stage, options.progress_bar(quiet=json) as progress:
        brought = maps_on_anatomy(run, image, register=register, progress=progress)
        document = write_on_anatomy(stage, brought)
    if json:
        options.print_json(document)
        return
    for note in document["notes"]:
        options.console.print(note)
    options.console.print(f"Wrote {len(brought.maps)} maps to {output}. Research use only: not for diagnosis.")
