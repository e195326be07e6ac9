"""`stunet-perfusion benchmark`: how fast this machine computes."""

from __future__ import annotations

from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.cli.benchmark_strips import benchmark_strips

command = typer.Typer()
command.command("strips")(benchmark_strips)


@command.callback()
def _benchmark() -> None:
    """Each measurement is a command of its own, and compares with a plain way of computing the same."""


@command.command("reference")
def _reference(
    voxels: Annotated[
        int, typer.Option("--voxels", metavar="N", min=1, help="voxels deconvolved at once; default 128 x 128 x 20")
    ] = 128 * 128 * 20,
    frames: Annotated[int, typer.Option("--frames", metavar="N", min=16, help="frames of the series")] = 60,
    loop_voxels: Annotated[
        int, typer.Option("--loop-voxels", metavar="N", min=1, help="voxels deconvolved one after another")
    ] = 500,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="processes; default: one for each processor")
    ] = None,
    json: options.Json = False,
) -> None:
    """Voxels a second of the oscillation-index deconvolution: all at once, and one after another."""
    from stunet_perfusion.benchmarks.deconvolution import measure_deconvolution

    with options.progress_bar(quiet=json) as progress:
        speed = measure_deconvolution(voxels, frames, loop_voxels, workers, progress)
    if json:
        options.print_json(
            {
                "voxels": speed.voxels,
                "frames": speed.frames,
                "voxels_per_second": round(speed.batched),
                "loop_voxels": speed.loop_voxels,
                "loop_voxels_per_second": round(speed.loop),
                "ratio": round(speed.ratio, 1),
                "largest_relative_difference": speed.largest_difference,
            }
        )
        return
    print(f"all at once       {speed.batched:>12,.0f} voxels/s  ({speed.voxels} voxels, {speed.frames} frames)")
    print(f"one after another {speed.loop:>12,.0f} voxels/s  ({speed.loop_voxels} of them)")
    print(f"ratio             {speed.ratio:>12,.0f}           (largest difference {speed.largest_difference:.1e})")
