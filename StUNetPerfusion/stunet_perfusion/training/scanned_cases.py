"""Scanned cases to train on and to validate with: series, masks, and the map that a network is to predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stunet_perfusion.cases import FILES, Case, read_cases
from stunet_perfusion.dose.simulate import Method
from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.reference import reference_cbv
from stunet_perfusion.networks.checkpoint_document import NetworkInput
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.reading import read_map, read_mask, read_series
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.doses import draw_share, lowered
from stunet_perfusion.training.settings import DoseSettings, Target
from stunet_perfusion.training.strip_dataset import TrainingSlices, training_slices
from stunet_perfusion.training.subject_split import split_subjects
from stunet_perfusion.training.validation import HeldOutCase

TABLE = "cases.csv"

#: The series of a case that is a folder, as the verb `phantom` calls it.
_SERIES = "dsc.nii.gz"

#: Files of such a folder whose name is not that of their column.
_FOLDER_NAMES = {"truth": "truth_cbv"}


def find_cases(place: Path, split: tuple[int, int, int], seed: int) -> list[Case]:
    """Cases with their parts.

    :param place: a table, a folder with one, a folder that 'phantom' wrote, or a folder of such folders
    :param split: persons to train on, to validate with and to test, where the table does not say
    :param seed: of the split
    :raises InputError: as `read_cases`, or a folder without cases
    """
    if place.is_dir() and not (place / TABLE).is_file():
        cases = [_case_of_folder(folder) for folder in phantom_folders(place)]
        if not cases:
            fact = f"has neither a {TABLE} nor folders with {_SERIES}"
            raise InputError(place, fact, "give a table of cases, or a folder that 'phantom' wrote")
    else:
        cases = read_cases(place / TABLE if place.is_dir() else place)
    if any(case.part for case in cases):
        return cases
    parts = split_subjects([_person(case) for case in cases], seed, split)
    return [replace(case, part=parts[_person(case)]) for case in cases]


def phantom_folders(place: Path) -> list[Path]:
    """The folder itself where it holds `dsc.nii.gz`, as 'phantom' writes it, else the folders in it that do."""
    if (place / _SERIES).is_file():
        return [place.resolve()]
    return [file.parent for file in sorted(place.glob(f"*/{_SERIES}"))]


@dataclass(frozen=True)
class CaseLessons:
    """Cases to train on, each once an epoch, at a dose that is drawn anew.

    :param cases: in the order of the table
    :param target: `reference` or `truth`
    :param seed: of order and doses
    :param recipe: what the network is given of them
    :param dose: how the dose is drawn and lowered
    :param slice_step: every so many slices are used
    """

    cases: tuple[Case, ...]
    target: Target
    seed: int
    recipe: NetworkInput
    dose: DoseSettings
    slice_step: int = 1

    @property
    def an_epoch(self) -> int:
        return len(self.cases)

    def make(self, epoch: int, number: int) -> TrainingSlices:
        """The case that comes at place `number` of an epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.cases))
        generator = np.random.default_rng([self.seed, epoch, number])
        full, target, brain = open_case(self.cases[order[number]], self.target)
        share = draw_share(self.dose, generator)
        low = lowered(full, share, self.dose.of_cases(), int(generator.integers(2**31)))
        return training_slices(low, target, brain, self.recipe, self.slice_step)


def open_case(case: Case, target: Target) -> tuple[PreparedSeries, np.ndarray, np.ndarray]:
    """Read a case.

    :param target: `reference`: the case's map, else the closed form of its series; `truth`: the case's
    :returns: the series at full dose, the CBV that is to be predicted, and where it is known, both (Z, Y, X)
    :raises InputError: what the files are refused for, or a truth that is not there
    """
    series = read_series(case.series, echo_time=case.echo_time, frame_interval=case.frame_interval)
    mask = read_mask(case.files["mask"], series.grid)[0] if "mask" in case.files else None
    prepared = prepare(series, mask=mask)
    if target in case.files:
        cbv = _map_on(series.grid, case.files[target])
    elif target == "truth":
        raise InputError(case.name, "has no true CBV", "fill in its column 'truth', or train on the reference")
    else:
        cbv = reference_cbv(prepared.series, prepared.bolus.arrival, automatic_aif(prepared).curve)
    return prepared, cbv, prepared.brain & np.isfinite(cbv)


def hold_out(case: Case, target: Target, method: Method, slice_step: int) -> HeldOutCase:
    """A case to validate with, of which only some slices are kept in memory.

    :raises InputError: as `open_case`
    """
    prepared, cbv, brain = open_case(case, target)
    kept = np.flatnonzero(brain.any(axis=(1, 2)))[::slice_step]
    series = prepared.series
    grid = Grid((len(kept), *series.grid.shape[1:]), series.grid.ijk_to_ras)
    some = replace(series, signal=np.ascontiguousarray(series.signal[:, kept]), grid=grid)
    return HeldOutCase(replace(prepared, series=some, brain=prepared.brain[kept]), cbv[kept], brain[kept], method)


def _map_on(grid: Grid, path: Path) -> np.ndarray:
    values, own_grid = read_map(path)
    if not own_grid.matches(grid):
        raise InputError(path, "is on another grid than the series", "resample it to the series")
    return values


def _case_of_folder(folder: Path) -> Case:
    places = {column: folder / f"{_FOLDER_NAMES.get(column, column)}.nii.gz" for column in FILES}
    return Case(folder.name, folder / _SERIES, files={name: path for name, path in places.items() if path.is_file()})


def _person(case: Case) -> str:
    return case.subject or case.name
