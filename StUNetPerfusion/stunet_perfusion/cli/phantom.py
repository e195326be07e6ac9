"""`stunet-perfusion phantom`: a digital head with known perfusion, scanned in software at three doses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.phantom import anatomy_by_name, make_phantom, tumor_from_file
from stunet_perfusion.phantom.files import summary, write_phantom
from stunet_perfusion.support.progress import part_of


def command(
    anatomy: Annotated[
        str,
        typer.Option(
            "--anatomy",
            metavar="LABELS|mni|drawn",
            help="head: FreeSurfer label map, MNI152 (from nilearn), or drawn by formulas (a new one for each seed)",
        ),
    ],
    output: options.OutputFolder,
    tumor: Annotated[
        str, typer.Option("--tumor", metavar="MASK|random|none", help="tumor: from a mask, simulated, or none")
    ] = "random",
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Writes dsc.nii.gz and the same head at half and quarter dose with fresh noise, its true CBV, CBF and MTT, masks
    of brain, tumor, normal-appearing white matter and arteries, and the AIF.
    """
    with options.progress_bar(quiet=json) as progress:
        progress(0.0, "Reading the anatomy")
        head = anatomy_by_name(anatomy, seed)
        lump = None if tumor == "none" else tumor if tumor == "random" else tumor_from_file(tumor, head, seed)
        progress(0.1, "Making the phantom")
        phantom = make_phantom(head, tumor=lump, seed=seed)
        made_from = [Path(anatomy), Path(tumor)]
        files = write_phantom(output, phantom, part_of(progress, 0.2, 1.0), inputs=made_from, overwrite=overwrite)
    report = {"anatomy": head.name, "output": str(output), "files": files, "seed": seed} | summary(phantom)
    if json:
        options.print_json(report)
        return
    ratio = report["tumor_nrcbv"]
    lesion = f"tumor {report['tumor_ml']:.0f} ml at {ratio:.1f} times white matter" if ratio else "no tumor"
    for sentence in (
        f"A head with {report['brain_ml']:.0f} ml of brain, gray over white matter CBV "
        f"{report['gray_to_white_cbv'] or 0:.2f}, {lesion}.",
        f"Wrote {len(files)} files to {output}. Research use only: not for diagnosis.",
    ):
        options.console.print(sentence)
