"""Tumors drawn into an anatomy: core, rim and edema from a mask, which is given, read or made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.phantom.anatomy import PARENCHYMA, Anatomy, Tissue
from stunet_perfusion.phantom.images import read_upright
from stunet_perfusion.support.errors import InputError

_CEREBRAL_WHITE = (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT)

#: Where a tumor may be: not in bone, scalp, air, nor in the dural sinuses.
_OPEN_TO_TUMOR = (*PARENCHYMA, Tissue.VENTRICLE, Tissue.FLUID, Tissue.CHOROID_PLEXUS)

#: Centers of tumors are at most this far below the vertex, mm, so that they are in the slices of any usual protocol.
_DEPTH_OF_SLICES = 80.0

#: A mask whose file lost its voxel size: millimeters of its field of view, and from slice to slice.
_ASSUMED_FIELD_OF_VIEW = 240.0
_ASSUMED_SLICE_SPACING = 6.0


def random_tumor(anatomy: Anatomy, generator: np.random.Generator) -> np.ndarray:
    """A blobby ellipsoid, 20 to 60 mm long, centered in cerebral white matter.

    :returns: (Z, Y, X) bool on the anatomy's grid
    """
    spacing = anatomy.grid.spacing[::-1]
    axes = generator.uniform(0.75, 1.25, 3) * generator.uniform(9, 24)
    half = np.ceil(1.4 * axes / spacing).astype(int)
    offsets = [np.arange(-h, h + 1) * s for h, s in zip(half, spacing, strict=True)]
    z, y, x = np.meshgrid(*offsets, indexing="ij", sparse=True)
    noise = ndimage.gaussian_filter(generator.standard_normal([2 * h + 1 for h in half]), 5.0 / spacing)
    radius = np.sqrt((z / axes[0]) ** 2 + (y / axes[1]) ** 2 + (x / axes[2]) ** 2)
    return place_tumor(radius + 0.15 * noise / noise.std() < 1, anatomy, generator)


def place_tumor(
    blob: np.ndarray, anatomy: Anatomy, generator: np.random.Generator, near: np.ndarray | None = None
) -> np.ndarray:
    """Put a tumor where most of it is inside the brain, within 80 mm of the vertex, which any usual protocol covers.

    :param blob: (z, y, x) bool, cut out of its surroundings, voxels as large as the anatomy's
    :param near: (3,) voxel where its center would like to be; anywhere in white matter if None
    :returns: (Z, Y, X) bool on the anatomy's grid
    """
    spacing = anatomy.grid.spacing[::-1]
    lowest = max(int(anatomy.brain_box[1][0] - _DEPTH_OF_SLICES / spacing[0]), 0)
    white = np.argwhere(np.isin(anatomy.tissue[lowest:], _CEREBRAL_WHITE)) + np.array([lowest, 0, 0])
    if near is not None:
        distance = np.linalg.norm((white - near) * spacing, axis=1)
        white = white[distance <= max(np.sort(distance)[min(2000, len(distance) - 1)], 15.0)]
    half = np.array(blob.shape) // 2
    mask = np.zeros(anatomy.tissue.shape, dtype=bool)
    most = -1.0
    for center in generator.choice(white, size=min(24, len(white)), replace=False):
        low = center - half
        first, last = np.maximum(low, 0), np.minimum(low + blob.shape, anatomy.tissue.shape)
        part = blob[tuple(slice(a, b) for a, b in zip(first - low, last - low, strict=True))]
        place = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        inside = part & np.isin(anatomy.tissue[place], PARENCHYMA)
        share = inside.sum() / max(blob.sum(), 1)
        if share > most:
            most = share
            mask[:] = False
            mask[place] = part
        if share > 0.85:
            break
    return mask & np.isin(anatomy.tissue, _OPEN_TO_TUMOR)


def tumor_from_file(path: str | Path, anatomy: Anatomy, seed: int = 0) -> np.ndarray:
    """Read a tumor mask and put its largest piece into the anatomy.

    A mask on the anatomy's grid is taken as it is. One of another head is placed in white matter, as near to its own
    place (relative to the middle of its volume) as the brain allows. Where a file lost its voxel size (1 mm with at
    most 64 slices), 240 mm field of view and 6 mm from slice to slice are assumed.

    :returns: (Z, Y, X) bool on the anatomy's grid
    :raises InputError: the file cannot be read, is not 3-D or is empty
    """
    path = Path(path)
    way_out = "give a 3-D mask (NIfTI or NRRD) that is 1 in the tumor, or 'random', or 'none'"
    image = read_upright(path, way_out)
    mask = sitk.GetArrayFromImage(image) > 0.5
    if not mask.any():
        raise InputError(path, "is empty", way_out)
    same = mask.shape == anatomy.tissue.shape and np.allclose(image.GetOrigin(), anatomy.grid.lps_origin, atol=1e-2)
    if same:
        return mask & np.isin(anatomy.tissue, _OPEN_TO_TUMOR)
    spacing = np.array(image.GetSpacing()[::-1])
    if np.allclose(spacing, 1) and mask.shape[0] <= 64:
        spacing = np.array([_ASSUMED_SLICE_SPACING, *(_ASSUMED_FIELD_OF_VIEW / n for n in mask.shape[1:])])
    pieces, count = ndimage.label(mask)
    largest = pieces == 1 + int(np.argmax(ndimage.sum_labels(mask, pieces, range(1, count + 1))))
    box = ndimage.find_objects(largest.astype(int))[0]
    voxel = anatomy.grid.spacing[::-1]
    center = np.array([(s.start + s.stop - 1) / 2 for s in box])
    first, last = anatomy.brain_box
    near = (first + last) / 2 + (center - (np.array(mask.shape) - 1) / 2) * spacing / voxel
    soft = ndimage.zoom(np.pad(largest[box].astype(np.float32), 1), spacing / voxel, order=1)
    blob = ndimage.gaussian_filter(soft, 1.5 / voxel) > 0.5
    return place_tumor(blob if blob.any() else soft > 0.5, anatomy, np.random.default_rng(seed), near)


def with_tumor(anatomy: Anatomy, mask: np.ndarray, rim: float, edema: float, generator: np.random.Generator) -> Anatomy:
    """The same head with a tumor.

    :param mask: (Z, Y, X) bool on the anatomy's grid
    :param rim: mm of living tumor around the necrotic core; infinite for a tumor without necrosis
    :param edema: mm that edema reaches into the white matter, varying smoothly between 0.4 and 1.6 times that
    """
    tissue = anatomy.tissue.copy()
    spacing = anatomy.grid.spacing[::-1]
    inside = mask & np.isin(tissue, _OPEN_TO_TUMOR)
    if not inside.any():
        return anatomy
    margin = np.ceil((1.7 * edema + 2) / spacing).astype(int)
    box = tuple(
        slice(max(s.start - m, 0), s.stop + m)
        for s, m in zip(ndimage.find_objects(inside.astype(np.int8))[0], margin, strict=True)
    )
    place, inside = tissue[box], inside[box]
    field = ndimage.gaussian_filter(generator.standard_normal(place.shape, dtype=np.float32), 6.0 / spacing)
    field /= max(float(np.abs(field).max()), 1e-6)
    outwards = ndimage.distance_transform_edt(~inside, sampling=spacing)
    swollen = (outwards <= edema * (1 + 0.6 * field)) & np.isin(place, _CEREBRAL_WHITE)
    place[swollen] = Tissue.EDEMA
    place[inside] = Tissue.TUMOR_RIM
    if np.isfinite(rim):
        inwards = ndimage.distance_transform_edt(inside, sampling=spacing)
        place[inwards > rim * (1 + 0.5 * field)] = Tissue.TUMOR_CORE
    return Anatomy(tissue, anatomy.grid, anatomy.name)
