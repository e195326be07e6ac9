"""The network's map of a series, from files to files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from stunet_perfusion import __version__
from stunet_perfusion.inference.predict import PredictedCase, PredictionSettings, predict_case
from stunet_perfusion.inference.trained_doses import note_on_simulation
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.kinetics.result_quality import quality_of_results
from stunet_perfusion.networks.checkpoint import Checkpoint, load
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.runs.curves import describe_curves
from stunet_perfusion.runs.folders import series_of_folder
from stunet_perfusion.runs.normalized import NormalizedMaps, normalized_maps
from stunet_perfusion.runs.output import refuse_output_in_input
from stunet_perfusion.runs.results import USE, ResultMap, write_results
from stunet_perfusion.support.documents import typed_arguments
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
    part_of,
)
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.writing.bids import bids_names, desc_of_prediction, refuse_raw_data_set

#: The unit of a predicted map.
CBV_UNIT = "fraction of the arterial input's first pass"


@dataclass(frozen=True)
class PredictionRequest:
    """A series whose map is wanted.

    :param series: file or folder
    :param which: which series of the folder, where it holds several, as `read_series` takes it
    :param checkpoint: the trained network
    :param settings: dose, device and so on
    :param mask: brain mask; found where there is none
    :param nawm: mask of normal white matter, which nCBV is in multiples of; found where there is none
    :param echo_time: seconds; overrides the file
    :param frame_interval: seconds; overrides the file
    """

    series: Path
    checkpoint: Path = field(default_factory=shipped_checkpoint)
    settings: PredictionSettings = field(default_factory=PredictionSettings)
    mask: Path | None = None
    nawm: Path | None = None
    echo_time: float | None = None
    frame_interval: float | None = None
    which: str | None = None

    verb = "predict"

    def files(self) -> dict[str, Path | None]:
        """Every file that is read, by its role."""
        return {"series": self.series, "checkpoint": self.checkpoint, "mask": self.mask, "nawm": self.nawm}

    def arguments(self) -> dict[str, Any]:
        """Everything else that decides the result."""
        return {
            "settings": asdict(self.settings),
            "echo_time": self.echo_time,
            "frame_interval": self.frame_interval,
            "which": self.which,
        }

    @classmethod
    def from_arguments(cls, files: Mapping[str, Any], arguments: Mapping[str, Any]) -> PredictionRequest:
        """The request that `files` and `arguments` describe.

        :param files: paths
        :raises TypeError: an argument that this version does not know, or of another type
        """
        return cls(**files, **typed_arguments(cls, arguments))


@dataclass(frozen=True, eq=False)
class PredictionRun:
    """What came of a request.

    :param case: the maps and what they were made from
    :param report: the JSON document that was written
    """

    case: PredictedCase
    report: dict[str, Any]


def run_prediction(
    request: PredictionRequest,
    stage: Path,
    output: Path,
    *,
    checkpoint: Checkpoint | None = None,
    bids: bool = False,
    subject: str | None = None,
    anonymous: bool = False,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> PredictionRun:
    """Predict, and write the maps, the region of white matter, and the report.

    :param stage: folder to write into now
    :param output: the folder that `stage` will become
    :param checkpoint: `request.checkpoint`, where it is loaded already
    :param bids: name the files as a BIDS derivative
    :param subject: its label, where the series' name does not tell
    :param anonymous: leave every path out of the report
    :raises InputError: as `read_series`, `read_mask`, `checkpoint.load` and `predict_case`
    """
    started = time.monotonic()
    request = replace(request, **series_of_folder(request.series, request.which))
    refuse_output_in_input(request.series, output)
    checkpoint = load(request.checkpoint) if checkpoint is None else checkpoint
    settings = request.settings
    names = None
    if bids:
        refuse_raw_data_set(output)
        desc = desc_of_prediction(checkpoint.info.network, settings.dose, settings.method)
        names = bids_names(request.series, desc, subject)
    series = read_series(
        request.series,
        which=request.which,
        echo_time=request.echo_time,
        frame_interval=request.frame_interval,
        progress=part_of(progress, 0, 0.1),
    )
    mask, mask_notes = (None, ()) if request.mask is None else read_mask(request.mask, series.grid)
    white_matter, white_notes = (None, ()) if request.nawm is None else read_mask(request.nawm, series.grid)
    case = predict_case(
        series,
        checkpoint,
        settings,
        mask=mask,
        white_matter=white_matter,
        consume=True,
        progress=part_of(progress, 0.1, 0.99),
        check_cancelled=check_cancelled,
    )
    normalized = normalized_prediction(case)
    report = prediction_report(case, checkpoint, settings, (*mask_notes, *white_notes), normalized)
    report["seconds"] = round(time.monotonic() - started, 1)
    maps = normalized.maps | _maps(case)
    report["curves"] = describe_curves(case.prepared, case.unit.region)
    baseline = baseline_signal(case.prepared.series.signal, case.prepared.bolus.arrival)
    regions = normalized.regions
    document = write_results(stage, output, request, series, report, maps, names, regions, baseline, anonymous)
    return PredictionRun(case, document)


def normalized_prediction(case: PredictedCase) -> NormalizedMaps:
    """The predicted map in multiples of white matter."""
    prepared = case.prepared
    return normalized_maps(case.map.cbv, prepared.brain, case.unit, prepared.series.grid, case.map.uncertainty)


def prediction_report(
    case: PredictedCase,
    checkpoint: Checkpoint,
    settings: PredictionSettings,
    mask_notes: tuple[str, ...] = (),
    normalized: NormalizedMaps | None = None,
) -> dict[str, Any]:
    """What was done, so that it can be read. Where it was done with files, `write_results` adds their provenance.

    :param normalized: the map in multiples of white matter, where it has been computed already
    """
    prepared = case.prepared
    quality = quality_of_results(prepared, case.aif, case.map.cbv)
    normalized = normalized or normalized_prediction(case)
    simulated = prepared.series.simulated
    mismatch = note_on_simulation(checkpoint.info, simulated)
    return {
        "use": USE,
        "dose": 1.0 if simulated is None else simulated.dose,
        "simulated": None if simulated is None else asdict(simulated),
        "program": f"StUNetPerfusion {__version__}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "settings": asdict(settings),
        "checkpoint": {"name": checkpoint.name, **asdict(checkpoint.info)},
        "frames": prepared.series.frames + prepared.dropped_frames + prepared.dropped_last,
        "dropped_frames": prepared.dropped_frames,
        "frame_interval_s": prepared.series.frame_interval,
        "echo_time_s": prepared.series.echo_time,
        "baseline_frames": prepared.bolus.arrival,
        "arrival_frame": prepared.dropped_frames + prepared.bolus.arrival,
        "peak_frame": prepared.dropped_frames + prepared.bolus.peak,
        "brain_voxels": int(prepared.brain.sum()),
        "aif": case.aif.source,
        "cbv_unit": CBV_UNIT,
        "white_matter": normalized.report,
        "cbv_of_z_score": asdict(case.map.scale),
        "network_output_over_brain": asdict(case.map.network_scale),
        "uncertainty_is": case.map.uncertainty_is,
        "quality": None if quality is None else quality.document(),
        "notes": [*prepared.series.notes, *([mismatch] if mismatch else []), *mask_notes, *normalized.notes],
    }


def _maps(case: PredictedCase) -> dict[str, ResultMap]:
    return {
        "cbv": ResultMap(case.map.cbv, CBV_UNIT, "Relative cerebral blood volume; 0 is no blood."),
        "cbv_standardized": ResultMap(
            case.map.standardized, "1", "Cerebral blood volume as z-scores over the brain, cut to [-5, 5]."
        ),
        "cbv_uncertainty": ResultMap(case.map.uncertainty, CBV_UNIT, f"Uncertainty: {case.map.uncertainty_is}."),
    }
