"""The scores of one subject: every method, every dose, both tables; one row of numbers each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stunet_perfusion.evaluation.classical import VERBENA
from stunet_perfusion.evaluation.map_metrics import coverage, edge_sharpness, hot_spot
from stunet_perfusion.evaluation.methods import TABLES, Method, MethodMap, Table
from stunet_perfusion.evaluation.subjects import OpenSubject, Regions, Subject
from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.metrics import compare_maps
from stunet_perfusion.phantom import DOSES
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.training.doses import lowered

#: The paper's scores, as `compare_maps` names them.
PAPER_SCORES = ("l2", "tumor_l2", "l1", "tumor_l1", "ssim")

#: A map whose white matter has less than this share of the brain's mean has lost its zero.
LEAST_UNIT = 0.1


@dataclass(frozen=True, eq=False)
class SubjectScores:
    """What came of a subject.

    :param rows: one a table, dose and method: `table`, `dose`, `method` and numbers
    :param failures: methods that gave no map: a row's names and the sentence why
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)


#: Told of every map: table, dose, method, map, regions, and the subject's truth where it is known.
Watcher = Callable[[Table, float, str, np.ndarray, Regions, "np.ndarray | None"], None]


def score_subject(
    subject: Subject,
    methods: Sequence[Method],
    tables: Sequence[Table] = TABLES,
    *,
    watch: Watcher = lambda *_: None,
    progress: Progress = no_progress,
) -> SubjectScores:
    """Compute and score every map of a subject. One series and the full-dose maps are in memory at a time.

    The paper's table lowers the dose by Equation 1 and compares with Verbena's map at full dose (or the subject's own
    reference); the other table takes the series that were acquired at lower doses and compares with the truth. Where
    the subject has no truth, it has no second table.

    :raises InputError: the full-dose series cannot be used
    """
    found = SubjectScores()
    opened = subject.open()
    full = prepare(opened.scan(1.0), mask=opened.brain)
    regions = opened.regions(full.brain)
    wanted: dict[Table, np.ndarray] = {}
    if "paper" in tables:
        wanted["paper"] = closed_form(full, 1) if opened.reference is None else opened.reference
    if opened.truth is not None:
        wanted["truth"] = opened.truth
    steps = [
        (table, dose) for table in tables if table in wanted for dose in (DOSES if table == "paper" else opened.doses)
    ]
    shared: dict[str, MethodMap] = {}
    for n, (table, dose) in enumerate(steps):
        report = part_of(progress, n / len(steps), (n + 1) / len(steps))
        prepared = _at_dose(full, opened, table, dose, found)
        if prepared is None:
            continue
        used = [method for method in methods if table in method.tables]
        for m, method in enumerate(used):
            report(m / len(used), f"{subject.family} {subject.name}: {method.title} at {100 * dose:g} %")
            if table == "paper" and dose == 1 and method.name == VERBENA and opened.reference is None:
                continue  # it would be compared with itself
            place = {"table": table, "dose": dose, "method": method.name}
            try:
                if dose == 1 and method.same_in_tables:
                    if method.name not in shared:
                        shared[method.name] = method.compute(prepared, table, dose)
                    computed = shared[method.name]
                else:
                    computed = method.compute(prepared, table, dose)
                score = paper_scores if table == "paper" else truth_scores
                numbers = score(computed, wanted[table], regions)
            except InputError as error:
                found.failures.append({**place, "error": str(error)})
                continue
            found.rows.append({**place, **numbers})
            watch(table, dose, method.name, computed.cbv, regions, opened.truth)
    return found


def _at_dose(
    full: PreparedSeries, opened: OpenSubject, table: Table, dose: float, found: SubjectScores
) -> PreparedSeries | None:
    """The series of a table and dose. One that cannot be used is a failure of all methods."""
    if dose == 1:
        return full
    try:
        if table == "paper":
            return lowered(full, dose, "equation1", 0)
        return prepare(opened.scan(dose), mask=opened.brain)
    except InputError as error:
        found.failures.append({"table": table, "dose": dose, "method": "", "error": str(error)})
        return None


def paper_scores(computed: MethodMap, reference: np.ndarray, regions: Regions) -> dict[str, float]:
    """L1, L2 and SSIM over the brain, L1 and L2 over the tumor, of standardized maps on the grid of the series."""
    tumor = _region(regions.tumor, regions.mask)
    scores = compare_maps(computed.cbv, reference, regions.mask, tumor)
    return {name: scores[name] for name in PAPER_SCORES if name in scores}


def truth_scores(computed: MethodMap, truth: np.ndarray, regions: Regions) -> dict[str, float]:
    """Everything against the truth.

    L1, L2 and SSIM are of standardized maps; all else is of maps over their own mean in normal-appearing white matter
    (NAWM), the unit in which perfusion is read. Where that mean is below a tenth of the brain's, there is
    no such unit and these are missing. Ratio and hot spot
    are those of the living tumor.
    """
    mask, tumor, nawm = regions.mask, _region(regions.tumor, regions.mask), _region(regions.nawm, regions.mask)
    values, truth, uncertainty = computed.cbv.astype(np.float64), truth.astype(np.float64), computed.uncertainty
    scores = compare_maps(values, truth, mask, tumor)
    numbers = {name: scores[name] for name in (*PAPER_SCORES, "pearson") if name in scores}
    if nawm is None or not (unit := values[nawm].mean()) > LEAST_UNIT * abs(values[mask].mean()):
        return numbers
    values, truth = values / unit, truth / truth[nawm].mean()
    living = tumor if regions.living is None else _region(regions.living, regions.mask)
    scores = compare_maps(values, truth, mask, living, nawm, standardize=False)
    names = ("nrmse", "concordance", "bias", "limit_low", "limit_high", "nrcbv", "nrcbv_reference", "nrcbv_error")
    numbers |= {name: scores[name] for name in names if name in scores}
    if living is not None:
        numbers |= {"hot_spot": hot_spot(values, living), "hot_spot_reference": hot_spot(truth, living)}
        numbers["hot_spot_error"] = numbers["hot_spot"] - numbers["hot_spot_reference"]
    numbers["edge_sharpness"] = edge_sharpness(values, truth, mask)
    if uncertainty is not None:
        shares = coverage(values, uncertainty / unit, truth, mask)
        numbers |= {f"coverage_{100 * level:.0f}": share for level, share in shares.items()}
    return numbers


def _region(region: np.ndarray | None, mask: np.ndarray) -> np.ndarray | None:
    """The part of a region in the brain, or None where hardly any is."""
    if region is None or (region & mask).sum() < 2:
        return None
    return region & mask
