"""Phantoms to train on and to validate with: each is another person, in another scanner, with another tumor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.phantom import (
    DOSES,
    Anatomy,
    Phantom,
    anatomy_by_name,
    make_phantom,
    random_physiology,
    random_protocol,
    tumor_from_file,
)
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.doses import draw_share, lowered
from stunet_perfusion.training.settings import PHYSICAL, DoseSettings, Target
from stunet_perfusion.training.strip_dataset import TrainingSlices, training_slices

#: Verbena takes S0 from the first frame.
VERBENA_BASELINE_FRAMES = 1

#: Shares of phantoms with an invented tumor, and of those with one from a file where files are given.
RANDOM_TUMOR_SHARE = 0.5
TUMOR_FROM_FILE_SHARE = 0.3

#: Masks of smaller tumors, in ml, are remnants after surgery, of which no voxel of a series would be full.
SMALLEST_TUMOR = 1.0

#: Every so many slices of a training phantom are used. How strong a bolus is has to be learned over many persons,
#: of whom a few slices each teach more than all slices of a few.
SLICE_STEP = 4

#: An arrival too late for the series, or another unusable draw, is drawn again this often.
DRAWS = 5


@dataclass(frozen=True)
class PhantomSource:
    """Where phantoms come from.

    :param anatomies: heads, as `anatomy_by_name` takes them
    :param tumors: tumor masks; invented tumors where there are none
    """

    anatomies: tuple[str, ...]
    tumors: tuple[str, ...] = ()

    def anatomy(self, generator: np.random.Generator) -> Anatomy:
        """One of the heads."""
        return anatomy_by_name(self.anatomies[generator.integers(len(self.anatomies))])

    def tumor(self, anatomy: Anatomy, generator: np.random.Generator) -> np.ndarray | str | None:
        """A tumor for it, as `make_phantom` takes it."""
        draw = generator.random()
        if draw < TUMOR_FROM_FILE_SHARE and self.tumors:
            path = self.tumors[generator.integers(len(self.tumors))]
            tumor = tumor_from_file(path, anatomy, int(generator.integers(2**31)))
            milliliters = tumor.sum() * np.prod(anatomy.grid.spacing) / 1000
            return tumor if milliliters >= SMALLEST_TUMOR else "random"
        return "random" if draw < TUMOR_FROM_FILE_SHARE + RANDOM_TUMOR_SHARE else None


def random_phantom(
    source: PhantomSource, seed: Sequence[int], slice_step: int = 1
) -> tuple[Phantom, np.random.Generator]:
    """A phantom with everything about it drawn at random, and the generator to draw on from.

    :param slice_step: keep only every so many slices, from a random one on
    """
    generator = np.random.default_rng(seed)
    anatomy = source.anatomy(generator)
    tumor = source.tumor(anatomy, generator)
    physiology, protocol = random_physiology(generator), random_protocol(generator)
    phantom = make_phantom(
        anatomy,
        tumor=tumor,
        physiology=physiology,
        protocol=protocol,
        seed=int(generator.integers(2**31)),
        slices=range(int(generator.integers(slice_step)), protocol.slices, slice_step),
    )
    return phantom, generator


def held_out_phantom(anatomy: str, seed: Sequence[int]) -> Phantom:
    """A phantom to validate with, drawn until it can be used at every dose.

    :raises InputError: no draw can
    """
    for draw in range(DRAWS):
        phantom, _ = random_phantom(PhantomSource((anatomy,)), (*seed, draw), SLICE_STEP)
        try:
            for dose in DOSES:
                prepare(phantom.series(dose))
        except InputError:
            continue
        return phantom
    raise InputError(anatomy, f"{DRAWS} phantoms in a row could not be used", "check the anatomy")


def training_case(
    source: PhantomSource,
    seed: Sequence[int],
    recipe: NetworkInput,
    dose: DoseSettings,
    slice_step: int = SLICE_STEP,
    target: Target = "truth",
) -> TrainingSlices:
    """One phantom at a random dose, with its noise-free truth as target, or as in the paper the reference map.

    The brain mask of the input is the automatic one, as when a user predicts; the loss is taken over the true brain.

    :param seed: of everything about it
    :param dose: how the dose is drawn and lowered; `physical` scans the phantom with less contrast
    :param target: `truth`, or `reference`: what Verbena makes of the scan at full dose
    :raises InputError: no draw can be used
    """
    for draw in range(DRAWS):
        phantom, generator = random_phantom(source, (*seed, draw), slice_step)
        share = draw_share(dose, generator)
        try:
            method = dose.method or PHYSICAL
            full = None if method == PHYSICAL and target == "truth" else prepare(phantom.series())
            if full is None or method == PHYSICAL:
                prepared = prepare(phantom.series(share))
            else:
                prepared = lowered(full, share, method, int(generator.integers(2**31)))
            cbv = phantom.cbv if full is None or target == "truth" else closed_form(full, VERBENA_BASELINE_FRAMES)
        except InputError:
            continue
        return training_slices(prepared, cbv, phantom.mask, recipe)
    raise InputError("training", f"{DRAWS} phantoms in a row could not be used", "check the anatomies")


@dataclass(frozen=True)
class PhantomLessons:
    """Phantoms to train on: no two epochs see the same one.

    :param source: where they come from
    :param an_epoch: how many
    :param seed: of all of them
    :param recipe: what the network is given of them
    :param dose: how the dose is drawn
    :param slice_step: every so many slices are used
    :param target: `truth` or `reference`
    """

    source: PhantomSource
    an_epoch: int
    seed: int
    recipe: NetworkInput
    dose: DoseSettings
    slice_step: int = SLICE_STEP
    target: Target = "truth"

    def make(self, epoch: int, number: int) -> TrainingSlices:
        """Phantom `number` of an epoch."""
        seed = (self.seed, epoch, number)
        return training_case(self.source, seed, self.recipe, self.dose, self.slice_step, self.target)
