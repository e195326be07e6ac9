"""What Philips scanners write in private tags.

Philips stores integers with three scales: displayed = stored * RescaleSlope + RescaleIntercept, which is taken here;
measured = displayed / (RescaleSlope * scale slope); and a real-world value, which is the displayed one written in
another place. The scale slope, private (2005,100E), is left: the product with the rescale slope is as a rule the same
for all images of a series, and cancels in a ratio such as blood volume. Where it is not, the user is told.
"""

from __future__ import annotations

from typing import Any

import pydicom

from stunet_perfusion.reading.dicom_rules import DYNAMIC_SCAN_BEGIN_TIME

_CREATOR = (0x2005, 0x0010)
_SCALE_SLOPE = (0x2005, 0x100E)
_DYNAMIC_SCAN_BEGIN_TIME = (0x2005, 0x10A0)

#: What is read of a file, as tags.
PHILIPS_TAGS = (_CREATOR, _SCALE_SLOPE, _DYNAMIC_SCAN_BEGIN_TIME)

#: The sequence in which an enhanced object keeps, for every frame, what a file of its own would have said.
_FRAME_SEQUENCE = (0x2005, 0x140F)


def philips_values(dataset: pydicom.Dataset) -> dict[str, Any]:
    """When the dynamic scan began, seconds, by the rule's name; nothing where another maker's file has the tag."""
    value = _private_number(dataset, _DYNAMIC_SCAN_BEGIN_TIME)
    return {} if value is None else {DYNAMIC_SCAN_BEGIN_TIME: value}


def scale_slope(dataset: pydicom.Dataset) -> float | None:
    """The private scale slope, or None."""
    return _private_number(dataset, _SCALE_SLOPE)


def philips_frame(groups: pydicom.Dataset) -> pydicom.Dataset:
    """The private part of a frame's functional groups; an empty one where there is none.

    Its standard tags are not to be used: they can contradict those outside, its position by half a voxel.
    """
    sequence = groups.get(_FRAME_SEQUENCE)
    return sequence.value[0] if sequence is not None and sequence.VR == "SQ" and sequence.value else pydicom.Dataset()


def _private_number(dataset: pydicom.Dataset, tag: tuple[int, int]) -> float | None:
    creator, element = dataset.get(_CREATOR), dataset.get(tag)
    if creator is None or element is None or not str(creator.value).startswith("Philips"):
        return None
    try:
        return float(element.value)
    except (TypeError, ValueError):
        # A tool that did not know the private tag wrote it back without its type.
        return None
