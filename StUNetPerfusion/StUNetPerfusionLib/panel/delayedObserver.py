"""What the user changes elsewhere in the application: drawn segments, moved points, sequences that come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import qt
import slicer
import vtk

#: Anything about segments: drawn in, named, colored, added, removed, moved.
SEGMENTATION_EVENTS = (
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkSegmentation.SegmentsOrderModified,
    slicer.vtkSegmentation.SourceRepresentationModified,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
)

#: Anything about the points of a list.
POINT_EVENTS = (
    slicer.vtkMRMLMarkupsNode.PointModifiedEvent,
    slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent,
    slicer.vtkMRMLMarkupsNode.PointPositionUndefinedEvent,
    slicer.vtkMRMLMarkupsNode.PointRemovedEvent,
    slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
)

MODIFIED_EVENTS = (vtk.vtkCommand.ModifiedEvent,)


class DelayedObserver:
    """Calls back once, a moment after the last of several changes: brush strokes and drags come many a second.

    :param observer: VTKObservationMixin
    :param events: what counts as a change
    :param milliseconds: without a change before the call
    :param callback: takes nothing
    """

    def __init__(self, observer, events: Iterable[int], milliseconds: int, callback: Callable[[], None]) -> None:
        self._observer = observer
        self._events = tuple(events)
        self._objects: list[Any] = []
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(milliseconds)
        self._settle.timeout.connect(callback)

    def follow(self, objects: Iterable[Any]) -> None:
        """Follow these nodes (or scenes) from now on, and no others."""
        wanted = [each for each in objects if each is not None]
        for gone in [each for each in self._objects if not _among(each, wanted)]:
            for event in self._events:
                self._observer.removeObserver(gone, event, self._onChanged)
        for new in [each for each in wanted if not _among(each, self._objects)]:
            for event in self._events:
                self._observer.addObserver(new, event, self._onChanged)
        self._objects = wanted
        if not wanted:
            self._settle.stop()

    def _onChanged(self, caller, event) -> None:
        self._settle.start()


def _among(each: Any, others: list[Any]) -> bool:
    return any(each is other for other in others)
