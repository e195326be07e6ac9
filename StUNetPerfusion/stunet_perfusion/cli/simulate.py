"""`stunet-perfusion simulate`: a series as it would be at a lower contrast dose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.dose.simulate import DEFAULT_METHOD, METHODS, check_dose, simulate_dose
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.runs.output import refuse_replacing
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.writing import write_series


def command(
    series_path: options.Series,
    dose: Annotated[float, typer.Option("--dose", metavar="D", help="simulated share of the contrast dose, in (0, 1]")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="low-dose series: .nii.gz, .nii or .seq.nrrd")
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="|".join(METHODS),
            help="equation1: as in the paper, too little noise; noise-matched: noise of a real scan",
        ),
    ] = DEFAULT_METHOD,
    window: Annotated[
        int, typer.Option("--window", metavar="N", help="length of equation1's moving average in frames (odd)")
    ] = 5,
    seed: options.Seed = 0,
    mask_path: options.Mask = None,
    drop_frames: options.DropFrames = "auto",
    which: options.Which = None,
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Writes all frames of the input, with their times and TE. Frames that are not yet in steady state hold no contrast
    and stay as they are.
    """
    refuse_replacing(output, series_path, which, [mask_path], overwrite)
    known_method = check_dose(dose, method, window)
    frames_to_drop = options.frames_option(drop_frames, "--drop-frames")
    with options.progress_bar(quiet=json) as progress:
        series = read_series(
            series_path,
            which=which,
            echo_time=echo_time,
            frame_interval=frame_interval,
            progress=part_of(progress, 0, 0.4),
        )
        mask, mask_notes = (None, ()) if mask_path is None else read_mask(mask_path, series.grid)
        prepared = prepare(series, mask=mask, drop_frames=frames_to_drop)
        # The steady frames share the memory of the series: written over, they are the low-dose series with its
        # unsteady frames in front.
        simulated = simulate_dose(
            prepared.series,
            prepared.bolus.arrival,
            dose,
            known_method,
            seed,
            window,
            in_place=True,
            progress=part_of(progress, 0.4, 0.7),
        )
        progress(0.7, "Writing the series")
        write_series(output, replace(series, simulated=simulated.simulated))
    notes = [*simulated.notes, *mask_notes]
    if json:
        options.print_json(
            {
                "input": str(series_path),
                "output": str(output),
                "dose": dose,
                "method": method,
                "seed": seed if method == "noise-matched" else None,
                "window": window if method == "equation1" else None,
                "frames": series.frames,
                "dropped_frames": prepared.dropped_frames,
                "baseline_frames": prepared.bolus.arrival,
                "arrival_frame": prepared.dropped_frames + prepared.bolus.arrival,
                "peak_frame": prepared.dropped_frames + prepared.bolus.peak,
                "notes": notes,
            }
        )
        return
    for note in notes:
        options.console.print(note)
    options.console.print(f"Wrote {output}. Research use only: not for diagnosis.")
