"""What is chosen in the panel and what was opened for it: the sections read it, and only the panel changes it."""

from __future__ import annotations

from typing import Any

from StUNetPerfusionLib.panel.parameterOptions import inputOptions
from StUNetPerfusionLib.parameterNode import PerfusionParameters
from StUNetPerfusionLib.scene.inputSeries import OpenedInput
from StUNetPerfusionLib.scene.segmentFingerprints import SegmentFingerprints


class ChosenCase:
    """The case that the user works on."""

    def __init__(self) -> None:
        #: what the widgets hold; None while a scene is being closed
        self.parameters: PerfusionParameters | None = None
        #: the series, once the worker has looked at it
        self.opened: OpenedInput | None = None
        #: of the series and how it is to be understood: another value once either is chosen anew
        self.seriesKey: tuple | None = None
        #: of segments, to know which one was drawn in
        self.fingerprints = SegmentFingerprints()
        #: whether the panel is the module that the user works with
        self.seen = True

    def inputOptions(self) -> dict[str, Any]:
        """How the series is to be understood, as the logic takes it."""
        return inputOptions(self.parameters)

    def timingOptions(self) -> dict[str, Any]:
        """The part of it that is about time."""
        options = self.inputOptions()
        return {name: options[name] for name in ("echoTime", "frameInterval")}

    def forget(self) -> None:
        """The scene is being closed."""
        self.parameters = self.opened = self.seriesKey = None
        self.fingerprints.forget()
