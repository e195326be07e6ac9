"""Whether a DICOM series holds every slice of every frame, once: what is doubled or missing is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from stunet_perfusion.reading.dicom_headers import ImageHeader, moments
from stunet_perfusion.reading.dicom_rules import RULES, is_consistent
from stunet_perfusion.support.errors import InputError

#: Numbers of a frame of which each slice has only one image.
_TEMPORAL_POSITIONS = ("TemporalPositionIdentifier", "TemporalPositionIndex")


def refuse_doubled(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse two copies of an image: of the same UID, of the same temporal position, or with all tags alike.

    :param slices: for every slice its images
    """
    keys: tuple[Callable[[ImageHeader], object], ...] = (
        lambda image: image.uid,
        *(lambda image, tag=tag: image.moments.get(tag) for tag in _TEMPORAL_POSITIONS),
        lambda image: tuple(image.moments.get(rule.tag) for rule in RULES),
    )
    for z, of_slice in enumerate(slices):
        for key in keys:
            seen: dict[object, list[ImageHeader]] = {}
            for image in of_slice:
                seen.setdefault(key(image), []).append(image)
            # A tag that is the same in all files tells nothing.
            doubled = [alike for value, alike in seen.items() if len(alike) > 1 and value is not None]
            if len(seen) > 1 and doubled:
                first, second = doubled[0][:2]
                if all(len(alike) == 2 for alike in seen.values()) and first.uid != second.uid:
                    raise InputError(
                        name,
                        f"holds two images for every frame of slice {z + 1} ({first.name} and {second.name}, ...): "
                        "label and control of arterial spin labeling, or each file twice",
                        "give one series of a contrast bolus (DSC), without copies",
                    )
                more = sum(len(alike) - 1 for alike in doubled) - 1
                others = "" if more == 0 else f", and {more} more of this slice"
                raise InputError(
                    name,
                    f"holds a frame of slice {z + 1} twice ({first.name} and {second.name}{others})",
                    "remove the duplicated files",
                )


def refuse_missing(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse slices that have fewer or more frames than most, and say which slice and, where a tag tells, frame.

    :param slices: for every slice its images
    """
    counts = [len(of_slice) for of_slice in slices]
    if len(set(counts)) == 1:
        return
    stopped = _stopped(slices)
    if stopped is not None:
        raise InputError(
            name,
            f"ends within frame {max(counts)}: only {stopped} of its {len(slices)} slices are there",
            f"copy the complete series from the archive or, where the scan was stopped, remove frame {max(counts)}",
        )
    usual = Counter(counts).most_common(1)[0][0]
    z = next(z for z, count in enumerate(counts) if count != usual)
    which, way_out = "", "remove the files that do not belong to the DSC series"
    if counts[z] < usual:
        which, way_out = _missing_frame(slices[z]), "copy the complete series from the archive"
    raise InputError(name, f"holds {counts[z]} images of slice {z + 1} and {usual} of the others{which}", way_out)


def _stopped(slices: list[list[ImageHeader]]) -> int | None:
    """How many slices the last frame has, where several lack that frame and nothing else is missing; else None."""
    counts = [len(of_slice) for of_slice in slices]
    complete = min(counts)
    of_last = counts.count(complete + 1)
    if complete < 2 or max(counts) != complete + 1 or of_last + 1 == len(slices):
        return None
    for rule in RULES:
        # A number that is not that of the frame can be continuous in every slice and tell nothing.
        values = [times for of_slice in slices if (times := moments(rule, [of_slice])) is not None]
        if not (rule.is_time or rule.shared) or len(values) < len(slices):
            continue
        if is_consistent(rule, np.array([np.sort(of_slice[0])[:complete] for of_slice in values])):
            return of_last
    return None


def _missing_frame(of_slice: list[ImageHeader]) -> str:
    """The first frame that a slice lacks, by the first tag that is longer than usual from one image to the next."""
    for rule in RULES:
        values = moments(rule, [of_slice])
        if values is None or values.shape[1] < 3:
            continue
        steps = np.diff(np.sort(values[0]))
        if steps.min() > 0 and steps.max() > 1.5 * np.median(steps):
            return f" (frame {int(np.argmax(steps)) + 2} is missing)"
    return " (the first or the last frame is missing)"
