"""`stunet-perfusion calibrate`: fit how large a network's error is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.evaluation.phantom_subjects import CALIBRATION_STREAM, graded_phantom, heads_of
from stunet_perfusion.inference.input_kinds import input_kind
from stunet_perfusion.networks import checkpoint
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.calibration import MEASURED, coverage, fit_error, sample_errors


def command(
    checkpoint_path: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="checkpoint of a network that predicts its error")
    ],
    anatomy: Annotated[
        list[Path], typer.Option("--anatomy", metavar="LABELS|DIR|mni|drawn", help="heads; those of its training")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="checkpoint to write")],
    phantoms: Annotated[int, typer.Option(min=2, help="number of phantoms; the heads are used in turn")] = 33,
    slice_step: Annotated[int, typer.Option(min=1, metavar="N", help="use every Nth slice only")] = 9,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Predicts phantoms at full, half and quarter dose. Scales the predicted error and the noise of the series so that,
    at every dose and in three phantoms of four, the 95 % interval covers 95 % of the voxels. Nothing else in the
    checkpoint changes.
    """
    known = checkpoint.load(checkpoint_path)
    if not input_kind(known.info.input.quantity).tells_blood_volume:
        raise InputError(
            checkpoint_path, "predicts z-scores, whose unit is not known", "train it with network.input=curves-and-fit"
        )
    heads = heads_of(anatomy)
    if not heads:
        raise InputError("--anatomy", "holds no head", "name label maps, 'mni' or 'drawn'")
    people = (
        graded_phantom(
            heads[n % len(heads)], "random", "training", n % 2 == 1, (seed, CALIBRATION_STREAM, n), slice_step
        )
        for n in range(phantoms)
    )
    with options.progress_bar(quiet=json) as progress:
        samples = sample_errors(known, people, progress=progress)
    learned, noise = fit_error(samples, MEASURED)
    held = {f"{dose:g}": round(coverage(of_dose, learned, noise), 3) for dose, of_dose in samples.items()}
    told = {**known.info.training, "calibrated_on": f"{phantoms} phantoms of {len(heads)} heads"}
    info = replace(known.info, learned_error=learned, noise_error=noise, training=told)
    checkpoint.save(output, known.network, info, half_precision=True)
    if json:
        options.print_json(
            {"checkpoint": str(output), "learned_error": learned, "noise_error": noise, "coverage": held}
        )
        return
    shares = ", ".join(f"{100 * share:.1f} % at {dose}" for dose, share in held.items())
    options.console.print(f"Factors {learned:g} and {noise:g}: the 95 % interval holds {shares} of the dose.")
