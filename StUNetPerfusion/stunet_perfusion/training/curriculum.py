"""Who is trained on and who is held out: phantoms of heads, or scanned cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.phantom import image_files
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.training.phantom_cases import (
    VERBENA_BASELINE_FRAMES,
    PhantomLessons,
    PhantomSource,
    held_out_phantom,
)
from stunet_perfusion.training.scanned_cases import TABLE, CaseLessons, find_cases, hold_out
from stunet_perfusion.training.settings import PHYSICAL, TrainingSettings
from stunet_perfusion.training.strip_dataset import TrainingSlices
from stunet_perfusion.training.validation import HeldOut, HeldOutCase, HeldOutPhantom

#: Validation phantoms are drawn from a stream of seeds that no epoch reaches.
VALIDATION_STREAM = 10**6


class Lessons(Protocol):
    """Cases to train on, `an_epoch` of them in each epoch. It can be pickled."""

    @property
    def an_epoch(self) -> int: ...

    def make(self, epoch: int, number: int) -> TrainingSlices:
        """Case `number` of an epoch: the same whenever and wherever it is made."""


@dataclass(frozen=True)
class Curriculum:
    """Who is trained on and who is held out.

    :param lessons: to train on
    :param held_out: to validate with, this process's share
    :param validates: whether anybody is held out, by any process
    :param described: what is trained on, for the checkpoint
    :param held_out_described: what is validated with, for people
    """

    lessons: Lessons
    held_out: list[HeldOut]
    validates: bool
    described: dict[str, Any]
    held_out_described: str


def curriculum_of(
    settings: TrainingSettings, recipe: NetworkInput, place: tuple[int, int] = (0, 1), progress: Progress = no_progress
) -> Curriculum:
    """Find heads or cases, and prepare those that are held out.

    :param recipe: what the network is given
    :param place: number of this process, and how many there are
    :raises InputError: heads or cases that cannot be used, or a head that is both trained and validated on
    """
    return (_of_phantoms if settings.phantoms.anatomies else _of_cases)(settings, recipe, place, progress)


def _of_phantoms(
    settings: TrainingSettings, recipe: NetworkInput, place: tuple[int, int], progress: Progress
) -> Curriculum:
    wanted, seed = settings.phantoms, settings.optimization.seed
    heads, unseen, tumors = (
        image_files([Path(each) for each in paths]) for paths in (wanted.anatomies, wanted.validation, wanted.tumors)
    )
    if shared := set(heads) & set(unseen):
        fact = "is both trained on and validated on"
        raise InputError(sorted(shared)[0], fact, "give other heads for validation", Setting.VALIDATION)
    lessons = PhantomLessons(
        PhantomSource(heads, tumors), wanted.an_epoch, seed, recipe, settings.dose, wanted.slice_step, wanted.target
    )
    rank, count = place
    held_out: list[HeldOut] = []
    for n, head in list(enumerate(unseen))[rank::count]:
        progress(0.0, f"Making validation phantom {n + 1} of {len(unseen)}")
        phantom = held_out_phantom(head, (seed, VALIDATION_STREAM, n))
        if wanted.target == "truth":
            held_out.append(HeldOutPhantom(phantom))
            continue
        # Who learns what is computed from a scan is also scored on it, as on a scanned case.
        full = prepare(phantom.series())
        map_at_full = closed_form(full, VERBENA_BASELINE_FRAMES)
        method = settings.dose_method if settings.dose_method != PHYSICAL else "noise-matched"
        held_out.append(HeldOutCase(full, map_at_full, phantom.mask & full.brain, method))
    described = {
        "data": f"phantoms of {len(heads)} heads, {wanted.an_epoch} new phantoms per epoch",
        "target": "noise-free CBV of the phantom" if wanted.target == "truth" else "Verbena's CBV at full dose",
        "heads": {Path(head).name: _digest(Path(head)) for head in heads},
        "tumor_masks": len(tumors),
    }
    return Curriculum(lessons, held_out, bool(unseen), described, f"{len(unseen)} phantoms of unseen heads")


def _of_cases(
    settings: TrainingSettings, recipe: NetworkInput, place: tuple[int, int], progress: Progress
) -> Curriculum:
    wanted, seed = settings.cases, settings.optimization.seed
    table = Path(wanted.table)
    cases = find_cases(table, wanted.split, seed)
    parts = {part: [case for case in cases if case.part == part] for part in ("train", "validation")}
    if not parts["train"]:
        raise InputError(table, "has nobody to train on", "write 'train' into the column 'part' of some cases")
    lessons = CaseLessons(tuple(parts["train"]), wanted.target, seed, recipe, settings.dose, wanted.slice_step)
    rank, count = place
    held_out: list[HeldOut] = []
    for n, case in list(enumerate(parts["validation"]))[rank::count]:
        progress(0.0, f"Reading validation case {n + 1} of {len(parts['validation'])}")
        held_out.append(hold_out(case, wanted.target, settings.dose.of_cases(), settings.validation.slice_step))
    described = {
        "data": f"{len(parts['train'])} scanned cases",
        "target": f"{wanted.target} CBV",
        # Names of cases may be those of patients.
        "table_sha256": _digest(table / TABLE if table.is_dir() else table),
    }
    unseen = len(parts["validation"])
    return Curriculum(lessons, held_out, unseen > 0, described, f"{unseen} held-out cases")


def _digest(path: Path) -> str | None:
    """None where there is no file: `mni`, or a folder of cases without a table."""
    return sha256_of_path(path) if path.is_file() else None
