"""`stunet-perfusion reference`: CBV, CBF and MTT in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.kinetics.reference.case import ReferenceSettings
from stunet_perfusion.runs.output import results_folder
from stunet_perfusion.runs.presets import PRESETS, Preset
from stunet_perfusion.runs.reference import ReferenceRequest, run_reference
from stunet_perfusion.support.errors import InputError


def command(
    series_path: options.Series,
    output: options.OutputFolder,
    aif_path: Annotated[
        Path | None,
        typer.Option(
            "--aif",
            metavar="FILE.txt",
            help="arterial input function (AIF), one value per line and frame: delta R2* in 1/s",
        ),
    ] = None,
    aif_is_signal: Annotated[
        bool, typer.Option("--aif-is-signal", help="the values of --aif are the arterial MR signal")
    ] = False,
    vessels: Annotated[
        Path | None, typer.Option("--vessels", metavar="MASK", help="arterial voxels; the AIF is their mean")
    ] = None,
    mask_path: options.Mask = None,
    nawm_path: options.WhiteMatter = None,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="first|auto|N",
            help="frames of the baseline S0: first (as Verbena), auto (all before the bolus), or the first N",
        ),
    ] = "",
    preset: Annotated[
        Preset, typer.Option(help="of --baseline: ours, the mean before the bolus; paper, Verbena's first frame")
    ] = "ours",
    drop_frames: options.DropFrames = "auto",
    mend: options.Mend = "auto",
    bolus: options.WhichBolus = "auto",
    which: options.Which = None,
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="CBV in ml/100 g and CBF in ml/100 g/min; needs a vein, or --aif")
    ] = False,
    leakage_correction: Annotated[
        bool, typer.Option("--leakage-correction", help="correct CBV for leakage (Boxerman 2006); writes k2.nii.gz too")
    ] = False,
    maps: Annotated[
        str,
        typer.Option(
            "--maps",
            metavar="standard|all",
            help="all adds times, height, width, PSR and leakage",
        ),
    ] = "standard",
    bids: options.Bids = False,
    subject: options.Subject = None,
    anonymous: options.Anonymous = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Writes ncbv.nii.gz (CBV in multiples of normal white matter), nawm.nii.gz (the white matter that was found),
    cbv.nii.gz (fraction of the artery's), cbf.nii.gz (1/s), mtt.nii.gz (s) and report.json on the input's grid. With
    --maps all also bat, ttp, tmax and fwhm (s), peak_height (1/s), psr (%) and psr_ratio (over white matter), k2 (1/s),
    and CBV corrected for leakage in one direction and in both (cbv_corrected, cbv_corrected_bidirectional). The
    AIF is found automatically if neither --aif nor --vessels is given.
    """
    baseline = baseline or PRESETS[preset].baseline
    request = ReferenceRequest(
        series=series_path,
        which=which,
        settings=ReferenceSettings(
            baseline="first" if baseline == "first" else options.frames_option(baseline, "--baseline"),
            absolute=absolute,
            leakage_correction=leakage_correction,
            all_maps=_wants_all(maps),
        ),
        aif=aif_path,
        aif_is_signal=aif_is_signal,
        vessels=vessels,
        mask=mask_path,
        nawm=nawm_path,
        drop_frames=options.frames_option(drop_frames, "--drop-frames"),
        mend=options.mend_option(mend),
        bolus=options.frames_option(bolus, "--bolus"),
        echo_time=echo_time,
        frame_interval=frame_interval,
    )
    folder = results_folder(output, request.files().values(), bids=bids, overwrite=overwrite)
    with options.progress_bar(quiet=json) as progress, folder as stage:
        report = run_reference(
            request, stage, output, bids=bids, subject=subject, anonymous=anonymous, progress=progress
        )
    if json:
        options.print_json(report)
        return
    options.print_notes(report)
    for name, entry in report["maps"].items():
        options.console.print(f"{name}: median {entry['median_in_brain']:.4g} {entry['unit']} in the brain")
    options.console.print(f"AIF: {report['aif']['source']}. Wrote {output}. Research use only: not for diagnosis.")


def _wants_all(maps: str) -> bool:
    if maps not in ("standard", "all"):
        raise InputError("--maps", f"'{maps}' is not known", "write standard or all")
    return maps == "all"
