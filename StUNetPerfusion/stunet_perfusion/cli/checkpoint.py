"""`stunet-perfusion checkpoint`: what a checkpoint is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from stunet_perfusion.cli import options
from stunet_perfusion.networks.checkpoint import load, save
from stunet_perfusion.networks.counting import multiply_accumulates, parameter_count
from stunet_perfusion.networks.quantities import IN_WORDS
from stunet_perfusion.support.plain_text import one_line
from stunet_perfusion.support.resources import shipped_checkpoint


def command(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="a .safetensors checkpoint; the shipped stU-Net by default")
    ] = None,
    half_precision: Annotated[
        Path | None,
        typer.Option(
            "--half-precision", metavar="FILE", help="also write it there with weights of 16 bits, half as large"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """The weights are loaded and checked: a checkpoint that is described here can be used."""
    path = path or shipped_checkpoint()
    loaded = load(path)
    if half_precision is not None:
        save(half_precision, loaded.network, loaded.info, half_precision=True)
    info = loaded.info
    document: dict[str, Any] = {
        "file": str(path),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "parameters": parameter_count(loaded.network),
        "multiply_accumulates_per_strip": multiply_accumulates(
            loaded.network, info.input.frames, info.strip.rows, info.input.size
        ),
        **asdict(info),
    }
    if json:
        options.print_json(document)
        return
    strip = f"{info.strip.rows} rows x {info.input.size} columns x {info.input.frames} frames"
    table = Table(title=path.name, show_header=False, title_justify="left")
    table.add_row("network", info.network)
    table.add_row("arguments", _told(info.arguments))
    table.add_row("parameters", f"{document['parameters']:,}")
    table.add_row("per strip", f"{document['multiply_accumulates_per_strip'] / 1e9:.2f} x 10^9 multiply-accumulates")
    table.add_row("strip", f"{strip}, padding {info.strip.padding}")
    table.add_row("input", IN_WORDS[info.input.quantity])
    table.add_row("window", IN_WORDS[info.input.window])
    table.add_row("predicts", IN_WORDS[info.target])
    if info.arguments.get("error"):
        learned = f"{info.learned_error:g} x the error that the network predicts"
        factors = f"{learned} and {info.noise_error:g} x the noise of the series"
        table.add_row("uncertainty", f"{factors}, added as squares")
    for name, value in info.training.items():
        table.add_row(f"training: {name}", _told(value))
    for name, value in info.scores.items():
        table.add_row(f"scores: {name}", _told(value))
    table.add_row("license", _told(info.licence))
    table.add_row("size", f"{document['megabytes']:.2f} MB")
    options.console.print(table)


def _told(value: Any) -> str:
    """A value as people read it: a line for each name, and of a digest its beginning."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {told}" for name, told in _leaves(value))
    if isinstance(value, list | tuple):
        return ", ".join(_told(each) for each in value)
    return f"{value[:12]}…" if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else one_line(str(value))


def _leaves(values: dict[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Names with a dot for each table that they are in, and what they stand for."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", _told(value) or "-"
