"""Phantoms to train on that stay the same persons in all epochs, as the paper's 25 do."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stunet_perfusion.kinetics.closed_form import closed_form
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.doses import draw_share, lowered
from stunet_perfusion.training.phantom_cases import DRAWS, VERBENA_BASELINE_FRAMES, PhantomLessons, random_phantom
from stunet_perfusion.training.settings import PHYSICAL
from stunet_perfusion.training.strip_dataset import TrainingSlices, training_slices

#: Persons are drawn from the seeds of this epoch, before all others.
_PERSONS = 0


@dataclass(frozen=True)
class ScannedPerson:
    """A phantom, scanned once.

    :param full: at full dose
    :param cbv: (Z, Y, X) what the network is to predict, any unit
    :param brain: (Z, Y, X) bool, where that is known
    """

    full: PreparedSeries
    cbv: np.ndarray
    brain: np.ndarray


@dataclass(frozen=True)
class FixedPhantomLessons(PhantomLessons):
    """As `PhantomLessons`, but `an_epoch` persons that every epoch sees again, at another dose.

    :param slices: of each in an epoch, drawn anew; 0 takes all
    """

    slices: int = 0
    _scanned: dict[int, ScannedPerson] = field(default_factory=dict, compare=False, repr=False)

    def make(self, epoch: int, number: int) -> TrainingSlices:
        """Person `number` as an epoch sees it: the same whenever and wherever it is made.

        :raises InputError: as `person`
        """
        person = self.person(number)
        generator = np.random.default_rng((self.seed, epoch, number, 1))
        share = draw_share(self.dose, generator)
        method = self.dose.method
        if not method or method == PHYSICAL:
            raise InputError("dose.method", "a scanned person has one physical dose", "use equation1 or noise-matched")
        seen = lowered(person.full, share, method, int(generator.integers(2**31)))

        def draw(slices: np.ndarray) -> np.ndarray:
            return np.sort(generator.choice(slices, min(self.slices or len(slices), len(slices)), replace=False))

        return training_slices(seen, person.cbv, person.brain, self.recipe, draw=draw)

    def person(self, number: int) -> ScannedPerson:
        """Person `number`, made when it is first asked for.

        :raises InputError: no draw can be used
        """
        if number not in self._scanned:
            self._scanned[number] = self._scan(number)
        return self._scanned[number]

    def _scan(self, number: int) -> ScannedPerson:
        for draw in range(DRAWS):
            phantom, _ = random_phantom(self.source, (self.seed, _PERSONS, number, draw), self.slice_step)
            try:
                full = prepare(phantom.series())
                cbv = phantom.cbv if self.target == "truth" else closed_form(full, VERBENA_BASELINE_FRAMES)
                # What cannot be standardized is found now, and not in some later epoch.
                training_slices(full, cbv, phantom.mask, self.recipe, draw=_first)
            except InputError:
                continue
            return ScannedPerson(full, cbv, phantom.mask)
        raise InputError("training", f"{DRAWS} phantoms in a row could not be used", "check the anatomies")


def _first(slices: np.ndarray) -> np.ndarray:
    return slices[:1]
