"""How large the error of a network's map is, fitted to phantoms whose truth is known.

A network that is taught its error learns where maps are hard: at vessels, edges, tumors. How noisy a series is, it
hardly learns, or, where it is told the noise of the fit, what noise unlike that of its training leaves of it; but the
series tells, see `noise_slice`. The standard deviation is taken for the root of the sum of squares of both, each times
a factor. Persons differ by more than doses do, and whoever reads a map reads that of one person: so the factors are the
least with which the interval of 95 % holds the truth in 95 % of the voxels, or more, in three persons of four at every
dose.

Of a network that is told the noise of the fit, only the first is fitted: the noise that the series adds is measured
and counts as it is. Phantoms like those of the training have next to none, and would hardly tell its factor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.stats import norm

from stunet_perfusion.inference.box import out_of_box
from stunet_perfusion.inference.curves_and_fit_input import noise_slice
from stunet_perfusion.inference.predict import plan_for, predict_standardized
from stunet_perfusion.kinetics.cbv_scale import closed_form_scale
from stunet_perfusion.networks.checkpoint import Checkpoint
from stunet_perfusion.phantom import DOSES, Phantom
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import Progress, no_progress

#: The share of voxels whose truth is to lie within the interval, and its half width in standard deviations.
LEVEL = 0.95
_WIDTH = float(norm.ppf((1 + LEVEL) / 2))

#: The share of persons, in percent, whose interval may hold less.
_PERSONS_BELOW = 25.0

#: Factors that are tried.
_LEARNED = np.arange(0.0, 2.01, 0.02)
_NOISE = np.arange(0.0, 1.51, 0.02)

#: The noise that a series adds to what a network of the fit is told.
MEASURED = 1.0

#: Voxels taken of each phantom and dose.
_VOXELS = 3000


@dataclass(frozen=True, eq=False)
class ErrorSample:
    """Voxels of one person, all (n,), in the network's unit.

    :param error: what the map is off the truth
    :param learned: the standard deviation that the network expects
    :param noise: the standard deviation of noise, as `noise_slice`
    """

    error: np.ndarray
    learned: np.ndarray
    noise: np.ndarray

    def coverage(self, learned: float, noise: float) -> float:
        """The share of voxels whose truth is within the interval, given both factors."""
        error, of_network, of_noise = self._squares
        within = error < (_WIDTH * learned) ** 2 * of_network + (_WIDTH * noise) ** 2 * of_noise
        return np.count_nonzero(within) / error.size

    @cached_property
    def _squares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of error, learned error and noise. Thousands of pairs of factors are tried, and a root takes longest."""
        error, learned, noise = (np.square(each.astype(np.float64)) for each in (self.error, self.learned, self.noise))
        return error, learned, noise


def fit_error(samples: Mapping[float, Sequence[ErrorSample]], noise: float | None = None) -> tuple[float, float]:
    """The two factors, the least on a grid with which the interval holds enough in three persons of four at every dose.
    The least are those whose interval holds the least altogether.

    :param samples: by dose, of each person
    :param noise: its factor, where that is known
    :returns: of the learned error, and of the noise
    """

    def beyond(factors: tuple[float, float]) -> tuple[float, float]:
        held = [[person.coverage(*factors) for person in of_dose] for of_dose in samples.values()]
        short = max(LEVEL - float(np.percentile(of_dose, _PERSONS_BELOW)) for of_dose in held)
        return max(short, 0.0), sum(map(sum, held))

    noises = _NOISE.tolist() if noise is None else [noise]
    learned, of_noise = min(((a, b) for a in _LEARNED.tolist() for b in noises), key=beyond)
    return round(learned, 2), round(of_noise, 2)


def coverage(of_persons: Sequence[ErrorSample], learned: float, noise: float) -> float:
    """The share of voxels whose truth is within the interval, the mean over persons."""
    return float(np.mean([person.coverage(learned, noise) for person in of_persons]))


def sample_errors(
    checkpoint: Checkpoint, phantoms: Iterable[Phantom], stride: int = 8, progress: Progress = no_progress
) -> dict[float, list[ErrorSample]]:
    """Predict phantoms at every dose, and take voxels of their brains.

    :param phantoms: one after the other
    :param stride: rows from strip to strip
    :returns: by dose, of each phantom
    :raises InputError: a network that does not say its error
    """
    if not checkpoint.info.arguments.get("error"):
        raise InputError(checkpoint.name, "does not say its error", "train a network with error = true")
    raw = replace(checkpoint, info=replace(checkpoint.info, learned_error=1.0, noise_error=0.0))
    generator = np.random.default_rng(0)
    found: dict[float, list[ErrorSample]] = {dose: [] for dose in DOSES}
    for number, phantom in enumerate(phantoms):
        for dose in DOSES:
            progress(0.0, f"Phantom {number + 1} at {dose:g} of the dose")
            prepared = prepare(phantom.series(dose), mask=phantom.mask)
            found[dose].append(_sample(raw, phantom, prepared, stride, generator))
    return found


def _sample(
    checkpoint: Checkpoint, phantom: Phantom, prepared: PreparedSeries, stride: int, generator: np.random.Generator
) -> ErrorSample:
    predicted = predict_standardized(prepared, checkpoint, stride=stride)
    plan = plan_for(prepared, checkpoint.info)
    shape = prepared.brain.shape[1:]
    noise = [
        out_of_box(plan.box, noise_slice(plan, prepared.series.signal[:, z]), shape) for z in range(len(prepared.brain))
    ]
    own = closed_form_scale(phantom.cbv, prepared.brain)
    error = predicted.mean - (phantom.cbv - own.mean) / own.sd
    voxels = np.flatnonzero(prepared.brain)
    chosen = generator.choice(voxels, min(_VOXELS, len(voxels)), replace=False)
    learned = predicted.uncertainty
    return ErrorSample(error.ravel()[chosen], learned.ravel()[chosen], np.stack(noise).ravel()[chosen])
