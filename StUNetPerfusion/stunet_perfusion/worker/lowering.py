"""An open series at the dose that a job wants."""

from __future__ import annotations

from dataclasses import replace

from stunet_perfusion.dose.simulate import check_dose, simulate_dose
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.progress import Progress
from stunet_perfusion.worker.open_series import OpenSeries


def lowered_series(opened: OpenSeries, dose: float, method: str, seed: int, progress: Progress) -> PreparedSeries:
    """The prepared series at a dose: a view of its file at full dose, otherwise a copy in memory.

    The frames, the brain and the bolus are those of the full dose.

    :raises InputError: as `simulate_dose`
    """
    known = check_dose(dose, method)
    if dose == 1:
        return opened.mapped()
    _, prepared = opened.loaded()
    lowered = simulate_dose(
        prepared.series, prepared.bolus.arrival, dose, known, seed, in_place=True, progress=progress
    )
    return replace(prepared, series=lowered)
