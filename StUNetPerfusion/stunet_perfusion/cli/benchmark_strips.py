"""`stunet-perfusion benchmark strips`: the average over strips, the plain loop and the fast ways."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.support.errors import InputError


def benchmark_strips(
    widths: Annotated[
        str, typer.Option("--widths", metavar="N,N,...", help="channels of the finest level")
    ] = "8,16,32",
    plain_rows: Annotated[
        int,
        typer.Option(
            "--plain-rows",
            metavar="N",
            min=39,
            max=256,
            help="rows that the plain loop predicts, its time being scaled to 256; 256 takes half an hour",
        ),
    ] = 47,
    checkpoint_path: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="network of the case; the shipped stU-Net by default"),
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda:0|mps", help="where to compute")] = "auto",
    json: options.Json = False,
) -> None:
    """Seconds a slice of 256 x 256 pixels and 64 frames for both paddings, one and two convolutions a level; how they
    grow with rows and strip height; a whole case of 20 slices, and of 10; a preview of one. Runs for some minutes,
    which the machine should have for itself.
    """
    from stunet_perfusion.benchmarks.case import measure_case
    from stunet_perfusion.benchmarks.strip_growth import measure_growth
    from stunet_perfusion.benchmarks.strips import matrix_product_speed, measure_strips
    from stunet_perfusion.networks.checkpoint import load
    from stunet_perfusion.support.devices import choose_device
    from stunet_perfusion.support.progress import part_of
    from stunet_perfusion.support.resources import shipped_checkpoint

    if not all(word.isdigit() and int(word) > 0 for word in widths.split(",")):
        raise InputError("--widths", f"'{widths}' is no list of widths", "write for example --widths 8,16")
    device, checkpoint = choose_device(device), load(checkpoint_path or shipped_checkpoint())
    with options.progress_bar(quiet=json) as progress:
        # First, because the peak of memory is that of the process so far.
        case = measure_case(checkpoint, device=device, progress=part_of(progress, 0, 0.2))
        half = measure_case(checkpoint, (64, 10, 256, 256), device, part_of(progress, 0.2, 0.25))
        peak = matrix_product_speed(device)
        speeds = list(
            measure_strips(
                [int(word) for word in widths.split(",")],
                plain_rows=plain_rows,
                device=device,
                progress=part_of(progress, 0.25, 0.9),
            )
        )
        growth = measure_growth(device=device, progress=part_of(progress, 0.9, 1))
    if json:
        options.print_json(
            {
                "sgemm_gflops": round(peak / 1e9, 1),
                "rows": [_row(speed, peak) for speed in speeds],
                "case_s": round(case.case, 2),
                "preview_s": round(case.preview, 3),
                "exact_preview_s": round(case.refined, 3),
                "peak_memory_ratio": case.memory_ratio and round(case.memory_ratio, 2),
                "outside_network": round(case.outside_network, 3),
                "case_stages_s": {stage: round(seconds, 3) for stage, seconds in case.stages.items()},
                "case_of_half_the_slices_s": round(half.case, 2),
                "growth": [asdict(point) for point in growth],
            }
        )
        return
    print(f"matrix product {peak / 1e9:.0f} GFLOP/s")
    print("padding  convolutions  width   plain s   fast s   ratio   difference/SD   share of matrix product")
    for speed in speeds:
        print(
            f"{speed.padding:<8} {speed.convolutions:>12} {speed.width:>6} {speed.plain:>9.1f} {speed.fast:>8.2f} "
            f"{speed.ratio:>7.1f} {speed.largest_difference:>15.1e} {speed.operations / speed.fast / peak:>10.0%}"
        )
    for point in growth:
        print(
            f"{point.padding:<8} {point.rows:>4} rows, strips of {point.strip_rows:>2}: {point.seconds:.2f} s a slice"
        )
    memory = "" if case.memory_ratio is None else f", {case.memory_ratio:.2f} times its memory at most"
    print(f"case    {case.case:.1f} s ({case.outside_network:.0%} of it outside the network){memory}")
    for stage, seconds in case.stages.items():
        print(f"  {seconds:6.2f} s  {stage}")
    print(f"half of its slices {half.case:.1f} s")
    print(f"preview: first map after {case.preview:.2f} s, final map after {case.refined:.2f} s")


def _row(speed: Any, peak: float) -> dict[str, Any]:
    return {
        "padding": speed.padding,
        "convolutions_per_level": speed.convolutions,
        "width": speed.width,
        "plain_s": round(speed.plain, 3),
        "fast_s": round(speed.fast, 3),
        "ratio": round(speed.ratio, 2),
        "largest_difference_sd": speed.largest_difference,
        "share_of_sgemm": round(speed.operations / speed.fast / peak, 3),
    }
