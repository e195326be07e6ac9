"""From what is chosen in the panel to a run of Apply, and from its results to what the views show."""

from __future__ import annotations

from contextlib import suppress

import slicer

from stunet_perfusion.errors import InputError
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
from StUNetPerfusionLib.masks import maskOfSegment
from StUNetPerfusionLib.panel.viewsSection import ShownMaps
from StUNetPerfusionLib.parameterNode import AifSource, ReferenceSource
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
        regions=_drawnSegments(panel),
        waitForCompletion=False,
        **{name: region for name, region in named.items() if region is not None},
        **doseOptions(parameters),
        **modelOptions(parameters),
        **panel.inputOptions(),
    )


def _drawnSegments(panel) -> dict[str, tuple]:
    """The segments without a role in which somebody has drawn something within the series."""
    drawn = {}
    for name, segment in otherSegments(panel.parameters).items():
        with suppress(InputError):
            maskOfSegment(*segment, panel.opened.series.grid)
            drawn[name] = segment
    return drawn


def resultWith(panel) -> AppliedResult | None:
    """The result in the scene that was made with what is chosen now, or None."""
    parameters = panel.parameters
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
    wanted["BrainMask"] = "automatic" if segmentChoice(parameters, "brain") is None else "given"
    if panel.opened is not None:
        wanted["DroppedFrames"] = str(panel.opened.droppedFrames)
        wanted["FrameInterval"] = f"{panel.opened.facts.frameInterval:g}"
    if parameters.aifSource == AifSource.AUTOMATIC:
        wanted["Aif"] = "auto"
    wantedReference = {}
    if parameters.referenceSource == ReferenceSource.BUILT_IN:
        wantedReference = {
            "Computation": "reference",
            "Dose": f"{reference['dose']:g}",
            "Baseline": parameters.baseline.value,
            "LeakageCorrection": str(parameters.leakageCorrection),
        }
    for result in reversed(_results(panel)):
        made = wanted.items() <= provenance(result.cbv).items()
        if made and wantedReference.items() <= provenance(result.reference).items():
            return result
    return None


def otherResults(panel, shown: AppliedResult | None = None) -> list[AppliedResult]:
    """All other results of the same series."""
    return [result for result in _results(panel) if shown is None or result.cbv is not shown.cbv]


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
    node = panel.parameters.inputNode if panel.parameters is not None else None
    return [] if node is None else appliedResults(slicer.mrmlScene, node)
