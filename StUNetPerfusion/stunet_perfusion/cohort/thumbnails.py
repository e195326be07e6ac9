"""Small pictures of maps, as they go into a page: PNG in a data URI."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stunet_perfusion.cases import Case
from stunet_perfusion.reading import read_map, read_mask
from stunet_perfusion.runs.figures import WINDOW, busiest_slice, cropped
from stunet_perfusion.series import Grid
from stunet_perfusion.support.colormap import perfusion_colors
from stunet_perfusion.support.errors import InputError

#: Pixels are repeated until the longer side has at least so many.
_SIDE = 180


@dataclass(frozen=True)
class Thumbnail:
    """A slice of a CBV map in colors.

    :param uri: `data:image/png;base64,...`
    :param alternative: what it shows, in words
    """

    uri: str
    alternative: str


def thumbnail(case: Case, folder: Path) -> Thumbnail:
    """The slice with most tumor, or with most brain, in multiples of the CBV of normal white matter.

    :param folder: the case's own, with `ncbv.nii.gz`
    :raises InputError: a map that cannot be read, or that holds nothing
    """
    ncbv, grid = read_map(folder / "ncbv.nii.gz")
    brain = ncbv != 0
    if not brain.any():
        raise InputError(folder / "ncbv.nii.gz", "holds nothing but zeros", "look at its report")
    z = busiest_slice(_region(case, "tumor", grid) & brain, brain)
    image = _colored(cropped(ncbv[z], brain[z]))
    low, high = WINDOW
    alternative = f"CBV of {case.name}, slice {z + 1} of {len(ncbv)}, {low:g} to {high:g} times normal white matter"
    return Thumbnail("data:image/png;base64," + base64.b64encode(_png(image)).decode("ascii"), alternative)


def _region(case: Case, name: str, grid: Grid) -> np.ndarray:
    """(Z, Y, X) bool; nothing where there is no mask, or none that can be used."""
    try:
        return read_mask(case.files[name], grid)[0]
    except (KeyError, InputError):
        return np.zeros(grid.shape, bool)


def _colored(image: np.ndarray) -> np.ndarray:
    """(Y, X, 3) uint8 of (Y, X) values, within `WINDOW`."""
    colors = np.rint(255 * perfusion_colors()).astype(np.uint8)
    share = (image - WINDOW[0]) / (WINDOW[1] - WINDOW[0])
    indices = np.clip(np.nan_to_num(share) * len(colors), 0, len(colors) - 1).astype(int)
    times = max(1, -(-_SIDE // max(image.shape)))
    return colors[indices].repeat(times, axis=0).repeat(times, axis=1)


def _png(image: np.ndarray) -> bytes:
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "thumbnail.png"
        sitk.WriteImage(sitk.GetImageFromArray(image, isVector=True), str(path), True)
        return path.read_bytes()
