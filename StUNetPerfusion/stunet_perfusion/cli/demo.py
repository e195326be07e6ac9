"""`stunet-perfusion demo`: the whole job, from a phantom to a figure."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from stunet_perfusion import __version__
from stunet_perfusion.cli import options
from stunet_perfusion.dose.simulate import METHODS, check_dose
from stunet_perfusion.networks.checkpoint import load
from stunet_perfusion.phantom import anatomy_by_name, make_phantom
from stunet_perfusion.phantom.files import write_phantom
from stunet_perfusion.runs.demo import (
    TITLES,
    former_demo,
    run_doses,
    score_doses,
    write_figure,
    write_maps,
    write_scores,
)
from stunet_perfusion.support.devices import choose_device
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.support.resources import shipped_checkpoint, ships
from stunet_perfusion.support.staged_folder import staged_folder


def command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="folder for the results")] = Path(
        "demo"
    ),
    anatomy: Annotated[
        str, typer.Option("--anatomy", metavar="LABELS|mni|drawn", help="head to scan; see 'phantom'")
    ] = "mni",
    method: Annotated[
        str, typer.Option("--method", metavar="|".join(METHODS), help="how the lower dose is simulated; see 'simulate'")
    ] = "noise-matched",
    stride: Annotated[
        int,
        typer.Option("--stride", metavar="N", help="strip stride in rows; 1 is the paper's choice, more is faster"),
    ] = 1,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda:0|mps", help="where to compute")] = "auto",
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Writes the phantom, every map, scores.csv and comparison.png."""
    known_method = check_dose(1.0, method)
    started = time.monotonic()
    networks = [name for name in ("hess", "ulas") if ships(name)] + ["stunet"]
    checkpoints = [load(shipped_checkpoint(network)) for network in networks]
    with (
        staged_folder(output, former_demo, overwrite=overwrite) as folder,
        options.progress_bar(quiet=json, lines=True) as progress,
    ):
        progress(0.0, "Making the phantom")
        head = anatomy_by_name(anatomy, seed)
        phantom = make_phantom(head, tumor="random", seed=seed)
        write_phantom(folder / "phantom", phantom, part_of(progress, 0.02, 0.2))
        results = run_doses(
            phantom, checkpoints, known_method, stride, choose_device(device), seed, part_of(progress, 0.2, 0.9)
        )
        progress(0.9, "Scoring")
        rows = score_doses(phantom, results)
        provenance = {
            "use": "Research use only: not for diagnosis.",
            "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
            "anatomy": head.name,
            "dose_method": method,
            "stride": stride,
            "seed": seed,
            "checkpoints": [checkpoint.name for checkpoint in checkpoints],
            "seconds": round(time.monotonic() - started, 1),
        }
        write_maps(folder, phantom, results)
        write_scores(folder, rows, provenance)
        write_figure(folder / "comparison.png", phantom, results, rows, known_method)
    if json:
        options.print_json({**provenance, "output": str(output), "rows": rows})
        return
    options.console.print(_table(rows, method))
    options.console.print(
        f"Maps, table (scores.csv) and figure (comparison.png) are in {output.resolve()}, "
        f"after {provenance['seconds']:.0f} s. As the paper does, scores.csv also compares with the full-dose "
        "reference, a map that leakage of contrast biases. Research use only: not for diagnosis."
    )


def _table(rows: list[dict[str, Any]], method: str) -> Table:
    """Scores against the truth."""
    title = f"Standardized CBV against the phantom's truth; lower doses: {method}"
    table = Table(title=title, title_justify="left")
    for column in ("dose", "map", "L1", "L2", "SSIM", "tumor L1", "tumor / white matter"):
        table.add_column(column, justify="left" if column == "map" else "right")
    for row in rows:
        if row["against"] == "truth":
            table.add_row(
                f"{100 * row['dose']:g} %",
                TITLES[row["method"]],
                *(f"{row[score]:.3f}" for score in ("l1", "l2", "ssim", "tumor_l1")),
                f"{row['nrcbv']:.2f} (true {row['nrcbv_reference']:.2f})",
            )
    return table
