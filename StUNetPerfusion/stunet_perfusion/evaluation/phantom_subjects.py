"""Phantoms to evaluate with: heads that were not trained on, of the training family or the second one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from stunet_perfusion.evaluation.subjects import OpenSubject, Subject
from stunet_perfusion.phantom import (
    DOSES,
    Phantom,
    anatomy_by_name,
    image_files,
    make_phantom,
    random_physiology,
    random_protocol,
    tumor_from_file,
)
from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.second_family import second_physiology, second_protocol
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.errors import InputError

Family = Literal["training", "second"]
FAMILIES: tuple[Family, ...] = ("training", "second")

_DRAWN_FROM = {
    "training": (random_physiology, random_protocol),
    "second": (second_physiology, second_protocol),
}

#: Streams of seeds that neither training (below 10^6 epochs) nor validation (10^6) reaches.
EVALUATION_STREAM = 2 * 10**6
RIDGE_STREAM = 3 * 10**6
CALIBRATION_STREAM = 4 * 10**6

#: A tumor of fewer milliliters, or white matter of fewer voxels, gives no ratio worth having.
SMALLEST_TUMOR = 1.0
FEWEST_WHITE_VOXELS = 50
FEWEST_TUMOR_VOXELS = 10

#: A head that cannot be used (a late bolus, a tumor outside the slices) is drawn again this often.
DRAWS = 12


def heads_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """`image_files`, among which `mni` and `drawn` are heads, too.

    :raises InputError: a path that does not exist, or a folder without NIfTI files
    """
    return image_files(paths, ("mni", "drawn"))


def phantom_subjects(
    heads: Sequence[str],
    family: Family,
    count: int,
    *,
    tumors: Sequence[str] = (),
    seed: int = 0,
    slice_step: int = 1,
    automatic_brain: bool = False,
    stream: int = EVALUATION_STREAM,
) -> list[Subject]:
    """`count` persons, the heads in turn, every second one with a low-grade tumor.

    :param heads: label maps, `mni` or `drawn`
    :param tumors: masks, one for each person in turn; invented where there are none
    :param slice_step: keep only every so many slices
    :param automatic_brain: let the computations find the brain; else they are given the true one
    """
    subjects = []
    for n in range(count):
        head, high = heads[n % len(heads)], n % 2 == 1
        tumor = tumors[n % len(tumors)] if tumors else "random"
        key = {
            "head": Path(head).name,
            "tumor": Path(tumor).name,
            "family": family,
            "seed": [seed, stream, n],
            "slice_step": slice_step,
            "automatic_brain": automatic_brain,
        }

        make = partial(graded_phantom, head, tumor, family, high, (seed, stream, n), slice_step)
        opened = partial(_open_made, make, automatic_brain)
        subjects.append(
            Subject(f"{n + 1:03d}", family, opened, key, "high" if high else "low", Path(head).name.split(".")[0])
        )
    return subjects


def _open_made(make: Callable[[], Phantom], automatic_brain: bool) -> OpenSubject:
    return open_phantom(make(), automatic_brain)


def open_phantom(phantom: Phantom, automatic_brain: bool = False) -> OpenSubject:
    """A phantom as a subject that was scanned at every dose."""
    return OpenSubject(
        phantom.series,
        DOSES,
        brain=None if automatic_brain else phantom.mask,
        mask=phantom.mask,
        tumor=phantom.tumor,
        living=_living(phantom),
        nawm=phantom.nawm,
        truth=phantom.cbv,
    )


def _living(phantom: Phantom) -> np.ndarray:
    """(Z, Y, X) bool: the tumor without necrosis, as grading looks at it; all of it where hardly any is left."""
    living = phantom.tumor & (phantom.fractions[Tissue.TUMOR_RIM] > 0.5)
    return living if living.sum() >= FEWEST_TUMOR_VOXELS else phantom.tumor


def graded_phantom(
    head: str, tumor: str, family: Family, high_grade: bool, seed: tuple[int, ...], slice_step: int = 1
) -> Phantom:
    """A person with a tumor of the given grade, drawn again until it can be used at the lowest dose.

    :param head: label map, `mni` or `drawn`
    :param tumor: mask, or `random`
    :raises InputError: no draw can be used
    """
    physiology_of, protocol_of = _DRAWN_FROM[family]
    anatomy = anatomy_by_name(head, seed[-1])
    for draw in range(DRAWS):
        generator = np.random.default_rng((*seed, sorted(_DRAWN_FROM).index(family), draw))
        physiology, protocol = physiology_of(generator, high_grade), protocol_of(generator)
        # A mask that ends up below the slices, or is a remnant after surgery, is replaced in the end.
        lump = tumor_from_file(tumor, anatomy, seed[-1]) if tumor != "random" and draw < DRAWS // 2 else "random"
        phantom = make_phantom(
            anatomy,
            tumor=lump,
            physiology=physiology,
            protocol=protocol,
            seed=int(generator.integers(2**31)),
            slices=range(int(generator.integers(slice_step)), protocol.slices, slice_step),
        )
        milliliters = phantom.tumor.sum() * np.prod(phantom.grid.spacing) / 1000
        if milliliters < SMALLEST_TUMOR or phantom.nawm.sum() < FEWEST_WHITE_VOXELS:
            continue
        try:
            prepare(phantom.series(min(DOSES)))
        except InputError:
            continue
        return phantom
    raise InputError(head, f"{DRAWS} phantoms in a row could not be used", "check the anatomy and the tumor")
