"""`stunet-perfusion train`: train a network on phantoms."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from stunet_perfusion import __version__, checkpoint
from stunet_perfusion.checkpoint import Checkpoint, CheckpointInfo
from stunet_perfusion.cli import options
from stunet_perfusion.devices import choose_device
from stunet_perfusion.errors import InputError
from stunet_perfusion.networks import NETWORKS, build_network
from stunet_perfusion.strips import StripRule
from stunet_perfusion.training.loop import EpochResult, train
from stunet_perfusion.training.phantom_cases import (
    PhantomSource,
    held_out_phantom,
    image_files,
    strips_of_epoch,
)
from stunet_perfusion.training.validation import mean_by_dose, validate

#: Validation phantoms are drawn from a stream of seeds that no epoch reaches.
VALIDATION_STREAM = 10**6

NetworkName = Enum("NetworkName", {name: name for name in NETWORKS}, type=str)


def command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="checkpoint, .safetensors")],
    anatomy: Annotated[
        list[Path], typer.Option("--anatomy", metavar="LABELS|DIR|mni", help="heads to train on; may be repeated")
    ],
    validation: Annotated[
        list[Path],
        typer.Option("--validation", metavar="LABELS|DIR|mni", help="heads to validate on"),
    ],
    tumors: Annotated[
        list[Path] | None, typer.Option("--tumors", metavar="MASK|DIR", help="tumor masks; else they are invented")
    ] = None,
    network: Annotated[NetworkName, typer.Option(help="which network")] = NetworkName.stunet,
    widths: Annotated[
        str, typer.Option(metavar="N,N,...", help="channels a level (stunet) or a step in time (hess)")
    ] = "",
    epochs: Annotated[int, typer.Option(min=1, help="epochs; each sees phantoms of its own")] = 200,
    heads: Annotated[int, typer.Option(min=1, help="phantoms an epoch")] = 12,
    batch: Annotated[int, typer.Option(min=1, help="strips a step")] = 8,
    learning_rate: Annotated[float, typer.Option(help="of Adam, at the start")] = 1e-3,
    strip_rows: Annotated[int, typer.Option(help="height of a strip")] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0, mps")] = "auto",
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Every epoch makes new phantoms: random physiology, protocol, tumor and dose (0.2 to 1, physically simulated),
    with the noise-free CBV as target. After every epoch the network is validated and the checkpoint replaced.
    """
    source = PhantomSource(image_files(anatomy), image_files(tumors or []))
    shared = set(source.anatomies) & set(unseen := image_files(validation))
    if shared:
        raise InputError(sorted(shared)[0], "is both trained on and validated on", "give other heads to --validation")
    torch.manual_seed(seed)
    arguments = _arguments(network.value, widths)
    model = build_network(network.value, arguments)
    rule = StripRule(strip_rows)
    model.check_strip(64, rule.rows, 256)
    held_out = [held_out_phantom(head, (seed, VALIDATION_STREAM, n)) for n, head in enumerate(unseen)]
    history: list[dict[str, Any]] = []

    def after_epoch(result: EpochResult) -> None:
        info = CheckpointInfo(network.value, arguments, strip=rule)
        scores = mean_by_dose(validate(Checkpoint(info, model, output.name), held_out))
        history.append(
            {"epoch": result.epoch, "loss": round(result.loss, 5), "strips": result.strips, "scores": scores}
        )
        training = {
            "data": f"{(result.epoch + 1) * heads} phantoms of {len(source.anatomies)} heads",
            "target": "noise-free CBV of the phantom",
            "dose": "0.2 to 1, physically simulated",
            "strips": sum(entry["strips"] for entry in history),
            "epochs": result.epoch + 1,
            "batch": batch,
            "learning_rate": learning_rate,
            "optimizer": "Adam",
            "loss": "L2 over the brain",
            "seed": seed,
            "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
        }
        scored = {"on": f"{len(held_out)} phantoms of unseen heads", "by_dose": scores}
        checkpoint.save(output, model, replace(info, training=training, scores=scored))
        if not json:
            correlations = ", ".join(f"{dose}: {score['correlation']:.3f}" for dose, score in scores.items())
            options.console.print(
                f"epoch {result.epoch + 1}: loss {result.loss:.4f} over {result.strips} strips in "
                f"{result.seconds:.0f} s; correlation with truth by dose {correlations}"
            )

    with options.progress_bar(quiet=json) as progress:
        train(
            model,
            lambda epoch: strips_of_epoch(source, seed, epoch, heads, rule.rows, progress=progress),
            epochs,
            batch=batch,
            learning_rate=learning_rate,
            seed=seed,
            device=choose_device(device),
            after_epoch=after_epoch,
            progress=progress,
        )
    if json:
        options.print_json({"checkpoint": str(output), "history": history})
    else:
        options.console.print(f"Wrote {output}.")


def _arguments(network: str, widths: str) -> dict:
    """The network's arguments from the option `--widths`."""
    if not widths:
        return {}
    try:
        numbers = [int(word) for word in widths.split(",")]
    except ValueError:
        raise InputError("--widths", f"'{widths}' are not numbers", "write for example 8,16,32,64") from None
    if network == "ulas":
        return {"width": numbers[0]}
    return {"widths" if network == "stunet" else "sequence_widths": numbers}
