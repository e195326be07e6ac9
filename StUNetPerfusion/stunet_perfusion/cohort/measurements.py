"""The numbers of a case that stand in the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stunet_perfusion.cases import Case
from stunet_perfusion.cohort.numbers import NUMBERS, SCORES
from stunet_perfusion.inference.predict import PredictedCase
from stunet_perfusion.kinetics.result_quality import quality_of_results
from stunet_perfusion.metrics import compare_maps, nrcbv
from stunet_perfusion.preprocessing.quality.report import LIGHTS, QualityReport
from stunet_perfusion.reading import read_map, read_mask
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError


@dataclass(frozen=True)
class Measurements:
    """What the summary says of a case.

    :param numbers: by the names of `NUMBERS`; None where a region or the reference is missing
    :param notes: why a region or the reference could not be used, one sentence each
    """

    numbers: Mapping[str, float | None]
    notes: tuple[str, ...]


def measure_case(predicted: PredictedCase, case: Case) -> Measurements:
    """Volumes in ml, means of CBV, tumor over white matter, and scores where there is a reference.

    A mask or reference that cannot be used (an empty mask of a tumor that is gone) costs its numbers, not the map.
    """
    cbv, brain = predicted.map.cbv, predicted.prepared.brain
    grid = predicted.prepared.series.grid
    milliliters = float(np.prod(grid.spacing)) / 1000
    notes: list[str] = []
    regions = {name: _region(case, name, grid, notes) for name in ("tumor", "nawm")}
    if regions["nawm"] is None:
        regions["nawm"] = predicted.unit.region
    tumor, nawm = regions["tumor"], regions["nawm"]
    numbers: dict[str, float | None] = dict.fromkeys(NUMBERS)
    numbers["brain_ml"] = float(brain.sum()) * milliliters
    numbers["cbv_brain"] = _mean(cbv, brain)
    numbers["uncertainty_brain"] = _mean(predicted.map.uncertainty, brain)
    numbers |= {
        f"{name}_ml": float(region.sum()) * milliliters for name, region in regions.items() if region is not None
    }
    numbers |= {f"cbv_{name}": _mean(cbv, region) for name, region in regions.items() if region is not None}
    try:
        if tumor is not None and nawm is not None:
            numbers["nrcbv"] = nrcbv(cbv, tumor, nawm, "predicted map")
        if "reference" in case.files:
            reference = _reference(case, grid)
            scores = compare_maps(cbv, reference, brain, tumor, nawm, names=("predicted map", "reference map"))
            numbers |= {name: scores.get(name) for name in SCORES}
    except InputError as error:
        notes.append(f"not scored: {error}")
    quality = quality_of_results(predicted.prepared, predicted.aif, cbv)
    if quality is not None:
        numbers |= quality_numbers(quality)
        notes += quality.sentences()
    return Measurements(numbers, tuple(notes))


def quality_numbers(quality: QualityReport) -> dict[str, float | None]:
    """How good a series is, in the numbers of the summary."""

    def value(finding: str, number: str = "value") -> float | None:
        found = quality.finding(finding)
        measured = None if found is None else found.numbers.get(number)
        return None if measured is None else float(measured)

    return {
        "quality": float(LIGHTS.index(quality.light)),
        "temporal_snr": value("temporal_snr"),
        "contrast_to_noise": value("contrast_to_noise"),
        "signal_drop": value("drop"),
        "bolus_width_s": value("width"),
        "displacement_mm": value("motion", "largest_mm"),
        "damaged_slices": value("damaged_frames", "damaged_slices"),
        "drift_percent": value("level", "drift_percent"),
    }


def _region(case: Case, name: str, grid: Grid, notes: list[str]) -> np.ndarray | None:
    """(Z, Y, X) bool, or None where the case has no such mask or it cannot be used, which is noted."""
    if name not in case.files:
        return None
    try:
        mask, _ = read_mask(case.files[name], grid)
    except InputError as error:
        notes.append(f"{name} left out: {error}")
        return None
    return mask


def _reference(case: Case, grid: Grid) -> np.ndarray:
    reference, own_grid = read_map(case.files["reference"])
    if not own_grid.matches(grid):
        fact = "is on another grid than the series"
        raise InputError(case.files["reference"], fact, "resample it: scores need voxels at the same places")
    return reference


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean(dtype=np.float64))
