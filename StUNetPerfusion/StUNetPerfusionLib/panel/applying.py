"""From what is chosen in the panel to a run of Apply, and from its results to what the views show."""

from __future__ import annotations

import slicer

from stunet_perfusion.resources import shipped_checkpoint
from StUNetPerfusionLib.applying import AppliedResult, ReferenceChoice, appliedResults
from StUNetPerfusionLib.choices import (
    aifChoice,
    doseOptions,
    modelOptions,
    otherSegments,
    referenceDoseOptions,
    referenceSource,
    segmentChoice,
)
from StUNetPerfusionLib.computations import DoseChoice
from StUNetPerfusionLib.panel.viewsSection import ShownMaps
from StUNetPerfusionLib.results import fileDigest, provenance
from StUNetPerfusionLib.translation import tr as _


def applyChoice(panel):
    """Begin Apply with what is chosen.

    :returns: the Run
    :raises InputError: a choice that cannot be used
    """
    parameters = panel.parameters
    reference = ReferenceChoice(
        source=referenceSource(parameters),
        dose=DoseChoice(**referenceDoseOptions(parameters)),
        baseline=parameters.baseline.value,
        leakageCorrection=parameters.leakageCorrection,
    )
    named = {"tumor": segmentChoice(parameters, "tumor"), "nawm": segmentChoice(parameters, "whiteMatter")}
    return panel.logic.apply(
        parameters.inputNode,
        reference=reference,
        aif=aifChoice(parameters),
        regions=otherSegments(parameters),
        waitForCompletion=False,
        **{name: region for name, region in named.items() if region is not None},
        **doseOptions(parameters),
        **modelOptions(parameters),
        **panel.inputOptions(),
    )


def resultWith(panel) -> AppliedResult | None:
    """The result in the scene that was made with what is chosen now, or None."""
    parameters = panel.parameters
    if parameters is None or parameters.inputNode is None:
        return None
    options = doseOptions(parameters)
    wanted = {
        "Dose": f"{options['dose']:g}",
        "CheckpointSha256": fileDigest(parameters.checkpoint or shipped_checkpoint()),
    }
    if options["dose"] < 1:
        wanted["Method"] = options["method"]
    for result in reversed(_results(panel)):
        if wanted.items() <= provenance(result.cbv).items():
            return result
    return None


def otherResults(panel, shown: AppliedResult) -> list[AppliedResult]:
    """All other results of the same series."""
    return [result for result in _results(panel) if result.cbv is not shown.cbv]


def mapsOfResult(result: AppliedResult) -> ShownMaps:
    """What the views show of a result."""
    facts = provenance(result.cbv)
    referenceFacts = provenance(result.reference) if result.reference is not None else {}
    percent = f"{100 * float(facts['Dose']):.0f} %"
    referenceDose = referenceFacts.get("Dose")
    return ShownMaps(
        prediction=result.cbv,
        reference=result.reference,
        difference=result.difference,
        uncertainty=result.uncertainty,
        label=_("CBV {percent}").format(percent=percent),
        referenceLabel=_("Ref")
        if referenceDose is None
        else _("Ref {percent:.0f} %").format(percent=100 * float(referenceDose)),
        quantity=_("CBV"),
    )


def _results(panel) -> list[AppliedResult]:
    return appliedResults(slicer.mrmlScene, panel.parameters.inputNode.GetName())
