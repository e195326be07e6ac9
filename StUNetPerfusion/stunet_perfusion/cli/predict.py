"""`stunet-perfusion predict`: the CBV map of a series by a trained network."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from stunet_perfusion import __version__
from stunet_perfusion.checkpoint import Checkpoint, load
from stunet_perfusion.cli import options
from stunet_perfusion.dose import METHODS, check_dose
from stunet_perfusion.predict import PredictedCase, PredictionSettings, choose_device, predict_case
from stunet_perfusion.progress import part_of
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.resources import shipped_checkpoint
from stunet_perfusion.writing import staged_output, write_json, write_map


def command(
    series_path: options.Series,
    output: options.OutputFolder,
    checkpoint_path: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="trained network; the shipped stU-Net by default"),
    ] = None,
    dose: Annotated[
        float, typer.Option("--dose", metavar="D", help="share of the contrast dose to simulate, in (0, 1]")
    ] = 1.0,
    method: Annotated[
        str, typer.Option("--method", metavar="|".join(METHODS), help="how the dose is lowered; see 'simulate'")
    ] = "equation1",
    mask_path: options.Mask = None,
    stride: Annotated[
        int, typer.Option("--stride", metavar="N", help="rows from strip to strip; 1 averages all, as the paper")
    ] = 1,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda:0|mps", help="where to compute")] = "auto",
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="strips at a time; fewer need less memory")] = 8,
    seed: options.Seed = 0,
    drop_frames: options.DropFrames = "auto",
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    json: options.Json = False,
) -> None:
    """Writes cbv.nii.gz (relative CBV as a fraction of the artery's; 0 is no blood), cbv_standardized.nii.gz (z-scores
    over the brain), cbv_uncertainty.nii.gz (spread over strips, in the unit of cbv) and report.json.
    """
    check_dose(dose, method)
    settings = PredictionSettings(
        dose=dose,
        method=method,
        seed=seed,
        drop_frames=options.frames_option(drop_frames, "--drop-frames"),
        stride=stride,
        batch=batch,
        device=choose_device(device),
    )
    checkpoint = load(checkpoint_path or shipped_checkpoint())
    started = time.monotonic()
    with staged_output(output) as folder, options.progress_bar(quiet=json) as progress:
        series = read_series(
            series_path, echo_time=echo_time, frame_interval=frame_interval, progress=part_of(progress, 0, 0.1)
        )
        mask, mask_notes = (None, ()) if mask_path is None else read_mask(mask_path, series.grid)
        case = predict_case(series, checkpoint, settings, mask=mask, progress=part_of(progress, 0.1, 0.99))
        grid = case.prepared.series.grid
        write_map(folder / "cbv.nii.gz", case.map.cbv, grid)
        write_map(folder / "cbv_standardized.nii.gz", case.map.standardized, grid)
        write_map(folder / "cbv_uncertainty.nii.gz", case.map.uncertainty, grid)
        report = prediction_report(case, checkpoint, settings, mask_notes)
        report |= {"input": str(series_path), "seconds": round(time.monotonic() - started, 1)}
        write_json(folder / "report.json", report)
    if json:
        options.print_json(report)
        return
    for note in report["notes"]:
        options.console.print(note)
    options.console.print(
        f"Wrote the CBV map at {100 * dose:g} % of the dose to {output} in {report['seconds']:.0f} s. "
        "Research use only: not for diagnosis."
    )


def prediction_report(
    case: PredictedCase, checkpoint: Checkpoint, settings: PredictionSettings, mask_notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What was done, so that it can be read and done again."""
    prepared = case.prepared
    return {
        "use": "Research use only: not for diagnosis.",
        "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
        "settings": asdict(settings),
        "checkpoint": {"name": checkpoint.name, **asdict(checkpoint.info)},
        "frames": prepared.series.frames + prepared.dropped_frames,
        "dropped_frames": prepared.dropped_frames,
        "frame_interval_s": prepared.series.frame_interval,
        "echo_time_s": prepared.series.echo_time,
        "baseline_frames": prepared.bolus.arrival,
        "arrival_frame": prepared.dropped_frames + prepared.bolus.arrival,
        "peak_frame": prepared.dropped_frames + prepared.bolus.peak,
        "brain_voxels": int(prepared.brain.sum()),
        "aif": case.aif.source,
        "cbv_unit": "fraction of the arterial input's first pass",
        "cbv_of_z_score": asdict(case.map.scale),
        "network_output_over_brain": asdict(case.map.network_scale),
        "notes": [*prepared.series.notes, *mask_notes],
    }
