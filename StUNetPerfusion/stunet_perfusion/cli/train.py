"""`stunet-perfusion train`: train a network on phantoms, or on scanned cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.networks.build import NetworkName
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.run import run_training
from stunet_perfusion.training.settings import parse_changes, read_settings
from stunet_perfusion.training.settings_text import settings_text

_Heads = list[Path] | None


def command(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.toml]", help="settings; options override them")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="best checkpoint (.safetensors); log and state are written next to it",
        ),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option("--cases", metavar="TABLE|DIR", help="scanned cases: cases.csv, or a folder that 'phantom' wrote"),
    ] = None,
    anatomy: Annotated[
        _Heads, typer.Option("--anatomy", metavar="LABELS|DIR|mni|drawn", help="heads to train on; may be repeated")
    ] = None,
    validation: Annotated[
        _Heads, typer.Option("--validation", metavar="LABELS|DIR|mni|drawn", help="heads to validate on")
    ] = None,
    tumors: Annotated[
        _Heads, typer.Option("--tumors", metavar="MASK|DIR", help="tumor masks; simulated by default")
    ] = None,
    network: Annotated[NetworkName | None, typer.Option(help="which network")] = None,
    widths: Annotated[
        str, typer.Option(metavar="N,N,...", help="channels per level (stunet) or per time step (hess)")
    ] = "",
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs; 200 by default")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="phantoms per epoch; 25 by default")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="strips per step; 8 by default")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="first learning rate of Adam; 0.001 by default")] = None,
    strip_rows: Annotated[int | None, typer.Option(help="height of a strip; 32 by default")] = None,
    device: Annotated[str | None, typer.Option(help="where to train: auto, cpu, cuda:0, mps")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="devices on each machine")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed")] = None,
    workers: Annotated[int | None, typer.Option(help="processes that prepare cases; -1 chooses")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="seed of everything random")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.NAME=VALUE", help="any other setting; may be repeated"),
    ] = None,
    show_settings: Annotated[bool, typer.Option("--show-settings", help="print all settings as TOML and exit")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="begin again instead of continuing")] = False,
    json: options.Json = False,
) -> None:
    """Train a network, and write the best and the last checkpoint, a log and a state.

    Phantoms: every epoch has new ones, and the target is their noise-free CBV. Cases: scans, each with a CBV map. The
    same command continues an interrupted training. Without CONFIG.toml the settings are the paper's.
    """
    overriding: dict[str, Any] = {
        "cases.table": cases and str(cases),
        "phantoms.anatomies": _texts(anatomy),
        "phantoms.validation": _texts(validation),
        "phantoms.tumors": _texts(tumors),
        "phantoms.an_epoch": heads,
        "network.name": network,
        "optimization.epochs": epochs,
        "optimization.batch": batch,
        "optimization.learning_rate": learning_rate,
        "optimization.seed": seed,
        "strips.rows": strip_rows,
        "computing.device": device,
        "computing.devices": devices,
        "computing.precision": precision,
        "computing.workers": workers,
    }
    given = {name: value for name, value in overriding.items() if value is not None}
    given |= parse_changes(changes or [])
    settings = read_settings(config, given)
    if widths:
        given["network.arguments"] = _arguments(settings.network.name, widths)
        settings = read_settings(config, given)
    if show_settings:
        print(settings_text(settings))
        return
    if output is None:
        raise InputError("--output", "is missing", "give the file of the checkpoint, for example mine.safetensors")
    with options.progress_bar(quiet=json) as progress:
        history = run_training(
            settings,
            output,
            restart=restart,
            tell=(lambda text: None) if json else options.console.print,
            progress=progress,
        )
    if not history:
        return
    if json:
        options.print_json({"checkpoint": str(output), "history": history})
    else:
        options.console.print(f"{output} holds the best of {len(history)} epochs.")


def _texts(paths: list[Path] | None) -> list[str] | None:
    return [str(path) for path in paths] if paths else None


def _arguments(network: str, widths: str) -> dict[str, Any]:
    """The network's arguments from the option `--widths`."""
    try:
        numbers = [int(word) for word in widths.split(",")]
    except ValueError:
        raise InputError("--widths", f"'{widths}' are not numbers", "write for example 8,16,32,64") from None
    if network == "ulas":
        return {"width": numbers[0]}
    return {"widths" if network == "stunet" else "sequence_widths": numbers}
