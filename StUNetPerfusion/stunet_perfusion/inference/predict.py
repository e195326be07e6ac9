"""One case, end to end: a series and a checkpoint in, a CBV map with its uncertainty out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from stunet_perfusion.dose.simulate import simulate_dose
from stunet_perfusion.inference.box import SquareBox, out_of_box
from stunet_perfusion.inference.input_kinds import input_kind, slice_for_network
from stunet_perfusion.inference.settings import PredictionSettings
from stunet_perfusion.inference.slice_input import SliceForNetwork
from stunet_perfusion.inference.slice_schedule import each_slice, slices_at_a_time
from stunet_perfusion.inference.standardization import Standardization
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.inference.strips import (
    SPREAD_OVER_STRIPS,
    StripAverage,
    predict_slice,
    take_apart,
)
from stunet_perfusion.kinetics.aif import ArterialInput, automatic_aif
from stunet_perfusion.kinetics.cbv_scale import (
    CLIP,
    CbvScale,
    cbv_scale,
    closed_form_scale,
    recover_scale,
)
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.networks.checkpoint import Checkpoint, CheckpointInfo
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.preprocessing.mending import parse_mend
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.regions.blood_volume_unit import BloodVolumeUnit, blood_volume_unit
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.concurrent_work import beside_the_network
from stunet_perfusion.support.devices import naming_exhausted_memory
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
    part_of,
)

#: Share of a case's work that looking at the series is.
_LOOKING = 0.03


@dataclass(frozen=True, eq=False)
class CbvMap:
    """A predicted map, on the grid of the series; 0 outside the brain, where the network was never taught anything.

    :param cbv: (Z, Y, X) float32, relative CBV with a true zero, in the unit of the closed form it was scaled by
    :param standardized: (Z, Y, X) float32, z-scores in [-5, 5]: mean 0 and SD 1 over the brain, as the paper's maps
    :param uncertainty: (Z, Y, X) float32, in the unit of `cbv`: the standard deviation that a network which was taught
        to expects its error to have; of any other, the spread over the strips that cover a pixel, which tells where
        the network contradicts itself and is no confidence interval
    :param scale: how z-scores become blood volume
    :param network_scale: mean and SD over the brain of what the network itself predicted. Far from 0 and 1, the network
        was unsure how strong the bolus is.
    :param uncertainty_is: which of the two the uncertainty is, in words
    """

    cbv: np.ndarray
    standardized: np.ndarray
    uncertainty: np.ndarray
    scale: CbvScale
    network_scale: CbvScale
    uncertainty_is: str = SPREAD_OVER_STRIPS


@dataclass(frozen=True, eq=False)
class PredictedCase:
    """A prediction with what it was made from.

    :param prepared: the series at the wanted dose
    :param aif: the arterial input that gives the map its scale
    :param closed_form: (Z, Y, X) CBV of the first pass by sum C / sum C_aif, fraction
    :param map: what the network predicts, fraction
    :param unit: normal white matter, found at the dose that was scanned, so that maps of all doses have one unit
    """

    prepared: PreparedSeries
    aif: ArterialInput
    closed_form: np.ndarray
    map: CbvMap
    unit: BloodVolumeUnit


def plan_for(prepared: PreparedSeries, info: CheckpointInfo) -> Standardization:
    """How a series is standardized for the network of a checkpoint.

    :raises InputError: as `plan_standardization`
    """
    expected = info.input
    return plan_standardization(
        prepared,
        expected.frames,
        expected.size,
        expected.quantity,
        expected.box,
        grows=True,
        window=expected.window,
    )


def apply_correction(average: StripAverage, info: CheckpointInfo, of_slice: SliceForNetwork) -> StripAverage:
    """A slice as the network means it: where it corrects another map, on top of that, and with its calibrated error.

    The other map is added in the box and not on the grid of the series, since what the network saw and corrected is the
    noise that resampling leaves. A network learns where maps are hard, and hardly how noisy this series is, which the
    series itself tells: what noise adds to the expected error was found on phantoms.

    :param average: what the network predicted of a slice, in the box
    :param of_slice: what it was given
    """
    mean, spread, error = average.mean, average.spread, average.error
    if of_slice.corrected is not None:
        unit = np.float32(of_slice.unit)
        mean, spread = of_slice.corrected + unit * mean, unit * spread
        error = None if error is None else unit * error
    if error is not None:
        error = np.float32(info.learned_error) * error
        if of_slice.noise is not None:
            error = np.hypot(error, np.float32(info.noise_error) * of_slice.noise)
    return StripAverage(mean, spread, error)


def empty_average(shape: tuple[int, int, int], network: CbvNetwork) -> StripAverage:
    """A volume to be filled by `put_slice`: 0 everywhere.

    :param shape: of the series, (Z, Y, X)
    :param network: which may say how large its error is, or not
    """
    error = np.zeros(shape, np.float32) if getattr(network, "says_error", False) else None
    return StripAverage(np.zeros(shape, np.float32), np.zeros(shape, np.float32), error)


def put_slice(volume: StripAverage, place: int, average: StripAverage, box: SquareBox) -> None:
    """Put a slice into a volume, from the box to the grid of the series."""
    for whole, values in (
        (volume.mean, average.mean),
        (volume.spread, average.spread),
        (volume.error, average.error),
    ):
        if whole is not None and values is not None:
            whole[place] = out_of_box(box, values, whole.shape[1:])


def predict_standardized(
    prepared: PreparedSeries,
    checkpoint: Checkpoint,
    *,
    plan: Standardization | None = None,
    stride: int = 1,
    batch: int = 8,
    device: str = "cpu",
    predict: Callable[..., StripAverage] = predict_slice,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> StripAverage:
    """What the network itself says: z-scores and their spread over strips, on the grid of the series.

    Where it corrects another map, this is the corrected map.

    :param plan: of the same series and checkpoint, where `plan_for` has made it before
    :param stride: rows from one strip to the next; 1 is the paper's
    :param batch: strips at a time
    :param device: `cpu`, `cuda:0`, `mps`, as torch names it
    :param predict: `predict_slice`, or what is called in its place
    :returns: mean, spread and, where the network says it, error, (Z, Y, X) float32, 0 outside the box around the brain
    :raises InputError: strips that do not fit, or a device without enough memory
    """
    info = checkpoint.info
    plan = plan_for(prepared, info) if plan is None else plan
    with naming_exhausted_memory(device):
        network = use_channels_last(fold_batch_normalization(checkpoint.network)).to(device)
    shape = prepared.brain.shape
    stages = take_apart(network, info.input.frames)
    volume = empty_average(shape, network)
    with_brain: list[int] = np.flatnonzero(prepared.brain.any(axis=(1, 2))).tolist()

    def standardized(z: int) -> SliceForNetwork:
        return slice_for_network(plan, prepared.series.signal[:, z], noise=info.noise_error > 0)

    def through_the_network(of_slice: SliceForNetwork) -> StripAverage:
        with naming_exhausted_memory(device, batch):
            return predict(
                network,
                of_slice.given,
                info.strip,
                stride,
                stages=stages,
                batch=batch,
                device=device,
                check_cancelled=check_cancelled,
            )

    def finish(z: int, of_slice: SliceForNetwork, average: StripAverage) -> None:
        put_slice(volume, z, apply_correction(average, info, of_slice), plan.box)

    slices = len(with_brain)
    progress(0.0, f"Predicting slice 1 of {slices}")
    for done, _ in enumerate(each_slice(with_brain, standardized, through_the_network, finish, device), start=1):
        progress(done / slices, f"Predicting slice {min(done + 1, slices)} of {slices}")
    progress(1.0, "Predicted")
    return volume


def known_scale(info: CheckpointInfo, closed_form: np.ndarray, brain: np.ndarray) -> CbvScale | None:
    """The blood volume that a network's own numbers stand for, where they tell it: corrections to the
    fit have the closed form's unit and zero. Of z-scores it is not known.

    :param closed_form: (Z, Y, X) CBV of the first pass of the whole series, any unit
    :param brain: (Z, Y, X) bool
    """
    return closed_form_scale(closed_form, brain) if input_kind(info.input.quantity).tells_blood_volume else None


def to_blood_volume(
    prepared: PreparedSeries,
    predicted: StripAverage,
    closed_form: np.ndarray,
    known: CbvScale | None = None,
) -> CbvMap:
    """Give a prediction its physical scale and its zero, from the closed form of the same series.

    A strip shows how the blood volumes in it compare, but not how strong the bolus is in the whole brain, so a network
    that is not told the dose finds the amplitude of the z-scores only roughly. It need not: over the brain a
    standardized map has mean 0 and SD 1 by definition, and is given them here.

    :param predicted: what the network predicted, and its spread, (Z, Y, X)
    :param closed_form: (Z, Y, X) CBV of the first pass, any unit; see `recover_scale`
    :param known: the blood volume that the network's numbers stand for, where the kind of input tells it
    :raises InputError: the prediction does not follow the closed form at all
    """
    brain = prepared.brain
    network_scale = cbv_scale(predicted.mean, brain)
    if known is None:
        scale = recover_scale(_z_scores(predicted, network_scale), closed_form, brain)
    else:
        scale = CbvScale(known.mean + known.sd * network_scale.mean, known.sd * network_scale.sd)
    found = map_at_scale(brain, predicted, network_scale, scale)
    if prepared.doubt is None:
        return found
    return replace(found, uncertainty=prepared.doubt.widened(found.uncertainty, found.cbv, scale.mean))


def map_at_scale(brain: np.ndarray, predicted: StripAverage, network_scale: CbvScale, scale: CbvScale) -> CbvMap:
    """What a network predicted, given mean 0 and SD 1 over the brain, and from there a physical scale.

    :param brain: (Z, Y, X) bool
    :param predicted: what the network predicted, and its spread, (Z, Y, X)
    :param network_scale: mean and SD of that over the brain
    :param scale: from z-scores to blood volume
    """
    z_scores = _z_scores(predicted, network_scale)
    uncertainty = (predicted.uncertainty * (scale.sd / network_scale.sd)).astype(np.float32)
    nothing = np.float32(0)
    return CbvMap(
        cbv=np.where(brain, scale.to_blood_volume(z_scores), nothing),
        standardized=np.where(brain, np.clip(z_scores, -CLIP, CLIP).astype(np.float32), nothing),
        uncertainty=np.where(brain, uncertainty, nothing),
        scale=scale,
        network_scale=network_scale,
        uncertainty_is=predicted.uncertainty_is,
    )


def _z_scores(predicted: StripAverage, network_scale: CbvScale) -> np.ndarray:
    return (predicted.mean - network_scale.mean) / network_scale.sd


def predict_case(
    series: DscSeries,
    checkpoint: Checkpoint,
    settings: PredictionSettings,
    *,
    mask: np.ndarray | None = None,
    white_matter: np.ndarray | None = None,
    consume: bool = False,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> PredictedCase:
    """A series in, its CBV map out.

    The frames, the brain and the bolus are found at full dose.

    :param series: checked, at full dose
    :param mask: (Z, Y, X) bool brain mask, or None to find the brain
    :param white_matter: (Z, Y, X) bool, normal white matter, or None to find it
    :param consume: whether the signal of the series may be overwritten by that of the lower dose: a clinical series is
        too large to hold twice. Whoever says so has no further use for the series.
    :raises InputError: as `prepare_scan`, `blood_volume_unit` and `predict_prepared`
    """
    prepared = prepare_scan(
        series,
        mask=mask,
        drop_frames=settings.drop_frames,
        mend=parse_mend(settings.mend),
        bolus=settings.bolus,
        progress=part_of(progress, 0.0, _LOOKING),
        check_cancelled=check_cancelled,
    )
    progress = part_of(progress, _LOOKING, 1.0)
    progress(0.0, "Finding normal white matter")
    unit = blood_volume_unit(prepared, white_matter)
    check_cancelled()
    return predict_prepared(
        prepared,
        checkpoint,
        settings,
        unit=unit,
        consume=consume,
        progress=progress,
        check_cancelled=check_cancelled,
    )


def predict_prepared(
    prepared: PreparedSeries,
    checkpoint: Checkpoint,
    settings: PredictionSettings,
    *,
    find_aif: Callable[[PreparedSeries], ArterialInput] = automatic_aif,
    predict: Callable[..., StripAverage] = predict_slice,
    unit: BloodVolumeUnit | None = None,
    consume: bool = False,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> PredictedCase:
    """`predict_case` for a series that is prepared already.

    The arterial input is found in the series at the wanted dose, as it would be in a real low-dose scan.

    :param prepared: at full dose
    :param find_aif: finds the arterial input in the series at the wanted dose
    :param predict: as for `predict_standardized`
    :param unit: normal white matter; None finds it
    :param consume: as for `predict_case`
    :raises InputError: as `simulate_dose`, `automatic_aif` and `predict_standardized`
    """
    unit = blood_volume_unit(prepared) if unit is None else unit
    lowered = simulate_dose(
        prepared.series,
        prepared.bolus.arrival,
        settings.dose,
        settings.method,
        settings.seed,
        in_place=consume,
        progress=part_of(progress, 0.02, 0.05),
    )
    prepared = replace(prepared, series=lowered)
    check_cancelled()

    def closed_form_map() -> tuple[ArterialInput, np.ndarray]:
        aif = find_aif(prepared)
        return aif, first_pass_cbv(prepared.series, prepared.bolus, aif.curve)

    progress(0.05, "Measuring the first pass")
    plan = plan_for(prepared, checkpoint.info)
    # The network knows nothing of the artery, so both may work at the same time.
    progress(0.05, "Finding the arterial input")
    slices = int(prepared.brain.any(axis=(1, 2)).sum())
    with beside_the_network(settings.device, slices_at_a_time(slices, settings.device)) as beside:
        scale_of_map = beside.submit(closed_form_map)

        def check() -> None:
            check_cancelled()
            # No map without an artery: the network need not go on.
            if scale_of_map.done():
                scale_of_map.result()

        predicted = predict_standardized(
            prepared,
            checkpoint,
            plan=plan,
            stride=settings.stride,
            batch=settings.batch,
            device=settings.device,
            predict=predict,
            progress=part_of(progress, 0.05, 1.0),
            check_cancelled=check,
        )
        aif, closed_form = scale_of_map.result()
    progress(1.0, "Giving the map its scale")
    known = known_scale(checkpoint.info, closed_form, prepared.brain)
    return PredictedCase(prepared, aif, closed_form, to_blood_volume(prepared, predicted, closed_form, known), unit)
