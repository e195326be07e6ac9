"""Names of results as a BIDS derivative: `sub-01/perf/sub-01_desc-stunetDose025Eq1_cbv.nii.gz`.

BIDS has no entity for a dose and no suffix for perfusion maps by contrast agent yet. The network, the dose and how it
was lowered are therefore in `desc`, which may hold anything alphanumeric, the quantity (`cbv`, `cbf`, `mtt`, `k2`) is
the suffix, and `.bidsignore` tells validators so. All other entities are those of the series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stunet_perfusion import __version__
from stunet_perfusion.reading.bids import BidsName
from stunet_perfusion.reading.report import REPORT_KEY
from stunet_perfusion.support.documents import read_json
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.writing.documents import write_json

BIDS_VERSION = "1.10.0"

#: The file that only the top folder of a data set has.
_DESCRIPTION = "dataset_description.json"

#: Entities of a series that its maps keep, in the order of the standard.
_KEPT = ("sub", "ses", "acq", "ce", "rec", "dir", "run", "echo")

#: From the names of maps to what is added to `desc`, and the suffix.
_QUANTITIES = {
    "ncbv": ("Normalized", "cbv"),
    "ncbv_uncertainty": ("NormalizedUncertainty", "cbv"),
    "cbv": ("", "cbv"),
    "cbv_standardized": ("Standardized", "cbv"),
    "cbv_uncertainty": ("Uncertainty", "cbv"),
    "cbf": ("", "cbf"),
    "mtt": ("", "mtt"),
    "k2": ("", "k2"),
    "nawm": ("Nawm", "mask"),
    "baseline": ("Baseline", "dscref"),
    "tmax": ("", "tmax"),
    "bat": ("", "bat"),
    "ttp": ("", "ttp"),
    "peak_height": ("", "peakheight"),
    "fwhm": ("", "fwhm"),
    "psr": ("", "psr"),
    "psr_ratio": ("Normalized", "psr"),
    "cbv_corrected": ("Corrected", "cbv"),
    "cbv_corrected_bidirectional": ("CorrectedBidirectional", "cbv"),
    "ncbv_corrected": ("NormalizedCorrected", "cbv"),
    "ncbv_corrected_bidirectional": ("NormalizedCorrectedBidirectional", "cbv"),
    "k2_bidirectional": ("Bidirectional", "k2"),
    "kep": ("Bidirectional", "kep"),
}


@dataclass(frozen=True)
class BidsNames:
    """How the files of one run are called.

    :param entities: key to label, `sub` among them
    :param desc: how the maps were made; alphanumeric
    """

    entities: Mapping[str, str]
    desc: str

    @property
    def folder(self) -> Path:
        """Where the files go, within the dataset."""
        session = [f"ses-{self.entities['ses']}"] if "ses" in self.entities else []
        return Path(f"sub-{self.entities['sub']}", *session, "perf")

    def file(self, name: str, ending: str) -> str:
        """The name of a map's file.

        :param name: `cbv`, `cbv_standardized`, ...
        :param ending: `.nii.gz`, or `.json` for its sidecar
        """
        addition, suffix = _QUANTITIES[name]
        kept = [f"{key}-{self.entities[key]}" for key in _KEPT if key in self.entities]
        return "_".join([*kept, f"desc-{self.desc}{addition}", suffix]) + ending

    def sidecar(self, description: str, unit: str, report: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON document beside a map."""
        return {"Description": description, "Units": unit, REPORT_KEY: dict(report)}


def bids_names(series: Path, desc: str, subject: str | None = None) -> BidsNames:
    """Names for the maps of a series.

    :param series: its path; the entities of its name are taken over, and subject and session also of its folders' names
    :param desc: how the maps are made, alphanumeric
    :param subject: label of the subject, with or without `sub-`; overrules the name
    :raises InputError: neither the name nor `subject` tells a valid label
    """
    parts = [*(part for part in series.parts[:-1] if re.match(r"(sub|ses)-", part)), *BidsName.of(series).entities]
    matches = (re.fullmatch(r"([a-z]+)-([A-Za-z0-9]+)", part) for part in parts)
    entities = {match[1]: match[2] for match in matches if match}
    if subject is not None:
        entities["sub"] = subject.removeprefix("sub-")
    label = entities.get("sub")
    if label is None:
        fact = "has no sub-LABEL in its name, so the subject of the BIDS names is not known"
        raise InputError(series.name, fact, "give the subject's label", Setting.SUBJECT)
    if not re.fullmatch(r"[A-Za-z0-9]+", label):
        raise InputError(Setting.SUBJECT, f"'{label}' is no BIDS label", "use letters and digits only, for example 01")
    return BidsNames(entities, desc)


def desc_of_prediction(network: str, dose: float, method: str) -> str:
    """`stunet` at full dose, `stunetDose025Eq1` or `stunetDose025NoiseMatched` at a quarter of it."""
    if dose == 1:
        return network
    whole, _, fraction = f"{100 * dose:g}".partition(".")
    how = {"equation1": "Eq1", "noise-matched": "NoiseMatched"}[method]
    return f"{network}Dose{int(whole):03d}{'p' + fraction if fraction else ''}{how}"


def refuse_raw_data_set(folder: Path) -> None:
    """Refuse to make a derivative of a folder that is a data set of something else already.

    :raises InputError: it is
    """
    path = folder / _DESCRIPTION
    if not path.is_file():
        return
    try:
        kind = read_json(path).get("DatasetType")
    except InputError:
        kind = None
    if kind != "derivative":
        way_out = f"give a folder of its own, for example {folder / 'derivatives' / 'stunet-perfusion'}"
        raise InputError(folder, "is a BIDS data set of other files", way_out)


def write_derivative_description(folder: Path) -> None:
    """Write `dataset_description.json` and `.bidsignore`, which make a folder a BIDS derivative.

    :raises OutputError: they cannot be written
    """
    write_json(
        folder / _DESCRIPTION,
        {
            "Name": "Perfusion maps by StUNetPerfusion",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "StUNetPerfusion", "Version": __version__}],
        },
    )
    suffixes = sorted({suffix for _, suffix in _QUANTITIES.values()})
    (folder / ".bidsignore").write_text("".join(f"*_{suffix}.*\n" for suffix in suffixes), encoding="ascii")
