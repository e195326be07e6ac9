"""`stunet-perfusion reference`: CBV, CBF and MTT in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from stunet_perfusion.aif import ArterialInput, aif_from_file, aif_from_vessels, automatic_aif
from stunet_perfusion.cli import options
from stunet_perfusion.errors import InputError
from stunet_perfusion.preparation import PreparedSeries, prepare
from stunet_perfusion.progress import part_of
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.reference import ReferenceMaps, absolute_maps, baseline_frames, correct_leakage, reference_maps
from stunet_perfusion.reference.maps import transit_time
from stunet_perfusion.writing import staged_output, write_json, write_map
from stunet_perfusion.writing.documents import is_evenly_spaced

_UNITS = {"cbv": "fraction", "cbf": "1/s", "mtt": "s"}
_ABSOLUTE_UNITS = {"cbv": "ml/100 g", "cbf": "ml/100 g/min", "mtt": "s"}


def command(
    series_path: options.Series,
    output: options.OutputFolder,
    aif_path: Annotated[
        Path | None,
        typer.Option("--aif", metavar="FILE.txt", help="arterial input, one value a line and frame: delta R2* in 1/s"),
    ] = None,
    aif_is_signal: Annotated[
        bool, typer.Option("--aif-is-signal", help="the values of --aif are the arterial MR signal")
    ] = False,
    vessels: Annotated[
        Path | None, typer.Option("--vessels", metavar="MASK", help="take the arterial input from these voxels")
    ] = None,
    mask_path: options.Mask = None,
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="first|auto|N",
            help="S0: the first frame as Verbena takes it, the mean of all before the bolus, or of N frames",
        ),
    ] = "auto",
    drop_frames: options.DropFrames = "auto",
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    absolute: Annotated[bool, typer.Option("--absolute", help="write CBV in ml/100 g and CBF in ml/100 g/min")] = False,
    leakage_correction: Annotated[
        bool, typer.Option("--leakage-correction", help="correct CBV for leakage (Boxerman 2006); writes k2.nii.gz too")
    ] = False,
    json: options.Json = False,
) -> None:
    """Writes cbv.nii.gz (fraction), cbf.nii.gz (1/s), mtt.nii.gz (s) and report.json on the grid of the input. The
    arterial input is found automatically where neither --aif nor --vessels is given.
    """
    _check_choice_of_aif(aif_path, aif_is_signal, vessels)
    choice = "first" if baseline == "first" else options.frames_option(baseline, "--baseline")
    frames_to_drop = options.frames_option(drop_frames, "--drop-frames")
    with options.progress_bar(quiet=json) as progress, staged_output(output) as stage:
        series = read_series(
            series_path, echo_time=echo_time, frame_interval=frame_interval, progress=part_of(progress, 0, 0.3)
        )
        mask, notes = (None, ()) if mask_path is None else read_mask(mask_path, series.grid)
        progress(0.3, "Finding bolus and artery")
        prepared = prepare(series, mask=mask, drop_frames=frames_to_drop)
        steady = prepared.series
        s0_frames = baseline_frames(choice, prepared.bolus)
        if aif_path is not None:
            aif = aif_from_file(aif_path, prepared, aif_is_signal, s0_frames)
        elif vessels is not None:
            vessel_mask, vessel_notes = read_mask(vessels, series.grid)
            notes += vessel_notes
            aif = aif_from_vessels(prepared, vessel_mask, s0_frames)
        else:
            aif = automatic_aif(prepared, s0_frames)
        if not is_evenly_spaced(steady.times):
            notes += (f"CBF takes the frames as evenly spaced, {steady.frame_interval:g} s apart; they are not.",)
        maps = reference_maps(steady, s0_frames, aif.curve, prepared.brain, progress=part_of(progress, 0.35, 0.85))
        images: dict[str, np.ndarray] = {}
        leakage: dict[str, Any] | None = None
        if leakage_correction:
            corrected = correct_leakage(
                maps.cbv,
                steady,
                s0_frames,
                aif.curve,
                prepared.brain,
                prepared.bolus.arrival,
                progress=part_of(progress, 0.85, 0.95),
            )
            maps = ReferenceMaps(corrected.cbv, maps.cbf, transit_time(corrected.cbv, maps.cbf))
            images["k2"] = corrected.k2
            leakage = {"method": "Boxerman-Schmainda-Weisskoff", "not_enhancing_voxels": corrected.not_enhancing}
        if absolute:
            maps = absolute_maps(maps)
        images = {"cbv": maps.cbv, "cbf": maps.cbf, "mtt": maps.mtt} | images
        progress(0.95, "Writing the maps")
        for name, image in images.items():
            write_map(stage / f"{name}.nii.gz", image, series.grid)
        report = {
            "input": str(series_path),
            **_describe(prepared, aif, baseline, s0_frames),
            "leakage_correction": leakage,
            "maps": {
                name: {
                    "file": f"{name}.nii.gz",
                    "unit": (_ABSOLUTE_UNITS if absolute else _UNITS).get(name, "1/s"),
                    "median_in_brain": float(np.median(image[prepared.brain])),
                }
                for name, image in images.items()
            },
            "notes": [*series.notes, *notes],
            "use": "research use only, not for diagnosis",
        }
        write_json(stage / "report.json", report)
    if json:
        options.print_json(report)
        return
    for note in report["notes"]:
        options.console.print(note)
    for name, entry in report["maps"].items():
        options.console.print(f"{name}: median {entry['median_in_brain']:.4g} {entry['unit']} in the brain")
    options.console.print(f"AIF: {aif.source}. Wrote {output}. Research use only: not for diagnosis.")


def _check_choice_of_aif(aif_path: Path | None, aif_is_signal: bool, vessels: Path | None) -> None:
    if aif_path is not None and vessels is not None:
        raise InputError("--aif", "contradicts --vessels", "give one of them")
    if aif_is_signal and aif_path is None:
        raise InputError("--aif-is-signal", "says what --aif holds, and there is none", "give --aif FILE.txt too")


def _describe(prepared: PreparedSeries, aif: ArterialInput, choice: str, s0_frames: int) -> dict[str, Any]:
    """What the maps were computed with. Frames are numbered from 0 in the input."""
    series, dropped = prepared.series, prepared.dropped_frames
    return {
        "frames": series.frames + dropped,
        "dropped_frames": dropped,
        "frame_interval_s": series.frame_interval,
        "echo_time_s": series.echo_time,
        "baseline": choice,
        "baseline_frames": s0_frames,
        "arrival_frame": dropped + prepared.bolus.arrival,
        "peak_frame": dropped + prepared.bolus.peak,
        "brain_voxels": int(prepared.brain.sum()),
        "aif": {
            "source": aif.source,
            "unit": "1/s" if series.echo_time is not None else "TE * delta R2*, without unit",
            "curve": [float(value) for value in aif.curve],
        },
    }
