"""`stunet-perfusion info`: what a series is, before anything is computed with it."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from stunet_perfusion.cli import options
from stunet_perfusion.curve_fit.equation1_detection import notes_on_equation1
from stunet_perfusion.preprocessing.mending import parse_mend
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.plain_text import one_line
from stunet_perfusion.support.progress import part_of

_ML_PER_MM3 = 1e-3


def command(
    series_path: options.Series,
    mask_path: options.Mask = None,
    drop_frames: options.DropFrames = "auto",
    mend: options.Mend = "auto",
    bolus: options.WhichBolus = "auto",
    which: options.Which = None,
    echo_time: options.EchoTime = None,
    frame_interval: options.FrameInterval = None,
    json: options.Json = False,
) -> None:
    """Frames are numbered from 0. If the bolus cannot be used, the rest is described."""
    frames_to_drop = options.frames_option(drop_frames, "--drop-frames")
    which_bolus, to_mend = options.frames_option(bolus, "--bolus"), parse_mend(mend)
    with options.progress_bar(quiet=json) as progress:
        series = read_series(
            series_path,
            which=which,
            echo_time=echo_time,
            frame_interval=frame_interval,
            progress=part_of(progress, 0, 0.9),
        )
        mask, mask_notes = (None, ()) if mask_path is None else read_mask(mask_path, series.grid)
        progress(0.9, "looking for the bolus")
        prepared: PreparedSeries | None = None
        problem: InputError | None = None
        try:
            prepared = prepare_scan(
                series,
                mask=mask,
                drop_frames=frames_to_drop,
                mend=to_mend,
                bolus=which_bolus,
                progress=part_of(progress, 0.9, 1.0),
            )
        except InputError as error:
            problem = error
    document = describe_series(series) | {"notes": [*series.notes, *mask_notes]}
    if prepared is not None:
        document |= describe_bolus(series, prepared)
        document["notes"] = [*prepared.series.notes, *mask_notes, *notes_on_equation1(prepared)]
        document["quality"] = None if prepared.quality is None else prepared.quality.document()
    if not json:
        _print(document)
    if problem is not None:
        raise problem
    if json:
        options.print_json(document)


def describe_series(series: DscSeries) -> dict[str, Any]:
    """What is known before the bolus is looked for. Lengths in mm, times in seconds."""
    slices, rows, columns = series.grid.shape
    return {
        "name": series.name,
        "frames": series.frames,
        "matrix": [columns, rows, slices],
        "spacing_mm": [round(float(spacing), 4) for spacing in series.grid.spacing],
        "frame_interval_s": round(series.frame_interval, 6),
        "duration_s": round(float(series.times[-1] - series.times[0]), 6),
        "echo_time_s": series.echo_time,
        "signal_range": [float(series.signal.min()), float(series.signal.max())],
    }


def describe_bolus(series: DscSeries, prepared: PreparedSeries) -> dict[str, Any]:
    """Frames as indices into the series as it was read, unsteady frames included; times from its first frame."""
    dropped = prepared.dropped_frames
    arrival, peak = dropped + prepared.bolus.arrival, dropped + prepared.bolus.peak
    voxels = int(prepared.brain.sum())
    return {
        "unsteady_frames": dropped,
        "baseline_frames": prepared.bolus.arrival,
        "bolus_arrival_frame": arrival,
        "bolus_arrival_s": round(float(series.times[arrival] - series.times[0]), 6),
        "bolus_peak_frame": peak,
        "bolus_peak_s": round(float(series.times[peak] - series.times[0]), 6),
        "brain_voxels": voxels,
        "brain_ml": round(voxels * float(series.grid.spacing.prod()) * _ML_PER_MM3, 1),
    }


def _print(document: dict[str, Any]) -> None:
    """The document as lines that a person reads."""
    table = Table.grid(padding=(0, 2))
    for name, value in _lines(document):
        table.add_row(name, one_line(value))
    console = options.plain_console()
    console.print(table)
    for finding in (document.get("quality") or {}).get("findings", ()):
        advice = f" {finding['advice']}" if finding["light"] != "green" and finding["advice"] else ""
        console.print(f"{finding['light'].upper():<7} {finding['title']}: {finding['meaning']}{advice}")
    for note in document["notes"]:
        console.print(f"Note: {note}")


def _lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    matrix, spacing = (" x ".join(f"{n:.4g}" for n in document[key]) for key in ("matrix", "spacing_mm"))
    echo_time = document["echo_time_s"]
    lines = [
        ("Series", document["name"]),
        (
            "Frames",
            f"{document['frames']}, every {document['frame_interval_s']:g} s, {document['duration_s']:g} s in all",
        ),
        ("Voxels", f"{matrix}, of {spacing} mm"),
        ("Echo time", "not known (only absolute concentrations need it)" if echo_time is None else f"{echo_time:g} s"),
        ("Signal", "{:.4g} to {:.4g}".format(*document["signal_range"])),
    ]
    if "bolus_peak_frame" not in document:
        return lines
    unsteady = document["unsteady_frames"]
    return [
        *lines,
        ("Not steady", f"{unsteady} first frames, to be left out" if unsteady else "no frames"),
        ("Baseline", f"{document['baseline_frames']} frames"),
        ("Bolus arrives", f"in frame {document['bolus_arrival_frame']}, at {document['bolus_arrival_s']:.4g} s"),
        ("Bolus peak", f"in frame {document['bolus_peak_frame']}, at {document['bolus_peak_s']:.4g} s"),
        ("Brain", f"{document['brain_voxels']} voxels, {document['brain_ml']:g} ml"),
    ]
