"""What each way to go beyond the paper's stU-Net is worth, alone: trained alike, scored on the same phantoms.

    python Testing/benchmarks/levers.py OUTPUT --anatomy HEADS --validation OTHER_HEADS [--tumors MASKS]
        [--epochs 4] [--phantoms 20] [--subjects 4] [--only NAME ...]

The first variant is the recipe `Resources/Training/paper-stunet.toml`, fewer epochs of it: standardized signal in,
Verbena's standardized map out, doses by Equation 1, strips padded with zeros. Every other one changes one thing. All
see the same phantoms in the same order, for as many epochs. Then all of them are scored by `stunet-perfusion evaluate`
against the noise-free truth at physically lower doses, on heads that none has seen, in both families of phantoms.

It goes on where it was interrupted. OUTPUT holds a checkpoint and a log for each variant, and `scores/report.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

#: What is changed of the recipe, in words, and how `train --set` says it.
LEVERS: dict[str, tuple[str, ...]] = {
    "paper": (),
    "truth": ("phantoms.target=truth",),
    "physical-dose": ("dose.method=physical",),
    "noise-matched": ("dose.method=noise-matched",),
    "context": ("strips.padding=context",),
    "mean-skips": ('network.arguments={widths=[8,16,32,64],skip="mean-and-maximum"}',),
    "curves-and-fit": ("network.input=curves-and-fit",),
    "wider": ("network.arguments={widths=[16,32,64,128]}",),
}

RECIPE = Path(__file__).resolve().parents[2] / "Resources" / "Training" / "paper-stunet.toml"


def train(name: str, changes: tuple[str, ...], options: argparse.Namespace) -> Path:
    """One variant, trained or as it was trained before."""
    output = options.output / f"{name}.safetensors"
    each = [
        *changes,
        f"optimization.epochs={options.epochs}",
        f"phantoms.an_epoch={options.phantoms}",
        f"validation.every={options.epochs}",
    ]
    settings = [word for change in each for word in ("--set", change)]
    heads = [word for head in options.anatomy for word in ("--anatomy", head)]
    unseen = [word for head in options.validation for word in ("--validation", head)]
    tumors = [word for mask in options.tumors for word in ("--tumors", mask)]
    run("train", RECIPE, *heads, *unseen, *tumors, *settings, "--output", output)
    return output


def run(*arguments: object) -> None:
    """The program itself, as a user runs it."""
    subprocess.run([sys.executable, "-m", "stunet_perfusion", *map(str, arguments)], check=True)


def main() -> None:
    """Train what is missing, then score all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--anatomy", action="append", required=True)
    parser.add_argument("--validation", action="append", required=True)
    parser.add_argument("--tumors", action="append", default=[])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--phantoms", type=int, default=20)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--only", nargs="*", choices=list(LEVERS), default=list(LEVERS))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    trained = [train(name, LEVERS[name], options) for name in options.only]
    checkpoints = [word for path in trained for word in ("--checkpoint", path)]
    unseen = [word for head in options.validation for word in ("--anatomy", head)]
    scoring = ["--subjects", options.subjects, "--slice-step", 6, "--stride", 16, "--table", "truth", "--pictures", 0]
    run("evaluate", *unseen, *checkpoints, *scoring, "--output", options.output / "scores")


if __name__ == "__main__":
    main()
