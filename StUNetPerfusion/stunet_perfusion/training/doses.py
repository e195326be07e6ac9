"""The dose at which a case is seen in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stunet_perfusion.dose.simulate import Method, simulate_dose
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.training.settings import DoseSettings


def draw_share(settings: DoseSettings, generator: np.random.Generator) -> float:
    """A share of the injected dose: one of a list, or from a range, to three digits."""
    if settings.shares:
        return float(settings.shares[generator.integers(len(settings.shares))])
    return round(float(generator.uniform(settings.lowest, settings.highest)), 3)


def lowered(prepared: PreparedSeries, dose: float, method: Method, seed: int) -> PreparedSeries:
    """A series at a lower dose; frames, brain and bolus stay those of the full dose, as when a case is predicted.

    :raises InputError: as `simulate_dose`
    """
    return replace(prepared, series=simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed))
