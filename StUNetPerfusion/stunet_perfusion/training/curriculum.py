"""Who is trained on and who is held out: phantoms of heads, or scanned cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from stunet_perfusion.cases import PARTS
from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.phantom import drawn_heads, image_files
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.training.fixed_phantoms import FixedPhantomLessons
from stunet_perfusion.training.phantom_cases import (
    VERBENA_BASELINE_FRAMES,
    PhantomLessons,
    PhantomSource,
    held_out_phantom,
)
from stunet_perfusion.training.scanned_cases import TABLE, CaseLessons, find_cases, hold_out, phantom_folders
from stunet_perfusion.training.settings import PHYSICAL, TrainingSettings
from stunet_perfusion.training.strip_dataset import TrainingSlices
from stunet_perfusion.training.validation import HeldOut, HeldOutCase, HeldOutPhantom

#: Validation phantoms are drawn from a stream of seeds that no epoch reaches.
VALIDATION_STREAM = 10**6

#: Seeds of the heads that are meant by `drawn`: to train on, and to validate with.
DRAWN_TO_TRAIN_ON = range(8)
DRAWN_TO_VALIDATE_WITH = range(8, 10)

#: So many names of heads or cases are told.
_MOST_NAMES = 6


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
    :param counted: who was found and what for, a sentence that names heads or cases, for the person who trains
    """

    lessons: Lessons
    held_out: list[HeldOut]
    validates: bool
    described: dict[str, Any]
    held_out_described: str
    counted: str


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
    heads = _heads(wanted.anatomies, DRAWN_TO_TRAIN_ON)
    unseen = _heads(wanted.validation, DRAWN_TO_VALIDATE_WITH)
    tumors = image_files([Path(each) for each in wanted.tumors], ())
    if shared := set(heads) & set(unseen):
        fact = "is both trained on and validated on"
        raise InputError(sorted(shared)[0], fact, "give other heads for validation", Setting.VALIDATION)
    of_kind = FixedPhantomLessons if wanted.fixed else PhantomLessons
    lessons: Lessons = of_kind(
        PhantomSource(heads, tumors), wanted.an_epoch, seed, recipe, settings.dose, wanted.slice_step, wanted.target
    )
    if isinstance(lessons, FixedPhantomLessons):
        lessons = replace(lessons, slices=wanted.slices)
    persons = persons_to_validate_with(unseen, wanted.validation_persons)
    rank, count = place
    held_out: list[HeldOut] = []
    for n, head in list(enumerate(persons))[rank::count]:
        progress(0.0, f"Making validation phantom {n + 1} of {len(persons)}")
        phantom = held_out_phantom(head, (seed, VALIDATION_STREAM, n))
        if wanted.target == "truth":
            held_out.append(HeldOutPhantom(phantom))
            continue
        # Who learns what is computed from a scan is also scored on it, as on a scanned case.
        full = prepare(phantom.series())
        map_at_full = closed_form(full, VERBENA_BASELINE_FRAMES)
        method = settings.dose_method if settings.dose_method != PHYSICAL else "noise-matched"
        held_out.append(HeldOutCase(full, map_at_full, phantom.mask & full.brain, method))
    data = f"{wanted.an_epoch} " + ("persons in all epochs" if wanted.fixed else "new phantoms per epoch")
    described = {
        "data": f"phantoms of {len(heads)} heads, {data}",
        "target": "noise-free CBV of the phantom" if wanted.target == "truth" else "Verbena's CBV at full dose",
        "heads": {Path(head).name: _digest(Path(head)) for head in heads},
        "tumor_masks": len(tumors),
    }
    counted = f"Training on {data} of {_count(heads, 'head')}; "
    counted += f"validating on {_count(unseen, 'other head')}; " if unseen else "validating on none; "
    counted += _count(tumors, "tumor mask") if tumors else "tumors are simulated"
    held_out_described = f"{len(persons)} phantoms of unseen heads"
    return Curriculum(lessons, held_out, bool(unseen), described, held_out_described, f"{counted}.")


def persons_to_validate_with(heads: Sequence[str], count: int) -> list[str]:
    """The head of each person: the heads in turn.

    :param count: persons; 0 takes one a head
    """
    return [heads[n % len(heads)] for n in range(count or len(heads))] if heads else []


def _of_cases(
    settings: TrainingSettings, recipe: NetworkInput, place: tuple[int, int], progress: Progress
) -> Curriculum:
    wanted, seed = settings.cases, settings.optimization.seed
    table = Path(wanted.table)
    cases = find_cases(table, wanted.split, seed)
    parts = {part: [case for case in cases if case.part == part] for part in PARTS}
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
    named = {part: _count([case.name for case in some], "case") for part, some in parts.items()}
    counted = f"Training on {named['train']}; validating on {named['validation']}; left for a test: {named['test']}."
    return Curriculum(lessons, held_out, unseen > 0, described, f"{unseen} held-out cases", counted)


def _heads(paths: Sequence[str], drawn: range) -> tuple[str, ...]:
    """Heads by name.

    :param drawn: seeds of those that `drawn` means
    :raises InputError: as `image_files`, or series in the place of label maps
    """
    for path in map(Path, paths):
        if path.is_dir() and phantom_folders(path):
            fact = "holds series that 'phantom' wrote, and no label maps of heads"
            raise InputError(path, fact, "give it as cases", Setting.CASES)
    found = image_files([Path(path) for path in paths], ("mni", "drawn"))
    return tuple(name for head in found for name in (drawn_heads(drawn) if head == "drawn" else (head,)))


def _count(names: Sequence[str], noun: str) -> str:
    """`2 heads (a.nii.gz, mni)`; of many, the first names only."""
    if not names:
        return "none"
    shown = [Path(name).name for name in names[:_MOST_NAMES]]
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return f"{len(names)} {noun}{'s' if len(names) > 1 else ''} ({', '.join(shown + more)})"


def _digest(path: Path) -> str | None:
    """None where there is no file: `mni`, or a folder of cases without a table."""
    return sha256_of_path(path) if path.is_file() else None
