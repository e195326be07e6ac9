"""What the header of a DICOM image says, whether it is a file of its own or one of many in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import tag_for_keyword

from stunet_perfusion.reading.dicom_rules import RULES, Rule

#: What is read of every image, beside the tags of the rules.
_KEYWORDS = (
    "ImageType",
    "ComplexImageComponent",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleSlope",
    "RescaleIntercept",
    "EchoTime",
    "EffectiveEchoTime",
    "RepetitionTime",
    "TemporalResolution",
    "NumberOfTemporalPositions",
    *(rule.tag for rule in RULES),
)

#: The same, as tags with their keywords.
IMAGE_TAGS = {tag: keyword for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None}

_HALF_DAY = 12 * 3600.0

#: How the part of the complex signal that an image shows is spelled.
_COMPONENTS = {
    **dict.fromkeys(("M", "MAGNITUDE"), "magnitude"),
    **dict.fromkeys(("P", "PHASE"), "phase"),
    **dict.fromkeys(("R", "REAL"), "real"),
    **dict.fromkeys(("I", "IMAGINARY"), "imaginary"),
}


@dataclass(frozen=True, slots=True)
class PixelSource:
    """Where the pixels of an image are: a frame of a file, or a window of that frame.

    :param frame: of a multi-frame file, from 0
    :param frames: how many the file has
    :param corner: row and column of the image's first pixel in a mosaic; None where the image is the whole frame
    """

    path: Path
    transfer_syntax: str
    frame: int = 0
    frames: int = 1
    corner: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name if self.frames == 1 else f"frame {self.frame + 1} of {self.path.name}"


@dataclass(frozen=True, eq=False, slots=True)
class ImageHeader:
    """One slice of one frame. Times are seconds; lengths mm in left-posterior-superior.

    :param uid: what only this image and its copies have
    :param component: "magnitude", "phase", "real" or "imaginary"; empty where the file does not say
    :param derived: computed from other images, as the header says
    :param scale_slope: Philips' private factor between what is displayed and what the scanner measured
    :param announced_frames: how many frames the series should have
    :param moments: what each rule's tag says of the image's frame, by tag
    """

    source: PixelSource
    uid: str
    component: str
    derived: bool
    shape: tuple[int, int]
    position: np.ndarray
    row_direction: np.ndarray
    column_direction: np.ndarray
    column_spacing: float
    row_spacing: float
    slice_spacing: float
    slope: float
    intercept: float
    scale_slope: float | None
    echo_time: float | None
    repetition_time: float | None
    announced_frames: int | None
    moments: Mapping[str, float]

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.source.name

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector across the slice, right-handed."""
        return np.cross(self.row_direction, self.column_direction)


def image_values(dataset: pydicom.Dataset) -> dict[str, Any]:
    """What a dataset has of IMAGE_TAGS, by keyword. Empty tags say nothing and are left out."""
    found = ((IMAGE_TAGS[tag], dataset[tag].value) for tag in dataset.keys() & IMAGE_TAGS.keys())
    return {keyword: value for keyword, value in found if value is not None and value != ""}


def image_header(
    values: Mapping[str, Any], source: PixelSource, uid: str, shape: tuple[int, int], scale_slope: float | None = None
) -> ImageHeader:
    """The header of one image.

    :param values: as `image_values` gives them
    :param shape: rows and columns
    :raises AttributeError, TypeError, ValueError, IndexError: what is needed is missing or no number
    """
    orientation = np.array(_needed(values, "ImageOrientationPatient"), dtype=float)
    row_spacing, column_spacing = map(float, _needed(values, "PixelSpacing"))
    slope = number(values, "RescaleSlope")
    announced = number(values, "NumberOfTemporalPositions")
    echo_time = number(values, "EffectiveEchoTime")
    moments = ((rule.tag, rule.read(values.get(rule.tag))) for rule in RULES)
    return ImageHeader(
        source=source,
        uid=uid,
        component=_component(values),
        derived=_is_derived(values),
        shape=shape,
        position=np.array(_needed(values, "ImagePositionPatient"), dtype=float).reshape(3),
        row_direction=orientation[:3] / np.linalg.norm(orientation[:3]),
        column_direction=orientation[3:6] / np.linalg.norm(orientation[3:6]),
        column_spacing=column_spacing,
        row_spacing=row_spacing,
        slice_spacing=number(values, "SpacingBetweenSlices") or number(values, "SliceThickness") or 1.0,
        slope=1.0 if slope is None else slope,
        intercept=number(values, "RescaleIntercept") or 0.0,
        scale_slope=scale_slope,
        echo_time=_seconds(values, "EchoTime") if echo_time is None else echo_time / 1000,
        repetition_time=_seconds(values, "TemporalResolution") or _seconds(values, "RepetitionTime"),
        announced_frames=None if announced is None else int(announced),
        moments={tag: moment for tag, moment in moments if moment is not None},
    )


def number(values: Mapping[str, Any], keyword: str) -> float | None:
    """A number of the header; None where it says nothing."""
    value = values.get(keyword)
    return None if value is None or value == "" else float(value)


def _needed(values: Mapping[str, Any], keyword: str) -> Any:
    if values.get(keyword) is None:
        raise AttributeError(keyword)
    return values[keyword]


def _component(values: Mapping[str, Any]) -> str:
    """The first word of the image type that tells; the first two are of the kind ORIGINAL, PRIMARY."""
    image_type = values.get("ImageType") or ()
    words = () if isinstance(image_type, str) else tuple(image_type)[2:]
    spelled = (str(values.get("ComplexImageComponent") or ""), *words)
    return next((_COMPONENTS[word] for word in spelled if word in _COMPONENTS), "")


def _is_derived(values: Mapping[str, Any]) -> bool:
    image_type = values.get("ImageType") or ()
    words = (image_type,) if isinstance(image_type, str) else tuple(image_type)
    return bool(words) and str(words[0]).upper() == "DERIVED"


def _seconds(values: Mapping[str, Any], keyword: str) -> float | None:
    """A time that DICOM keeps in milliseconds."""
    milliseconds = number(values, keyword)
    return None if milliseconds is None else milliseconds / 1000


def moments(rule: Rule, slices: Sequence[Sequence[ImageHeader]]) -> np.ndarray | None:
    """(Z, T) values of the rule's tag for every image of every slice, or None where an image has none."""
    values = [[image.moments.get(rule.tag) for image in of_slice] for of_slice in slices]
    if any(value is None for row in values for value in row):
        return None
    array = np.array(values, dtype=float)
    if rule.is_clock and np.ptp(array) > _HALF_DAY:
        # The series went on past midnight.
        array = np.where(array < _HALF_DAY, array + 2 * _HALF_DAY, array)
    return array
