"""Enhanced (multi-frame) MR: one object with many images, each described by its functional groups."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.tag import Tag

from stunet_perfusion.reading.dicom_headers import ImageHeader, PixelSource, image_header, image_values, number
from stunet_perfusion.reading.dicom_philips import philips_frame, philips_values, scale_slope
from stunet_perfusion.reading.dicom_rules import DIMENSION_INDEX
from stunet_perfusion.support.errors import InputError

_SHARED = "SharedFunctionalGroupsSequence"
_PER_FRAME = "PerFrameFunctionalGroupsSequence"
_DIMENSIONS = "DimensionIndexSequence"

#: What is read of a file, as tags.
ENHANCED_TAGS = tuple(Tag(keyword) for keyword in (_SHARED, _PER_FRAME, _DIMENSIONS))

#: The groups that hold what is read of an image. Others hold tags of the same names that mean something else.
_GROUPS = (
    "FrameContentSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "MREchoSequence",
    "MRTimingAndRelatedParametersSequence",
    "MRImageFrameTypeSequence",
    "TemporalPositionSequence",
    "CardiacSynchronizationSequence",
    # Single images that an archive has put into one object keep here what has no place of its own.
    "UnassignedPerFrameConvertedAttributesSequence",
    "UnassignedSharedConvertedAttributesSequence",
)

#: Dimensions of an object that count its frames in time.
_TIME_DIMENSIONS = frozenset(
    Tag(keyword)
    for keyword in (
        "TemporalPositionIndex",
        "TemporalPositionTimeOffset",
        "TemporalPositionIdentifier",
        "FrameAcquisitionDateTime",
        "FrameReferenceDateTime",
        "FrameAcquisitionNumber",
        "NominalCardiacTriggerDelayTime",
        "TriggerTime",
        "AcquisitionNumber",
    )
)

#: More frames than any object has: makes one number of those of an object and of a frame in it.
_FRAMES_PER_OBJECT = 2**20


def is_enhanced(dataset: pydicom.Dataset) -> bool:
    """Whether a file says of every one of its frames where it is."""
    return bool(dataset.get(_PER_FRAME))


def enhanced_images(path: Path, dataset: pydicom.Dataset, syntax: str, uid: str) -> list[ImageHeader]:
    """One header a frame of the object.

    :param syntax: UID of the transfer syntax
    :param uid: of the object
    :raises InputError: it describes more or fewer frames than it says to hold
    :raises AttributeError, TypeError, ValueError, IndexError: a frame lacks its place
    """
    groups = dataset[_PER_FRAME].value
    announced = int(dataset.get("NumberOfFrames") or 1)
    if len(groups) != announced:
        raise InputError(
            path, f"announces {announced} frames and describes {len(groups)}", "copy or export the series again"
        )
    shared = next(iter(dataset.get(_SHARED) or ()), pydicom.Dataset())
    of_all = image_values(dataset) | _group_values(shared)
    instance = number(of_all, "InstanceNumber")
    time_dimension = _time_dimension(dataset)
    shape = int(dataset.Rows), int(dataset.Columns)
    images = []
    for frame, own in enumerate(groups):
        private = philips_frame(own)
        values = of_all | _group_values(own) | philips_values(private)
        values[DIMENSION_INDEX] = _index(values.get(DIMENSION_INDEX), time_dimension)
        values["InstanceNumber"] = (instance or 0) * _FRAMES_PER_OBJECT + frame
        source = PixelSource(path, syntax, frame, announced)
        images.append(image_header(values, source, f"{uid}/{frame}", shape, scale_slope(private)))
        # Thousands of frames, once understood, are many times larger than their headers.
        own.clear()
    return images


def _group_values(groups: pydicom.Dataset) -> dict[str, Any]:
    """What the functional groups of a frame, or those of all frames, say."""
    values: dict[str, Any] = {}
    for keyword in _GROUPS:
        sequence = groups.get(keyword)
        if sequence:
            values |= image_values(sequence[0])
    return values


def _time_dimension(dataset: pydicom.Dataset) -> int | None:
    """Which of the dimensions of an object counts its frames in time."""
    pointers = [item.get("DimensionIndexPointer") for item in dataset.get(_DIMENSIONS) or ()]
    return next((place for place, pointer in enumerate(pointers) if pointer in _TIME_DIMENSIONS), None)


def _index(indices: Any, dimension: int | None) -> int | None:
    """The index of a frame along a dimension."""
    if indices is None or dimension is None:
        return None
    listed = list(indices) if isinstance(indices, Iterable) else [indices]
    return int(listed[dimension]) if dimension < len(listed) else None
