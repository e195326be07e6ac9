"""The quality report: one value that says how good a series is, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Light = Literal["green", "yellow", "red"]

#: From good to bad.
LIGHTS: tuple[Light, ...] = ("green", "yellow", "red")


@dataclass(frozen=True)
class Finding:
    """One property of a series, judged.

    :param name: identifier, for machines
    :param title: one to three words, for people
    :param light: green: good; yellow: look at it; red: do not trust the map without looking into it
    :param meaning: one sentence: what it means for the map
    :param advice: one sentence: what to do; empty where there is nothing to do
    :param numbers: what was measured, as JSON
    """

    name: str
    title: str
    light: Light
    meaning: str
    advice: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "light": self.light,
            "meaning": self.meaning,
            "advice": self.advice,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True)
class Mended:
    """One thing that was mended before the map was computed.

    :param name: what the setting calls it
    :param sentence: what was done, for people
    :param numbers: how much, as JSON
    """

    name: str
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "sentence": self.sentence, "numbers": dict(self.numbers)}


@dataclass(frozen=True)
class QualityReport:
    """How good a series is. Frames are numbered from 0 in the input.

    :param findings: what was judged, the same names for every series
    :param mended: what was mended
    :param mean_signal: (T,) of the brain before mending, for a plot
    :param displacement_mm: (T,) of the head from where it was in the first steady frames, for a plot
    :param marked_frames: frames that are damaged
    """

    findings: tuple[Finding, ...] = ()
    mended: tuple[Mended, ...] = ()
    mean_signal: tuple[float, ...] = ()
    displacement_mm: tuple[float, ...] = ()
    marked_frames: tuple[int, ...] = ()

    @property
    def light(self) -> Light:
        """The worst light."""
        return worst(finding.light for finding in self.findings)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is not green, worst first."""
        return tuple(sorted((f for f in self.findings if f.light != "green"), key=lambda f: -LIGHTS.index(f.light)))

    def finding(self, name: str) -> Finding | None:
        """The finding of that name, or None."""
        return next((finding for finding in self.findings if finding.name == name), None)

    def with_findings(self, findings: Iterable[Finding]) -> QualityReport:
        """The same with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def sentences(self) -> list[str]:
        """What is not green and what was mended, one sentence or two each, for people."""
        judged = [f"{f.light.capitalize()}: {f.meaning} {f.advice}".strip() for f in self.warnings]
        return [*judged, *(f"Mended: {mended.sentence}" for mended in self.mended)]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "light": self.light,
            "findings": [finding.document() for finding in self.findings],
            "mended": [mended.document() for mended in self.mended],
            "mean_signal": [round(value, 3) for value in self.mean_signal],
            "displacement_mm": [round(value, 3) for value in self.displacement_mm],
            "marked_frames": list(self.marked_frames),
        }


def worst(lights: Iterable[Light]) -> Light:
    """The worst of some lights; green where there is none."""
    return max(lights, key=LIGHTS.index, default="green")


def light_of(value: float, yellow: float, red: float) -> Light:
    """The light of a number that is good where it is small; where `red` < `yellow`, where it is large."""
    beyond = (lambda limit: value > limit) if red > yellow else (lambda limit: value < limit)
    return "red" if beyond(red) else "yellow" if beyond(yellow) else "green"
