"""How maps were made, in the words of a DICOM description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stunet_perfusion import __version__
from stunet_perfusion.dicom_export.quantities import Quantity

USE = "Research use only: not for diagnosis."

#: Characters that DICOM allows in a long string (LO) and a short text (ST).
LONG_STRING, SHORT_TEXT = 64, 1024


@dataclass(frozen=True)
class MapOrigin:
    """What maps were made by. It is all that a description says: no path, no name of a file of the patient.

    :param method: for people, for example `stU-Net` or `closed form`
    :param checkpoint: file name of the checkpoint, empty where no network was used
    :param checkpoint_sha256: its hash
    :param dose: share of the given contrast dose that was simulated, 1 where none was. The series may have been a
        simulated one already, so nothing is ever called full dose.
    :param dose_method: how the dose was lowered
    :param version: of the program that made the maps
    """

    method: str = "unknown method"
    checkpoint: str = ""
    checkpoint_sha256: str = ""
    dose: float = 1.0
    dose_method: str = ""
    version: str = __version__

    def series_description(self, quantity: Quantity) -> str:
        """At most 64 characters."""
        return f"{quantity.label} [{quantity.unit_label}] {self.method}, {self._dose()}"[:LONG_STRING]

    def content_description(self, quantity: Quantity) -> str:
        """At most 64 characters."""
        return f"{quantity.label} by {self.method}, {self._dose()}; research use only"[:LONG_STRING]

    def derivation_description(self, quantity: Quantity, more: str = "") -> str:
        """At most 1024 characters.

        :param more: sentences about this map in particular
        """
        model = ""
        if self.checkpoint:
            digest = f", SHA-256 {self.checkpoint_sha256}" if self.checkpoint_sha256 else ""
            model = f" (checkpoint {self.checkpoint}{digest})"
        lexicon = f" CAPLEX {quantity.caplex}." if quantity.caplex else ""
        lowered = f", lowered by simulation ({self.dose_method})" if self.dose < 1 else ""
        text = (
            f"{quantity.meaning}, {quantity.unit.meaning}.{lexicon} Made by {self.method}{model} of StUNetPerfusion "
            f"{self.version} from a DSC MRI series, {self._dose()}{lowered}. {more}"
        )
        return f"{' '.join(text.split())[: SHORT_TEXT - len(USE) - 1]} {USE}"

    def _dose(self) -> str:
        return "dose as given" if self.dose == 1 else f"{100 * self.dose:g} % of the dose"


_NETWORKS = {"stunet": "stU-Net", "hess": "CNN of Hess et al.", "ulas": "CNN of Ulas et al."}


def origin_of_report(report: Mapping[str, Any]) -> MapOrigin:
    """What a report of `predict` or `reference` says. What it does not say is left at its default.

    :param report: the JSON document beside the maps
    """
    provenance = _table(report, "provenance")
    settings = _table(report, "settings") or _table(provenance, "arguments")
    version = _table(provenance, "versions").get("stunet-perfusion") or __version__
    checkpoint = _table(report, "checkpoint")
    if not checkpoint:
        method = "closed form" if "aif" in report else "unknown method"
        if report.get("leakage_correction"):
            method += ", leakage-corrected"
        return MapOrigin(method=method, version=str(version))
    # Reports of before say only by how much the run itself lowered the dose.
    simulated = _table(report, "simulated") or settings
    network, dose = str(checkpoint.get("network", "network")), simulated.get("dose")
    return MapOrigin(
        method=_NETWORKS.get(network, network),
        checkpoint=str(checkpoint.get("name", "")),
        checkpoint_sha256=str(_table(_table(provenance, "inputs"), "checkpoint").get("sha256", "")),
        dose=float(dose) if isinstance(dose, int | float) else 1.0,
        dose_method=str(simulated.get("method", "")),
        version=str(version),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The part of a document under a key; empty where it is missing or something else."""
    part = document.get(key)
    return part if isinstance(part, Mapping) else {}
