"""What a file says of a dose that was lowered in software: in its JSON sidecar, or in attributes of an NRRD file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stunet_perfusion.series import SimulatedDose
from stunet_perfusion.support.errors import InputError

#: The key of the sidecar, and of the three values within it; NRRD attributes are `StUNetPerfusion.<key>.<value>`.
SIDECAR_KEY = "SimulatedDose"
DOSE, METHOD, SEED = "Share", "Method", "Seed"
ATTRIBUTE_PREFIX = f"StUNetPerfusion.{SIDECAR_KEY}."


def document_of(simulated: SimulatedDose) -> dict[str, Any]:
    """The sidecar's entry."""
    return {DOSE: simulated.dose, METHOD: simulated.method, SEED: simulated.seed}


def attributes_of(simulated: SimulatedDose) -> dict[str, str]:
    """The same as attributes of an NRRD file."""
    entries = {name: value for name, value in document_of(simulated).items() if value is not None}
    return {ATTRIBUTE_PREFIX + name: f"{value:.9g}" if name == DOSE else str(value) for name, value in entries.items()}


def simulated_dose_of_sidecar(name: str, values: Mapping[str, Any]) -> SimulatedDose | None:
    """:param name: the sidecar's, for messages
    :param values: its document
    :raises InputError: an entry that describes no simulated dose
    """
    return _parsed(f"{name}: {SIDECAR_KEY}", values[SIDECAR_KEY]) if SIDECAR_KEY in values else None


def simulated_dose_of_attributes(name: str, attributes: Mapping[str, Any]) -> SimulatedDose | None:
    """:param name: the file's, for messages
    :param attributes: of an NRRD header
    :raises InputError: attributes that describe no simulated dose
    """
    found = {key.removeprefix(ATTRIBUTE_PREFIX): each for key, each in attributes.items() if ATTRIBUTE_PREFIX in key}
    if not found:
        return None
    try:
        seed = int(found[SEED]) if SEED in found else None
        document = {DOSE: float(found.get(DOSE, "nan")), METHOD: found.get(METHOD), SEED: seed}
    except ValueError:
        document = {}
    return _parsed(f"{name}: {SIDECAR_KEY}", document)


def _parsed(subject: str, entry: Any) -> SimulatedDose:
    values = entry if isinstance(entry, dict) else {}
    dose, method, seed = values.get(DOSE), values.get(METHOD), values.get(SEED)
    if isinstance(dose, bool) or not isinstance(dose, int | float):
        dose = 0.0
    if not (0 < dose <= 1 and isinstance(method, str) and (seed is None or isinstance(seed, int))):
        way_out = "give the sidecar that 'simulate' wrote, or remove the entry if this is a scan"
        raise InputError(subject, "does not describe a simulated dose", way_out)
    return SimulatedDose(float(dose), method[:40], seed)
