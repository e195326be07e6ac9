"""The regions in which numbers are taken, as they are drawn now."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.parameterOptions import otherSegments, segmentChoice
from StUNetPerfusionLib.scene.masks import maskOfSegment
from StUNetPerfusionLib.scene.results import PREFIX
from StUNetPerfusionLib.scene.segmentFingerprints import digestOf

#: By which a table knows the regions that it was made with.
REGIONS = PREFIX + "Regions"

#: What the logic calls the regions with a role.
_ROLES = {"tumor": "tumor", "nawm": "whiteMatter"}


def drawnSegments(case: ChosenCase) -> dict[str, tuple]:
    """The segments without a role in which somebody has drawn something within the series, by their names."""
    return {name: segment for name, segment in otherSegments(case.parameters).items() if _isDrawn(case, segment)}


def drawnRegions(case: ChosenCase) -> dict[str, Any]:
    """All regions in which something is drawn, as `logic.compare` takes them: `mask`, `tumor`, `nawm`, `regions`."""
    chosen = {name: segmentChoice(case.parameters, region) for name, region in _ROLES.items()}
    named = {name: segment for name, segment in chosen.items() if segment is not None and _isDrawn(case, segment)}
    return {"mask": case.opened.brain, "regions": drawnSegments(case), **named}


def regionsKey(case: ChosenCase) -> str:
    """Another text once a region was drawn in, renamed, added, removed or given another role."""
    parameters = case.parameters
    chosen = {name: segmentChoice(parameters, region) for name, region in _ROLES.items()}
    named = [*chosen.items(), *sorted(otherSegments(parameters).items())]
    drawn = [(name, case.fingerprints.of(*segment)) for name, segment in named if segment is not None]
    told = repr((digestOf(case.opened.brain), [each for each in drawn if each[1]]))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _isDrawn(case: ChosenCase, segment: tuple) -> bool:
    with suppress(InputError):
        return bool(maskOfSegment(*segment, case.opened.series.grid).any())
    return False
