"""From what the panel's parameters hold to what the logic takes."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.parameterNode import AifSource, PerfusionParameters, ReferenceDose, ReferenceSource
from StUNetPerfusionLib.scene.nodeHandle import NodeHandle
from StUNetPerfusionLib.translation import tr as _


def segmentChoice(parameters: PerfusionParameters, region: str) -> tuple | None:
    """A segment that was chosen, as the logic takes masks.

    :param region: "brain", "tumor", "whiteMatter" or "vessel"
    :returns: (segmentation node, segment ID), or None where none was chosen or the segment has gone
    """
    segmentation = parameters.segmentation
    segmentId = getattr(parameters, f"{region}Segment")
    if segmentation is None or not segmentId or segmentation.GetSegmentation().GetSegment(segmentId) is None:
        return None
    return segmentation, segmentId


def otherSegments(parameters: PerfusionParameters) -> dict[str, tuple]:
    """The segments that have no role, as the logic takes masks, by their names."""
    segmentation = parameters.segmentation
    if segmentation is None:
        return {}
    roles = {getattr(parameters, f"{region}Segment") for region in ("brain", "tumor", "whiteMatter", "vessel")}
    segments = segmentation.GetSegmentation()
    identifiers = [segments.GetNthSegmentID(n) for n in range(segments.GetNumberOfSegments())]
    return {segments.GetSegment(key).GetName(): (segmentation, key) for key in identifiers if key not in roles}


def slowChoices(parameters: PerfusionParameters) -> tuple:
    """All that was chosen but dose and frame, which change many times a second while a slider moves."""
    nodes = (parameters.inputNode, parameters.segmentation, parameters.referenceVolume, parameters.aifPoint)
    names = (
        *("brainSegment", "tumorSegment", "whiteMatterSegment", "vesselSegment"),
        *("frameInterval", "echoTime", "dropFrames", "method", "checkpoint", "device", "preview"),
        *("referenceSource", "referenceDose", "baseline", "aifSource", "leakageCorrection", "thirdMap"),
    )
    return (
        *(node.GetID() if node is not None else None for node in nodes),
        *(getattr(parameters, name) for name in names),
    )


def inputOptions(parameters: PerfusionParameters) -> dict[str, Any]:
    """How the series is to be understood: `mask`, `dropFrames`, `echoTime` (s), `frameInterval` (s)."""
    return {
        "mask": segmentChoice(parameters, "brain"),
        "dropFrames": "auto" if parameters.dropFrames < 0 else parameters.dropFrames,
        "echoTime": parameters.echoTime / 1000 if parameters.echoTime > 0 else None,
        "frameInterval": parameters.frameInterval if parameters.frameInterval > 0 else None,
    }


def doseOptions(parameters: PerfusionParameters) -> dict[str, Any]:
    """`dose` (share of the full one) and `method`."""
    return {"dose": parameters.dosePercent / 100, "method": parameters.method.value}


def referenceDoseOptions(parameters: PerfusionParameters) -> dict[str, Any]:
    """`dose` and `method` of the series that the reference is computed from."""
    dose = 1.0 if parameters.referenceDose == ReferenceDose.FULL else parameters.dosePercent / 100
    return {"dose": dose, "method": parameters.method.value}


def modelOptions(parameters: PerfusionParameters) -> dict[str, Any]:
    """`checkpoint` (a path, or None for the one that ships) and `device`."""
    return {"checkpoint": parameters.checkpoint or None, "device": parameters.device}


def aifChoice(parameters: PerfusionParameters):
    """Where the arterial input is taken from, as the logic takes it.

    :raises InputError: a vessel segment or points are wanted, and none were chosen
    """
    if parameters.aifSource == AifSource.SEGMENT:
        vessel = segmentChoice(parameters, "vessel")
        if vessel is None:
            raise InputError(
                _("AIF"),
                _("is to come from the vessel segment, but no vessel is chosen"),
                _("choose a vessel under Input"),
            )
        return vessel
    if parameters.aifSource == AifSource.POINT:
        points = parameters.aifPoint
        if points is None or points.GetNumberOfDefinedControlPoints() == 0:
            raise InputError(
                _("AIF"),
                _("is to come from points, but there is no point"),
                _("press Place under Reference and click into an artery, or choose a list of points there"),
            )
        return points
    return "auto"


def referenceSource(parameters: PerfusionParameters):
    """Where the reference comes from, as `applying.ReferenceChoice` takes it.

    :raises InputError: a volume is wanted, and none was chosen
    """
    if parameters.referenceSource == ReferenceSource.VOLUME:
        if parameters.referenceVolume is None:
            raise InputError(
                _("Reference"), _("is to be a volume, but no volume is chosen"), _("choose the CBV map under Reference")
            )
        return NodeHandle(parameters.referenceVolume)
    return parameters.referenceSource.value
