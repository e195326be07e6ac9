"""What the input of a computation is: its header in one line, and the series once the worker has looked at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stunet_perfusion.reading.nrrd_times import sequence_times
from stunet_perfusion.reading.sidecar import Sidecar
from stunet_perfusion.reading.timing import decide_echo_time, decide_times
from stunet_perfusion.series import DscSeries, Grid
from StUNetPerfusionLib.scene.nodeFrames import framesOf
from StUNetPerfusionLib.translation import tr as _

if TYPE_CHECKING:
    from stunet_perfusion.preprocessing.preparation import PreparedSeries


@dataclass(frozen=True, eq=False)
class InputOptions:
    """How an input is to be understood, the same for every computation.

    :param mask: the brain: None to find it, or anything that `masks.maskOf` takes
    :param dropFrames: number of first frames that are not in steady state, or "auto"
    :param echoTime: TE in seconds, or None to take what the node says
    :param frameInterval: seconds between frames, or None to take what the node says
    """

    mask: Any = None
    dropFrames: int | Literal["auto"] = "auto"
    echoTime: float | None = None
    frameInterval: float | None = None


@dataclass(frozen=True, eq=False)
class InputFacts:
    """What the header of an input says.

    :param name: of the node
    :param times: (T,) seconds
    :param grid: geometry of every frame
    :param echoTime: TE in seconds, or None where nobody says
    :param notes: what was decided, one sentence each
    """

    name: str
    times: np.ndarray
    grid: Grid
    echoTime: float | None
    notes: tuple[str, ...]

    @property
    def frames(self) -> int:
        """T"""
        return len(self.times)

    @property
    def frameInterval(self) -> float:
        """Seconds between two frames (median)."""
        return float(np.median(np.diff(self.times))) if self.frames > 1 else 0.0


@dataclass(frozen=True, eq=False)
class OpenedInput:
    """An input that the worker has open.

    :param handle: by which the worker knows it
    :param generation: of the worker that has it open
    :param facts: of its header
    :param series: all frames, the signal mapped from its file, read-only
    :param brain: (Z, Y, X) bool
    :param droppedFrames: how many first frames are left out
    :param arrival: frame of the input in which contrast may first be seen
    :param peak: frame of the input with the lowest mean signal
    :param notes: what was decided, one sentence each
    :param quality: how good the series is, as the worker's protocol has it
    """

    handle: str
    generation: int
    facts: InputFacts
    series: DscSeries
    brain: np.ndarray
    droppedFrames: int
    arrival: int
    peak: int
    notes: tuple[str, ...]
    quality: dict[str, Any] | None = None

    @property
    def prepared(self) -> PreparedSeries:
        """What the science computes with: the steady frames, brain and bolus. Nothing is copied."""
        # Not at file scope: it loads a good part of scipy, and Slicer imports this when it starts.
        from stunet_perfusion.preprocessing.bolus import Bolus
        from stunet_perfusion.preprocessing.preparation import PreparedSeries

        bolus = Bolus(self.arrival - self.droppedFrames, self.peak - self.droppedFrames)
        return PreparedSeries(self.series.dropping_first(self.droppedFrames), self.brain, bolus, self.droppedFrames)


def inputFacts(node, echoTime: float | None = None, frameInterval: float | None = None) -> InputFacts:
    """What the header of an input says. Looks at no voxel.

    :param node: vtkMRMLSequenceNode of scalar volumes, or vtkMRMLMultiVolumeNode
    :param echoTime: TE in seconds, or None to take what the node says
    :param frameInterval: seconds between frames, or None to take what the node says
    :raises InputError: as `framesOf`, no frame times, or times that cannot be
    """
    frames = framesOf(node)
    recordedTimes, recordedEchoTime, recordedNotes = sequence_times(frames.header(), frames.count, 0)
    times, timeNotes = decide_times(frames.name, frames.count, recordedTimes, Sidecar(), frameInterval)
    decidedEchoTime, echoTimeNotes = decide_echo_time(recordedEchoTime, Sidecar(), echoTime)
    notes = (*(recordedNotes if frameInterval is None else ()), *timeNotes, *echoTimeNotes)
    return InputFacts(frames.name, times, frames.grid, decidedEchoTime, notes)


def describeSeries(facts: InputFacts, opened: OpenedInput | None = None) -> str:
    """The one line that says what was understood.

    :param opened: once the worker has looked at the series; adds where the bolus is
    """
    slices, rows, columns = facts.grid.shape
    parts = [
        _("{frames} frames").format(frames=facts.frames),
        _("{columns} x {rows} x {slices} voxels").format(columns=columns, rows=rows, slices=slices),
        _("every {seconds:.4g} s").format(seconds=facts.frameInterval),
        _("TE {milliseconds:.4g} ms").format(milliseconds=1000 * facts.echoTime)
        if facts.echoTime is not None
        else _("TE not known"),
    ]
    if opened is not None:
        # People count frames from 1, as the slider and the slices of a preview do.
        bolus = _("bolus at frame {arrival}, peak at {peak}")
        parts.append(bolus.format(arrival=opened.arrival + 1, peak=opened.peak + 1))
        if opened.droppedFrames == 1:
            parts.append(_("the first frame is left out"))
        elif opened.droppedFrames:
            parts.append(_("the first {count} frames are left out").format(count=opened.droppedFrames))
    return ", ".join(parts)


def qualityLights(opened: OpenedInput) -> tuple[tuple[str, str, str], ...]:
    """Light, title and sentence of everything that was judged about a series, in the order of the report."""
    findings = (opened.quality or {}).get("findings", ())
    return tuple(
        (found["light"], found["title"], f"{found['meaning']} {found['advice']}".strip()) for found in findings
    )


def describeWarnings(facts: InputFacts, opened: OpenedInput | None = None) -> tuple[str, ...]:
    """What the user should know besides, one sentence each."""
    notes = facts.notes if opened is None else opened.notes
    unknown = (
        (_("TE is not known. Relative CBV does not need it; relaxation rates have no unit."),)
        if facts.echoTime is None
        else ()
    )
    lights = () if opened is None else qualityLights(opened)
    yellow = tuple(f"{title}: {sentence}" for light, title, sentence in lights if light == "yellow")
    return tuple(dict.fromkeys((*notes, *yellow, *unknown)))
