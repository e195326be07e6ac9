"""How a result was made, in words and with units, for the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from StUNetPerfusionLib.scene.results import provenance
from StUNetPerfusionLib.translation import tr as _

#: A sum is told by so many of its digits: enough to compare by eye.
_DIGITS = 16


def factsInWords(volumeNode, referenceNode=None) -> list[tuple[str, str]]:
    """What a reader wants to know about a result.

    :param volumeNode: the predicted map
    :param referenceNode: what it was compared with, or None
    :returns: (name, value with its unit), in the order in which they are read
    """
    told = _told(provenance(volumeNode), _ofPrediction())
    if referenceNode is None:
        return told
    facts = provenance(referenceNode)
    if not facts:
        return [*told, (_("Reference"), _("the volume {name}").format(name=referenceNode.GetName()))]
    # What both have in common was said already.
    own = {name: value for name, value in facts.items() if name in _ofReference()}
    return told + _told(own, _ofReference())


def _told(facts: Mapping[str, str], words: Mapping[str, tuple[str, Callable[[str], str]]]) -> list[tuple[str, str]]:
    return [(name, say(facts[key])) for key, (name, say) in words.items() if key in facts]


def _ofPrediction() -> dict[str, tuple[str, Callable[[str], str]]]:
    """By attribute: what it is called, and how its value is said."""
    return {
        "InputName": (_("Series"), str),
        "FrameInterval": (_("Frame interval"), _("{} s").format),
        "EchoTime": (_("Echo time (TE)"), lambda seconds: _("{ms:g} ms").format(ms=1000 * float(seconds))),
        "DroppedFrames": (_("First frames left out"), str),
        "Dose": (_("Dose"), _percent),
        "Method": (_("Dose simulation"), _simulation),
        "Seed": (_("Noise seed"), str),
        "Network": (_("Network"), lambda name: {"stunet": "stU-Net", "hess": "Hess", "ulas": "Ulas"}.get(name, name)),
        "Checkpoint": (_("Checkpoint"), str),
        "CheckpointSha256": (_("Checkpoint SHA-256"), str),
        "UncertaintyIs": (_("Uncertainty"), str),
        "Stride": (_("Strip stride"), _rows),
        "BrainMask": (_("Brain"), _source),
        "BrainMaskSha256": (_("Brain mask SHA-256"), _short),
        "Aif": (_("Arterial input"), _source),
        "AifSha256": (_("Vessel mask SHA-256"), _short),
        "AifVoxels": (_("Arterial voxels (column, row, slice, from 1)"), _fromOne),
        "Unit": (_("Unit of CBV"), lambda unit: _("ratio to the artery (artery = 1)") if unit == "fraction" else unit),
        "Version": (_("StUNetPerfusion version"), str),
    }


def _ofReference() -> dict[str, tuple[str, Callable[[str], str]]]:
    return {
        "Computation": (
            _("Reference"),
            lambda name: _("FSL's verbena") if name == "verbena" else _("Verbena's method (verbena -modelfree)"),
        ),
        "Dose": (_("Reference dose"), _percent),
        "Method": (_("Reference simulation"), _simulation),
        "Baseline": (_("Reference baseline"), _baseline),
        "LeakageCorrection": (
            _("Leakage correction"),
            lambda value: _("Boxerman, Schmainda, Weisskoff 2006") if value == "True" else _("none"),
        ),
    }


def _rows(stride: str) -> str:
    return _("1 row") if stride == "1" else _("{count} rows").format(count=stride)


def _percent(dose: str) -> str:
    return _("{percent:g} % of the injected dose").format(percent=100 * float(dose))


def _simulation(method: str) -> str:
    return {
        "noise-matched": _("noise-matched: with the noise of a real low-dose scan"),
        "equation1": _("Equation 1 of the paper: less noise than a real low-dose scan"),
    }.get(method, method)


def _source(told: str) -> str:
    return {
        "auto": _("found automatically"),
        "automatic": _("found automatically"),
        "given": _("given as a segment"),
        "vessels": _("mean of the vessels"),
    }.get(told, told)


def _fromOne(voxels: str) -> str:
    """Indices as attributes hold them, from 0 as in Slicer's Data Probe, in the numbers of people."""
    return "; ".join(", ".join(str(int(index) + 1) for index in voxel.split(",")) for voxel in voxels.split(";"))


def _baseline(told: str) -> str:
    named = {"auto": _("mean of the frames before the bolus"), "first": _("first frame (exactly Verbena)")}
    return named.get(told, _("mean of the first {n} frames").format(n=told))


def _short(digest: str) -> str:
    return f"{digest[:_DIGITS]}…"
