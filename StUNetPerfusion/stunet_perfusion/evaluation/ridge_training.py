"""Fits the ridge regression to subjects that are not evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from stunet_perfusion.evaluation.methods import Table
from stunet_perfusion.evaluation.ridge import Moments, RidgeFit, fit, moments
from stunet_perfusion.evaluation.subjects import Subject
from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.phantom import DOSES
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.training.doses import lowered


def fit_ridge(subjects: Sequence[Subject], progress: Progress = no_progress) -> list[RidgeFit]:
    """One fit a table and dose: to Verbena's full-dose map from doses by Equation 1, and to the truth where known.

    :raises InputError: nobody to fit to, or a subject that cannot be used
    """
    found: dict[tuple[Table, float], list[Moments]] = {}
    for n, subject in enumerate(subjects):
        progress(n / len(subjects), f"Ridge regression: training subject {n + 1} of {len(subjects)}")
        opened = subject.open()
        full = prepare(opened.scan(1.0), mask=opened.brain)
        brain = full.brain if opened.mask is None else opened.mask
        target = closed_form(full, 1) if opened.reference is None else opened.reference
        for dose in DOSES:
            lowered_series = lowered(full, dose, "equation1", 0)
            found.setdefault(("paper", dose), []).append(moments(lowered_series, target, brain))
        if opened.truth is None:
            continue
        for dose in opened.doses:
            prepared = full if dose == 1 else prepare(opened.scan(dose), mask=opened.brain)
            found.setdefault(("truth", dose), []).append(moments(prepared, opened.truth, brain))
    return [fit(all_moments, table, dose) for (table, dose), all_moments in found.items()]
