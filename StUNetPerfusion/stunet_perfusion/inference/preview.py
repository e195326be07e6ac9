"""Some slices of a case, soon: what is shown while somebody chooses a dose.

A whole case finds its arterial input and the statistics of its signal in the whole low-dose series. A preview takes
both from the full-dose series, where they were found before, and computes nothing but its own slices. What it
shows is therefore slightly different from the slices of the whole case, and the same at full dose with all slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stunet_perfusion.curve_fit.first_pass_measurement import first_pass_at_dose
from stunet_perfusion.dose.simulate import Method, simulate_slice
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.predict import (
    CbvMap,
    apply_correction,
    empty_average,
    map_at_scale,
    put_slice,
    to_blood_volume,
)
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.inference.strips import StripAverage, predict_slice_progressively, take_apart
from stunet_perfusion.inference.strips.stages import StUNetStages
from stunet_perfusion.kinetics.aif import ArterialInput, ArterialInputOfVoxels
from stunet_perfusion.kinetics.cbv_scale import CLOSED_FORM_UNIT, CbvScale, cbv_scale, has_spread
from stunet_perfusion.kinetics.concentration import UNKNOWN_ECHO_TIME, concentration_curves
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.networks.checkpoint import CheckpointInfo
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.preprocessing.bolus import Bolus
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.series import Grid
from stunet_perfusion.support.devices import naming_exhausted_memory
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled

#: In fewer voxels of brain a prediction and the closed form of a slice may well not agree on where more blood is.
FEWEST_VOXELS_FOR_A_SCALE = 300


@dataclass(frozen=True, eq=False)
class PreviewRound:
    """All slices of a preview at one stage.

    :param stage: "first" from few strips, "exact" from one at every row
    :param map: of the slices only, (slices, Y, X)
    :param closed_form: (slices, Y, X) CBV of the first pass, fraction
    """

    stage: Literal["first", "exact"]
    map: CbvMap
    closed_form: np.ndarray


def slices_at_dose(
    prepared: PreparedSeries, slices: Sequence[int], dose: float, method: Method, seed: int
) -> PreparedSeries:
    """Some slices of a series at a lower dose, the same voxels that `simulate_dose` gives.

    :param prepared: at full dose; it is not changed
    :param slices: from 0
    :returns: a series of these slices alone
    :raises InputError: a slice that is not there, or as `simulate_slice`
    """
    series = prepared.series
    count = series.grid.shape[0]
    if not slices or not all(0 <= z < count for z in slices):
        fact = f"{list(slices)} are not all among the {count} slices"
        raise InputError("slices", fact, f"give numbers from 0 to {count - 1}")
    signal = np.empty((series.frames, len(slices), *series.grid.shape[1:]), np.float32)
    for place, z in enumerate(slices):
        generator = np.random.default_rng([seed, z])
        signal[:, place] = simulate_slice(series.signal[:, z], prepared.bolus.arrival, dose, method, generator)
    # Where the slices are in the patient does not matter here, only how large their pixels are.
    grid = Grid((len(slices), *series.grid.shape[1:]), series.grid.ijk_to_ras)
    doubt = None if prepared.doubt is None else prepared.doubt.of_slices(slices)
    return replace(
        prepared, series=replace(series, signal=signal, grid=grid), brain=prepared.brain[list(slices)], doubt=doubt
    )


def aif_at_dose(
    prepared: PreparedSeries, aif: ArterialInputOfVoxels, dose: float, method: Method, seed: int
) -> ArterialInput:
    """The arterial input of the same voxels at a lower dose.

    Its noise is drawn for these voxels alone; it is not that of the same voxels in `simulate_dose`.

    :param prepared: at full dose
    :param aif: at full dose
    :raises InputError: as `simulate_slice`
    """
    if dose == 1:
        return aif
    series = prepared.series
    touched = np.flatnonzero(aif.voxels.any(axis=(1, 2)))
    signal = np.concatenate([series.signal[:, z][:, aif.voxels[z]] for z in touched], axis=1)
    generator = np.random.default_rng([seed, len(aif.voxels)])
    lowered = simulate_slice(signal, prepared.bolus.arrival, dose, method, generator)
    curves = concentration_curves(lowered, prepared.bolus.arrival, series.echo_time)
    return replace(aif, curve=curves.mean(axis=1, dtype=np.float64))


def plan_at_dose(
    plan: Standardization, sample: np.ndarray, bolus: Bolus, dose: float, method: Method, seed: int
) -> Standardization:
    """How the series is standardized at a lower dose.

    The signal before the bolus does not know the dose. The area under the brain's curves does, and is found in some
    voxels, whose noise is drawn for them alone.

    :param plan: at full dose; one without a first pass knows no dose and stays as it is
    :param sample: (T, n) at full dose, as `sample_brain` takes it
    :raises InputError: as `first_pass_at_dose`
    """
    if plan.first_pass is None:
        return plan
    return replace(plan, first_pass=first_pass_at_dose(sample, bolus, plan.first_pass, dose, method, seed))


def preview_slices(
    lowered: PreparedSeries,
    network: CbvNetwork,
    info: CheckpointInfo,
    plan: Standardization,
    aif_curve: np.ndarray,
    *,
    stages: StUNetStages | None = None,
    batch: int = 8,
    device: str = "cpu",
    check_cancelled: CheckCancelled = never_cancelled,
) -> Iterator[PreviewRound]:
    """Predict slices twice, first from few strips.

    :param lowered: the slices alone, as `slices_at_dose` makes them
    :param network: of the checkpoint, folded, on `device`
    :param info: of the checkpoint
    :param plan: of the whole series, at the dose of the slices; see `plan_at_dose`
    :param aif_curve: (T,) at the dose of the slices
    :param stages: of the network, where `take_apart` has made them before
    :param batch: strips at a time
    :returns: two rounds; the second is computed only when it is asked for
    :raises InputError: as `predict_slice` and `to_blood_volume`, or a device without enough memory
    """
    closed_form = first_pass_cbv(lowered.series, lowered.bolus, aif_curve)
    known = _known_scale(plan, aif_curve, lowered.series.echo_time)
    stages = stages or take_apart(network, info.input.frames)
    averages, of_slices = {}, {}
    for place in np.flatnonzero(lowered.brain.any(axis=(1, 2))):
        signal = lowered.series.signal[:, place]
        of_slices[place] = slice_for_network(plan, signal, noise=info.noise_error > 0)
        averages[place] = predict_slice_progressively(
            network,
            of_slices[place].given,
            info.strip,
            stages=stages,
            batch=batch,
            device=device,
            check_cancelled=check_cancelled,
        )
    shape = lowered.brain.shape
    for stage in ("first", "exact"):
        volume = empty_average(shape, network)
        for place, rounds in averages.items():
            with naming_exhausted_memory(device, batch):
                average = next(rounds)
            put_slice(volume, place, apply_correction(average, info, of_slices[place]), plan.box)
        yield PreviewRound(stage, _blood_volume(lowered, volume, closed_form, known), closed_form)


def _known_scale(plan: Standardization, aif_curve: np.ndarray, echo_time: float | None) -> CbvScale | None:
    """`known_scale` from the mean of the whole brain, of which a preview has only some slices."""
    if plan.first_pass is None:
        return None
    # The area of the tissue's curves is TE * delta R2*, the artery's as the series knows its TE.
    te = UNKNOWN_ECHO_TIME if echo_time is None else echo_time
    mean = plan.first_pass.brain_area / (te * float(aif_curve[: plan.first_pass.stop].sum()))
    return CbvScale(mean, mean * CLOSED_FORM_UNIT)


def _blood_volume(
    lowered: PreparedSeries, predicted: StripAverage, closed_form: np.ndarray, known: CbvScale | None
) -> CbvMap:
    """`to_blood_volume`, which with hardly any brain falls back on the closed form's own mean and spread."""
    brain = lowered.brain
    try:
        return to_blood_volume(lowered, predicted, closed_form, known)
    except InputError:
        if np.count_nonzero(brain) >= FEWEST_VOXELS_FOR_A_SCALE:
            raise
    if has_spread(predicted.mean[brain]) and has_spread(closed_form[brain]):
        return map_at_scale(brain, predicted, cbv_scale(predicted.mean, brain), cbv_scale(closed_form, brain))
    nothing = np.zeros_like(predicted.mean)
    return CbvMap(nothing, nothing, nothing, CbvScale(0.0, 1.0), CbvScale(0.0, 1.0), predicted.uncertainty_is)
