"""Where the slices of a DICOM series are."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.reading.dicom_headers import ImageHeader
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

#: Positions are written with a few digits; the same slice may differ by this much, mm.
_SAME_PLACE = 0.05
#: Slices that are moved in mid-series (prospective motion correction) stay within this share of their distance.
_MOVED = 0.3
#: A note is worth a movement of that many millimeters.
LEAST_MOVEMENT = 0.1
#: Direction cosines likewise.
_SAME_DIRECTION = 1e-3
#: Share of the slice distance by which gaps may differ before a slice is missing or out of place.
_EVEN = 0.05


def slices_of(name: str, headers: list[ImageHeader]) -> list[list[ImageHeader]]:
    """Sort images by their place across the slices.

    :returns: for every slice, along the slice normal, its images in the order of `headers`
    :raises InputError: frames with different geometry, or a missing slice
    """
    first = headers[0]
    for header in headers[1:]:
        _check_same_frame(name, header, first)
    slices = _by_place(headers, _SAME_PLACE)
    moved = _by_place(headers, _MOVED * first.slice_spacing)
    if len(moved) < len(slices) and len({len(of_slice) for of_slice in moved}) == 1:
        # The slices were moved in mid-series, by less than they are apart: each is still one slice.
        slices = moved
    _check_even(name, slices)
    _check_straight(name, slices)
    return slices


def movement(slices: list[list[ImageHeader]]) -> float:
    """By how much the images of a slice were moved against each other, mm."""
    if not slices:
        return 0.0
    places = [np.array([image.position for image in of_slice]) for of_slice in slices]
    return float(max(np.linalg.norm(np.ptp(of_slice, axis=0)) for of_slice in places))


def _by_place(headers: list[ImageHeader], apart: float) -> list[list[ImageHeader]]:
    """Images by their place across the slices; those that are less than `apart` mm from the next are in one slice."""
    first = headers[0]
    distances = np.array([first.normal @ header.position for header in headers])
    order = np.argsort(distances, kind="stable")
    new_slice = np.concatenate([[False], np.diff(distances[order]) > apart])
    slices: list[list[ImageHeader]] = [[]]
    for index, starts in zip(order, new_slice, strict=True):
        if starts:
            slices.append([])
        slices[-1].append(headers[index])
    return slices


def grid_of(stack: list[ImageHeader]) -> Grid:
    """The grid of one frame.

    :param stack: its slices along the slice normal
    """
    first, last = stack[0], stack[-1]
    if len(stack) == 1:
        slice_spacing = first.slice_spacing
    else:
        slice_spacing = float(first.normal @ (last.position - first.position)) / (len(stack) - 1)
    direction = np.column_stack([first.row_direction, first.column_direction, first.normal])
    spacing = np.array([first.column_spacing, first.row_spacing, slice_spacing])
    return Grid.from_lps((len(stack), *first.shape), first.position, spacing, direction)


def _check_same_frame(name: str, header: ImageHeader, first: ImageHeader) -> None:
    turned = max(
        np.abs(header.row_direction - first.row_direction).max(),
        np.abs(header.column_direction - first.column_direction).max(),
    )
    if header.shape != first.shape:
        own, other = (f"{header.shape[1]} x {header.shape[0]}" for header in (header, first))
        fact = f"file {header.name} has {own} pixels, and {first.name} {other}"
    elif turned > _SAME_DIRECTION:
        fact = f"file {header.name} is turned against {first.name}"
    elif not np.allclose(
        (header.column_spacing, header.row_spacing), (first.column_spacing, first.row_spacing), rtol=1e-3
    ):
        own, other = (f"{header.column_spacing:g} x {header.row_spacing:g} mm" for header in (header, first))
        fact = f"file {header.name} has pixels of {own}, and {first.name} of {other}"
    else:
        return
    raise InputError(name, f"holds frames with different geometry: {fact}", "give the files of the DSC series only")


def _check_even(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse a gap between slices, and slices that overlap."""
    if len(slices) < 2:
        return
    normal = slices[0][0].normal
    places = np.array([normal @ of_slice[0].position for of_slice in slices])
    gaps = np.diff(places)
    # The lower of two middle gaps: in a stack of four a missing slice leaves two, and their mean is nobody's distance.
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    wrong = np.flatnonzero(np.abs(gaps - usual) > max(_EVEN * usual, _SAME_PLACE))
    if not len(wrong):
        return
    z = int(wrong[0])
    missing = round(gaps[z] / usual) - 1
    where = f"between slices {z + 1} and {z + 2} are {gaps[z]:.2f} mm, where {usual:.2f} mm are usual"
    if missing >= 1 and abs(gaps[z] - (missing + 1) * usual) <= _EVEN * usual * (missing + 1):
        word = "a slice is" if missing == 1 else f"{missing} slices are"
        raise InputError(name, f"{word} missing: {where}", "copy the complete series from the archive")
    raise InputError(name, f"holds frames with different geometry: {where}", "give the files of the DSC series only")


def _check_straight(name: str, slices: list[list[ImageHeader]]) -> None:
    """Refuse images that are shifted within their slice, and stacks that lean over (a gantry tilt)."""
    first = slices[0][0]
    for of_slice in slices:
        for header in of_slice:
            offset = header.position - first.position
            sideways = offset - first.normal * (first.normal @ offset)
            if np.abs(sideways).max() > max(_SAME_PLACE, 2 * _SAME_DIRECTION * np.linalg.norm(offset)):
                raise InputError(
                    name,
                    f"holds frames with different geometry: file {header.name} is shifted sideways by "
                    f"{np.linalg.norm(sideways):.2f} mm against {first.name}",
                    "give the files of the DSC series only",
                )
