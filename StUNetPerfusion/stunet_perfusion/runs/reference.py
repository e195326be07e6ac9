"""The closed-form maps of a series, from files to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stunet_perfusion.kinetics.aif import (
    ArterialInput,
    aif_from_file,
    aif_from_vessels,
    automatic_aif,
)
from stunet_perfusion.kinetics.aif_quality import judge_aif
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.kinetics.reference.case import ReferenceSettings, describe_reference, reference_case
from stunet_perfusion.preprocessing.mending import parse_mend
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.reading import read_mask, read_series
from stunet_perfusion.regions.blood_volume_unit import blood_volume_unit
from stunet_perfusion.runs.curves import describe_curves
from stunet_perfusion.runs.folders import series_of_folder
from stunet_perfusion.runs.normalized import normalized_maps, ratios_to_white_matter
from stunet_perfusion.runs.output import refuse_output_in_input
from stunet_perfusion.runs.results import ResultMap, write_results
from stunet_perfusion.support.documents import typed_arguments
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.writing.bids import bids_names, refuse_raw_data_set

_DESCRIPTIONS = {
    "cbv": "Cerebral blood volume in closed form, as Verbena computes it.",
    "cbf": "Cerebral blood flow by oscillation-index block-circulant deconvolution.",
    "mtt": "Mean transit time, CBV / CBF.",
    "k2": "Strength of leakage in one direction, K2 (Boxerman 2006).",
    "tmax": "Time at which the residue function is highest.",
    "bat": "Bolus arrival time, from the first steady frame.",
    "ttp": "Time from bolus arrival to the peak.",
    "peak_height": "Largest delta R2* of the first pass.",
    "fwhm": "Full width of the first pass at half of its peak.",
    "psr": "Percentage signal recovery (Cha 2007).",
    "cbv_corrected": "CBV corrected for leakage in one direction (Boxerman 2006).",
    "k2_bidirectional": "Strength of leakage in both directions, K2 (Leu 2016).",
    "kep": "Rate at which leaked contrast agent comes back (Leu 2016).",
    "cbv_corrected_bidirectional": "CBV corrected for leakage in both directions (Leu 2016).",
}

#: What `desc` says of these maps in a BIDS derivative.
_DESC = "reference"


@dataclass(frozen=True)
class ReferenceRequest:
    """A series whose maps are wanted. The AIF is found automatically where neither `aif` nor `vessels` is given.

    :param series: file or folder
    :param which: which series of the folder, where it holds several, as `read_series` takes it
    :param settings: baseline, units and leakage
    :param aif: one value a line and frame: delta R2* in 1/s, or the signal
    :param aif_is_signal: what the values of `aif` are
    :param vessels: mask of arterial voxels
    :param mask: brain mask; found where there is none
    :param nawm: mask of normal white matter, which nCBV is in multiples of; found where there is none
    :param drop_frames: first frames to leave out, or `auto`
    :param mend: what is mended where a series is damaged: `auto`, `off`, or some of `motion,frames,level`
    :param bolus: which bolus is used where several pass, from 1, or `auto`
    :param echo_time: seconds; overrides the file
    :param frame_interval: seconds; overrides the file
    """

    series: Path
    settings: ReferenceSettings = field(default_factory=ReferenceSettings)
    aif: Path | None = None
    aif_is_signal: bool = False
    vessels: Path | None = None
    mask: Path | None = None
    nawm: Path | None = None
    drop_frames: int | Literal["auto"] = "auto"
    mend: str = "auto"
    bolus: int | Literal["auto"] = "auto"
    echo_time: float | None = None
    frame_interval: float | None = None
    which: str | None = None

    verb = "reference"

    def __post_init__(self) -> None:
        if self.aif is not None and self.vessels is not None:
            raise InputError(
                Setting.AIF, "contradicts the vessel mask", "give one of them", Setting.AIF, Setting.VESSELS
            )
        if self.aif_is_signal and self.aif is None:
            fact = "says what the file with the AIF holds, and there is no such file"
            raise InputError(Setting.AIF_IS_SIGNAL, fact, "give the file, too", Setting.AIF)

    def files(self) -> dict[str, Path | None]:
        """Every file that is read, by its role."""
        files = {"series": self.series, "aif": self.aif, "vessels": self.vessels}
        return files | {"mask": self.mask, "nawm": self.nawm}

    def arguments(self) -> dict[str, Any]:
        """Everything else that decides the result."""
        return {
            "settings": asdict(self.settings),
            "aif_is_signal": self.aif_is_signal,
            "drop_frames": self.drop_frames,
            "mend": self.mend,
            "bolus": self.bolus,
            "echo_time": self.echo_time,
            "frame_interval": self.frame_interval,
            "which": self.which,
        }

    @classmethod
    def from_arguments(cls, files: Mapping[str, Any], arguments: Mapping[str, Any]) -> ReferenceRequest:
        """The request that `files` and `arguments` describe.

        :param files: paths
        :raises TypeError: an argument that this version does not know, or of another type
        """
        return cls(**files, **typed_arguments(cls, arguments))


def run_reference(
    request: ReferenceRequest,
    stage: Path,
    output: Path,
    *,
    bids: bool = False,
    subject: str | None = None,
    anonymous: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compute, and write the maps, the region of white matter, and the report.

    :param stage: folder to write into now
    :param output: the folder that `stage` will become
    :param bids: name the files as a BIDS derivative
    :param subject: its label, where the series' name does not tell
    :param anonymous: leave every path out of the report
    :returns: the report
    :raises InputError: as `read_series`, `read_mask`, `prepare` and `reference_case`
    """
    request = replace(request, **series_of_folder(request.series, request.which))
    refuse_output_in_input(request.series, output)
    names = None
    if bids:
        refuse_raw_data_set(output)
        names = bids_names(request.series, _DESC, subject)
    series = read_series(
        request.series,
        which=request.which,
        echo_time=request.echo_time,
        frame_interval=request.frame_interval,
        progress=part_of(progress, 0, 0.3),
    )
    mask, notes = (None, ()) if request.mask is None else read_mask(request.mask, series.grid)
    vessels = None
    if request.vessels is not None:
        vessels, vessel_notes = read_mask(request.vessels, series.grid)
        notes += vessel_notes
    white_matter = None
    if request.nawm is not None:
        white_matter, white_notes = read_mask(request.nawm, series.grid)
        notes += white_notes
    progress(0.3, "Finding bolus and artery")
    prepared = prepare_scan(
        series,
        mask=mask,
        drop_frames=request.drop_frames,
        mend=parse_mend(request.mend),
        bolus=request.bolus,
        progress=part_of(progress, 0.3, 0.35),
    )

    def find_aif(prepared: PreparedSeries, s0_frames: int) -> ArterialInput:
        if request.aif is not None:
            return aif_from_file(request.aif, prepared, request.aif_is_signal, s0_frames)
        if vessels is not None:
            return aif_from_vessels(prepared, vessels, s0_frames)
        return automatic_aif(prepared, s0_frames)

    unit = blood_volume_unit(prepared, white_matter)
    case = reference_case(prepared, request.settings, find_aif=find_aif, progress=part_of(progress, 0.4, 0.95))
    progress(0.95, "Writing the maps")
    normalized = normalized_maps(case.maps["cbv"], prepared.brain, unit, series.grid)
    maps = normalized.maps | {
        name: ResultMap(
            image,
            case.units[name],
            _DESCRIPTIONS[name],
            {"median_in_brain": float(np.median(image[prepared.brain]))},
        )
        for name, image in case.maps.items()
    }
    if request.settings.all_maps:
        maps |= ratios_to_white_matter(case.maps, prepared.brain, unit)
    report = describe_reference(case, request.settings)
    report["white_matter"] = normalized.report
    # In absolute maps white matter's CBV no longer tells how much tissue the artery holds.
    share = None if request.settings.absolute or unit.region is None else normalized.report["cbv"]
    quality = judge_aif(case.aif, prepared, share)
    report["aif"]["quality"] = quality.as_json()
    notes += quality.sentences
    report["notes"] = [*report["notes"], *notes, *normalized.notes]
    report["curves"] = describe_curves(prepared, unit.region)
    baseline = baseline_signal(prepared.series.signal, case.baseline_frames)
    regions = normalized.regions
    return write_results(stage, output, request, series, report, maps, names, regions, baseline, anonymous)
