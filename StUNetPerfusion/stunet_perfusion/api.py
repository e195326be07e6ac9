"""The package in five functions: `read`, `lower_dose`, `predict`, `reference` and `compare`.

Each takes values and returns new ones. None writes a file, and none changes what it is given. They compute the same
numbers as the command line. `import stunet_perfusion` offers them, and imports this module when one of them is first
used; torch is imported by the first `predict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from stunet_perfusion.dose.simulate import Method, simulate_dose
from stunet_perfusion.kinetics.aif import ArterialInput, aif_from_vessels, automatic_aif
from stunet_perfusion.kinetics.reference.case import ReferenceSettings, reference_case
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.reading import read_series
from stunet_perfusion.regions.blood_volume_unit import blood_volume_unit
from stunet_perfusion.runs.normalized import normalized_maps
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.support.resources import shipped_checkpoint


@dataclass(frozen=True, eq=False)
class Prediction:
    """A network's map of a series. All arrays are (Z, Y, X); maps are float32 and 0 outside the brain.

    :param cbv: relative cerebral blood volume, in `unit`; 0 is no blood
    :param uncertainty: of `cbv`, in the same unit; `uncertainty_is` says what it means
    :param standardized: CBV as z-scores over the brain, cut to [-5, 5]
    :param ncbv: CBV in multiples of normal white matter; None where white matter holds no blood
    :param ncbv_uncertainty: of `ncbv`
    :param nawm: bool, the white matter that was given or found, or None: then the brain's mean stands for it
    :param brain: bool, the mask that was given or found
    :param grid: where the voxels are in the patient: what `write_map` needs
    :param unit: of `cbv` and `uncertainty`, in words
    :param uncertainty_is: the expected error, or only a spread over strips, in words
    :param notes: what was understood or decided on the way, one sentence each
    """

    cbv: np.ndarray
    uncertainty: np.ndarray
    standardized: np.ndarray
    ncbv: np.ndarray | None
    ncbv_uncertainty: np.ndarray | None
    nawm: np.ndarray | None
    brain: np.ndarray
    grid: Grid
    unit: str
    uncertainty_is: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Reference:
    """Closed-form maps of a series. All arrays are (Z, Y, X); maps are float32 and 0 outside the brain.

    :param cbv: cerebral blood volume
    :param cbf: cerebral blood flow
    :param mtt: mean transit time
    :param k2: strength of leakage, or None where leakage was not corrected
    :param ncbv: CBV in multiples of normal white matter; None where white matter holds no blood
    :param nawm: bool, the white matter that was given or found, or None: then the brain's mean stands for it
    :param brain: bool, the mask that was given or found
    :param grid: where the voxels are in the patient: what `write_map` needs
    :param units: of the maps, by name
    :param aif: the arterial input
    :param notes: what was understood or decided on the way, one sentence each
    """

    cbv: np.ndarray
    cbf: np.ndarray
    mtt: np.ndarray
    k2: np.ndarray | None
    ncbv: np.ndarray | None
    nawm: np.ndarray | None
    brain: np.ndarray
    grid: Grid
    units: Mapping[str, str]
    aif: ArterialInput
    notes: tuple[str, ...]


def read(
    path: str | Path,
    *,
    which: str | None = None,
    echo_time: float | None = None,
    frame_interval: float | None = None,
) -> DscSeries:
    """Read a DSC series.

    :param path: a 4-D NIfTI file, a `.nrrd` or `.seq.nrrd` sequence, or a folder: DICOM files, one volume a frame,
        or BIDS
    :param which: which series of a folder that holds several: number, description or UID in DICOM, or a part of the
        file's name
    :param echo_time: seconds; overrides what the file says
    :param frame_interval: seconds; overrides what the file says
    :returns: signal (T, Z, Y, X), times in seconds, grid, echo time in seconds or None, and notes
    :raises InputError: a series that cannot be used; the message names the fact and the way out
    """
    return read_series(path, which=which, echo_time=echo_time, frame_interval=frame_interval)


def lower_dose(
    series: DscSeries,
    dose: float,
    *,
    method: Method = "noise-matched",
    seed: int = 0,
    mask: np.ndarray | None = None,
    drop_frames: int | Literal["auto"] = "auto",
) -> DscSeries:
    """Simulate the series that a lower dose of contrast agent would have given.

    :param series: at full dose
    :param dose: share of the dose that is kept, in (0, 1]
    :param method: `noise-matched` adds the noise that a scan at that dose would have; `equation1` is the paper's, which
        keeps the noise of the full dose
    :param seed: of the noise that `noise-matched` adds
    :param mask: (Z, Y, X) brain mask, true or above 0.5 inside; None finds the brain
    :param drop_frames: first frames that are not yet in steady state; `auto` finds them. They stay in the series,
        unchanged, since they hold no contrast.
    :returns: a new series of the same frames, with a note that tells dose and method
    :raises InputError: no brain or no bolus was found, or a dose outside (0, 1]
    """
    lowered = replace(series, signal=np.array(series.signal, dtype=np.float32))
    prepared = prepare(lowered, mask=_as_mask(mask), drop_frames=drop_frames)
    # The steady frames share the memory of `lowered`: what is written into them is its signal.
    steady = simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed, in_place=True)
    return replace(lowered, notes=steady.notes)


def predict(
    series: DscSeries,
    *,
    mask: np.ndarray | None = None,
    nawm: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    stride: int = 1,
    drop_frames: int | Literal["auto"] = "auto",
    device: str = "auto",
    progress: Progress = no_progress,
) -> Prediction:
    """Predict the CBV map of a series, as it is, with a trained network.

    :param series: at any dose; it is not changed
    :param mask: (Z, Y, X) brain mask, true or above 0.5 inside; None finds the brain
    :param nawm: (Z, Y, X) mask of normal white matter; None finds it
    :param checkpoint: file of a trained network; None takes the one that ships
    :param stride: rows from one strip to the next; 1 averages all strips, as in the paper
    :param drop_frames: first frames that are left out as not yet in steady state; `auto` finds them
    :param device: `auto`, `cpu`, `cuda:0` or `mps`
    :param progress: called with a fraction and a sentence now and then
    :raises InputError: no brain, bolus or artery was found, or a checkpoint that cannot be used
    """
    from stunet_perfusion.inference.predict import PredictionSettings, predict_case
    from stunet_perfusion.networks.checkpoint import load
    from stunet_perfusion.runs.prediction import CBV_UNIT, normalized_prediction
    from stunet_perfusion.support.devices import choose_device

    settings = PredictionSettings(stride=stride, drop_frames=drop_frames, device=choose_device(device))
    network = load(shipped_checkpoint() if checkpoint is None else checkpoint)
    # At a dose of 1 the signal is only read.
    case = predict_case(series, network, settings, mask=_as_mask(mask), white_matter=_as_mask(nawm), progress=progress)
    normalized = normalized_prediction(case)
    return Prediction(
        cbv=case.map.cbv,
        uncertainty=case.map.uncertainty,
        standardized=case.map.standardized,
        ncbv=normalized.values("ncbv"),
        ncbv_uncertainty=normalized.values("ncbv_uncertainty"),
        nawm=case.unit.region,
        brain=case.prepared.brain,
        grid=series.grid,
        unit=CBV_UNIT,
        uncertainty_is=case.map.uncertainty_is,
        notes=(*case.prepared.series.notes, *normalized.notes),
    )


def reference(
    series: DscSeries,
    *,
    mask: np.ndarray | None = None,
    vessels: np.ndarray | None = None,
    nawm: np.ndarray | None = None,
    baseline: Literal["first", "auto"] | int = "auto",
    leakage_correction: bool = False,
    absolute: bool = False,
    drop_frames: int | Literal["auto"] = "auto",
    progress: Progress = no_progress,
) -> Reference:
    """Compute CBV, CBF and MTT by the method of FSL's Verbena.

    :param series: it is not changed
    :param mask: (Z, Y, X) brain mask, true or above 0.5 inside; None finds the brain
    :param vessels: (Z, Y, X) mask of arterial voxels; None finds the arterial input
    :param nawm: (Z, Y, X) mask of normal white matter; None finds it
    :param baseline: frames that the signal before the bolus is the mean of: `auto` takes all, `first` the first one as
        Verbena does, a number that many
    :param leakage_correction: correct CBV for leakage (Boxerman 2006), which gives `k2`, too
    :param absolute: CBV in ml/100 g and CBF in ml/100 g/min instead of fraction and 1/s
    :param drop_frames: first frames that are left out as not yet in steady state; `auto` finds them
    :param progress: called with a fraction and a sentence now and then
    :raises InputError: no brain, bolus or artery was found, or a mask on another grid
    """
    arteries = _as_mask(vessels)

    def find_aif(prepared: PreparedSeries, baseline_frames: int) -> ArterialInput:
        if arteries is None:
            return automatic_aif(prepared, baseline_frames)
        return aif_from_vessels(prepared, arteries, baseline_frames)

    prepared = prepare_scan(series, mask=_as_mask(mask), drop_frames=drop_frames)
    unit = blood_volume_unit(prepared, _as_mask(nawm))
    case = reference_case(
        prepared,
        ReferenceSettings(baseline, absolute, leakage_correction),
        find_aif=find_aif,
        progress=progress,
    )
    normalized = normalized_maps(case.maps["cbv"], prepared.brain, unit, series.grid)
    return Reference(
        cbv=case.maps["cbv"],
        cbf=case.maps["cbf"],
        mtt=case.maps["mtt"],
        k2=case.maps.get("k2"),
        ncbv=normalized.values("ncbv"),
        nawm=unit.region,
        brain=case.prepared.brain,
        grid=series.grid,
        units=case.units,
        aif=case.aif,
        notes=(*case.prepared.series.notes, *case.notes, *normalized.notes),
    )


def compare(
    values: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
    *,
    tumor: np.ndarray | None = None,
    nawm: np.ndarray | None = None,
    standardize: bool = True,
) -> dict[str, float]:
    """Score a map against another one. All arrays are (Z, Y, X) on one grid; masks are true or above 0.5 inside.

    :param values: the map to score
    :param reference: what it should be
    :param mask: the brain
    :param tumor: adds scores inside the tumor
    :param nawm: normal-appearing white matter; with `tumor` it adds nRCBV, the ratio of tumor to white matter
    :param standardize: L1, L2 and SSIM on z-scores over the brain as in the paper; False takes the maps as they are
    :returns: the numbers by name, as `stunet_perfusion.metrics.compare_maps` describes them
    :raises InputError: an empty mask, voxels that are not numbers, or a map that is constant in the brain
    """
    from stunet_perfusion.metrics import compare_maps

    brain = np.asarray(mask) > 0.5
    return compare_maps(values, reference, brain, _as_mask(tumor), _as_mask(nawm), standardize=standardize)


def _as_mask(mask: np.ndarray | None) -> np.ndarray | None:
    """Masks of numbers become bool as those of files do: labels, or probabilities."""
    return None if mask is None else np.asarray(mask) > 0.5
