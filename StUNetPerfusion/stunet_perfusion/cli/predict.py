"""`stunet-perfusion predict`: the CBV map of a series by a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.dose.simulate import METHODS, check_dose
from stunet_perfusion.inference.predict import PredictionSettings
from stunet_perfusion.networks.checkpoint import load
from stunet_perfusion.runs.output import results_folder
from stunet_perfusion.runs.prediction import PredictionRequest, run_prediction
from stunet_perfusion.runs.presets import PRESETS, Preset
from stunet_perfusion.support.devices import choose_device
from stunet_perfusion.support.resources import shipped_checkpoint


def command(
    series_path: options.Series,
    output: options.OutputFolder,
    checkpoint_path: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="trained network; the preset's by default"),
    ] = None,
    dose: Annotated[
        float, typer.Option("--dose", metavar="D", help="simulated share of the contrast dose, in (0, 1]")
    ] = 1.0,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="|".join(METHODS), help="how the lower dose is simulated; by default as the preset says"
        ),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(help="ours: stunet, noise-matched doses; paper: paper-stunet, Equation 1, every strip"),
    ] = "ours",
    mask_path: options.Mask = None,
    nawm_path: options.WhiteMatter = None,
    stride: Annotated[
        int, typer.Option("--stride", metavar="N", help="strip stride in rows; 1 is the paper's choice, more is faster")
    ] = 1,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda:0|mps", help="where to compute")] = "auto",
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="strips computed together; fewer need less memory")
    ] = 8,
    seed: options.Seed = 0,
    drop_frames: options.DropFrames = "auto",
    mend: options.Mend = "auto",
    bolus: options.WhichBolus = "auto",
    which: options.Which = None,
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    bids: options.Bids = False,
    subject: options.Subject = None,
    anonymous: options.Anonymous = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Writes ncbv.nii.gz (CBV in multiples of normal white matter) with ncbv_uncertainty.nii.gz (one standard
    deviation), nawm.nii.gz (the white matter that was found, to be checked), cbv.nii.gz and cbv_uncertainty.nii.gz (the
    same as a fraction of the artery's CBV), cbv_standardized.nii.gz (z-scores over the brain) and report.json.
    """
    choices = PRESETS[preset]
    known_method = check_dose(dose, method or choices.method)
    request = PredictionRequest(
        series=series_path,
        which=which,
        checkpoint=checkpoint_path or shipped_checkpoint(choices.network),
        settings=PredictionSettings(
            dose=dose,
            method=known_method,
            seed=seed,
            drop_frames=options.frames_option(drop_frames, "--drop-frames"),
            mend=options.mend_option(mend),
            bolus=options.frames_option(bolus, "--bolus"),
            stride=stride,
            batch=batch,
            device=choose_device(device),
        ),
        mask=mask_path,
        nawm=nawm_path,
        echo_time=echo_time,
        frame_interval=frame_interval,
    )
    checkpoint = load(request.checkpoint)
    folder = results_folder(output, request.files().values(), bids=bids, overwrite=overwrite)
    with folder as stage, options.progress_bar(quiet=json) as progress:
        report = run_prediction(
            request,
            stage,
            output,
            checkpoint=checkpoint,
            bids=bids,
            subject=subject,
            anonymous=anonymous,
            progress=progress,
        ).report
    if json:
        options.print_json(report)
        return
    options.print_notes(report)
    options.console.print(
        f"Wrote the CBV map at {100 * report['dose']:g} % of the dose to {output} in {report['seconds']:.0f} s. "
        "Research use only: not for diagnosis."
    )
