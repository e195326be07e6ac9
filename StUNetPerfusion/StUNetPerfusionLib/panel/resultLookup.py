"""Results in the scene: which of them was made with what is chosen, and what the views show of it."""

from __future__ import annotations

import slicer

from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.resources import shipped_checkpoint
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.parameterOptions import (
    aifChoice,
    doseOptions,
    referenceDoseOptions,
    segmentChoice,
)
from StUNetPerfusionLib.panel.shownMaps import ShownMaps
from StUNetPerfusionLib.parameterNode import ReferenceSource
from StUNetPerfusionLib.process.computations import aifChoice as wantedAif
from StUNetPerfusionLib.process.computations import brainFacts
from StUNetPerfusionLib.scene.appliedResult import AppliedResult, appliedResults
from StUNetPerfusionLib.scene.results import fileDigest, numbered, provenance
from StUNetPerfusionLib.translation import tr as _


def resultWith(case: ChosenCase) -> AppliedResult | None:
    """The result in the scene that was made with what is chosen now, or None."""
    parameters = case.parameters
    if parameters is None or parameters.inputNode is None:
        return None
    options, reference = doseOptions(parameters), referenceDoseOptions(parameters)
    try:
        digest = fileDigest(parameters.checkpoint or shipped_checkpoint())
    except OSError:
        return None  # the checkpoint has gone; the section Model says so
    wanted = {"Dose": f"{options['dose']:g}", "CheckpointSha256": digest}
    if options["dose"] < 1:
        wanted["Method"] = options["method"]
    if case.opened is not None:
        wanted |= brainFacts(case.opened, given=segmentChoice(parameters, "brain") is not None)
        wanted["DroppedFrames"] = str(case.opened.droppedFrames)
        wanted["FrameInterval"] = f"{case.opened.facts.frameInterval:g}"
        try:
            facts = wantedAif(aifChoice(parameters), case.opened.series.grid).facts()
            # A segment or points that were renamed are the same where their voxels are.
            wanted |= {name: told for name, told in facts.items() if name != "Aif"} or facts
        except InputError:
            return None  # a segment or points that nobody has drawn yet
    wantedReference = {}
    if parameters.referenceSource != ReferenceSource.VOLUME:
        wantedReference = {"Computation": "verbena", "Dose": f"{reference['dose']:g}"}
    if parameters.referenceSource == ReferenceSource.BUILT_IN:
        wantedReference |= {
            "Computation": "reference",
            "Baseline": parameters.baseline.value,
            "LeakageCorrection": str(parameters.leakageCorrection),
        }
    for result in reversed(_results(case)):
        given = parameters.referenceSource == ReferenceSource.VOLUME
        if given and result.reference is not parameters.referenceVolume:
            continue
        made = wanted.items() <= provenance(result.cbv).items()
        if made and wantedReference.items() <= provenance(result.reference).items():
            return result
    return None


def shownResult(case: ChosenCase, shown: ShownMaps | None) -> AppliedResult | None:
    """The result whose maps the views show, or None."""
    return None if shown is None else next((r for r in _results(case) if r.cbv is shown.prediction), None)


def otherResults(case: ChosenCase, shown: AppliedResult | None = None) -> list[AppliedResult]:
    """All other results of the same series."""
    return [result for result in _results(case) if shown is None or result.cbv is not shown.cbv]


def mapsOfResult(result: AppliedResult) -> ShownMaps:
    """What the views show of a result."""
    facts = provenance(result.cbv)
    referenceFacts = provenance(result.reference) if result.reference is not None else {}
    percent = f"{100 * float(facts['Dose']):.0f} %"
    referenceDose = referenceFacts.get("Dose")
    kind = _("Verbena") if referenceFacts.get("Computation") == "verbena" else _("Ref")
    return ShownMaps(
        prediction=result.cbv,
        reference=result.reference,
        difference=result.difference,
        uncertainty=result.uncertainty,
        label=_("CBV {percent}").format(percent=percent),
        referenceLabel=kind
        if referenceDose is None
        else _("{kind} {percent:.0f} %").format(kind=kind, percent=100 * float(referenceDose)),
        quantity=_("CBV, ratio to artery"),
        description=_describe(facts),
        table=result.table,
    )


def _describe(facts: dict[str, str]) -> str:
    """What tells a result from others of the same series."""
    told = [f"{100 * float(facts['Dose']):.0f} %"]
    if facts.get("Method"):
        told.append(facts["Method"])
    if facts.get("Checkpoint"):
        told.append(facts["Checkpoint"].removesuffix(".safetensors"))
    if facts.get("BrainMask") == "given":
        told.append(_("brain from a segment"))
    if facts.get("Aif", "auto") != "auto":
        told.append(_("AIF {source}").format(source=facts["Aif"]))
    return numbered(", ".join(told), facts.get("Number"))


def _results(case: ChosenCase) -> list[AppliedResult]:
    node = case.parameters.inputNode if case.parameters is not None else None
    return [] if node is None else appliedResults(slicer.mrmlScene, node)
