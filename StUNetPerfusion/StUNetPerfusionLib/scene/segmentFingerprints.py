"""Whether segments are as they were: what is drawn in them, and where that lies."""

from __future__ import annotations

import hashlib

import numpy as np

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.scene.masks import BINARY, drawnVoxels, toWorld


class SegmentFingerprints:
    """Fingerprints of segments, taken anew only where somebody has drawn.

    Segments that do not overlap share one label map. Its time of change says that one of them was drawn in, but not
    which one, and drawing a tumor must not pass for an edited brain.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[tuple, str]] = {}

    def of(self, segmentationNode, segmentId: str) -> str:
        """What is drawn in a segment, in a few letters.

        :returns: another text after any change of its voxels or its place, whatever its name and color; "" for a
            segment that is empty or has gone
        """
        segmentation = segmentationNode.GetSegmentation()
        segment = segmentation.GetSegment(segmentId)
        if segment is None:
            return ""
        binary = segment.GetRepresentation(BINARY)
        source = binary or segment.GetRepresentation(segmentation.GetSourceRepresentationName())
        if source is None:
            return ""
        try:
            placed = toWorld(segmentationNode)
        except InputError as error:
            return str(error)
        key, stamp = (segmentationNode.GetID(), segmentId), (source.GetMTime(), placed.tobytes())
        if key not in self._known or self._known[key][0] != stamp:
            taken = _ofVoxels(segmentationNode, segmentId, placed) if binary else f"surface {source.GetMTime()}"
            self._known[key] = (stamp, taken)
        return self._known[key][1]

    def forget(self) -> None:
        """The scene is being closed."""
        self._known.clear()


def digestOf(mask: np.ndarray) -> str:
    """A few letters that are others for another mask.

    :param mask: bool
    """
    return hashlib.sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest()[:16]


def _ofVoxels(segmentationNode, segmentId: str, placed: np.ndarray) -> str:
    """Of the marked voxels alone: the label map around them grows and shrinks with other segments."""
    drawn = drawnVoxels(segmentationNode, segmentId)
    if drawn is None:
        return ""
    voxels, indicesToRas = drawn
    box = tuple(_span(voxels.any(axis=tuple(axis for axis in range(3) if axis != kept))) for kept in range(3))
    start = indicesToRas @ [*(part.start for part in reversed(box)), 1.0]
    directions = np.round(placed @ np.column_stack([indicesToRas[:, :3], start]), 3) + 0.0  # no -0
    return digestOf(voxels[box]) + hashlib.sha256(directions.tobytes()).hexdigest()[:8]


def _span(marked: np.ndarray) -> slice:
    """From the first to the last that is marked."""
    found = np.flatnonzero(marked)
    return slice(int(found[0]), int(found[-1]) + 1)
