"""Who lies in the scanner: tissue classes at about 1 mm, from a FreeSurfer label map or from MNI tissue maps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.phantom.images import read_upright
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError


class Tissue(IntEnum):
    """Tissue classes of the phantom. Left and right are the patient's."""

    AIR = 0
    SCALP = 1
    BONE = 2
    FLUID = 3
    VENTRICLE = 4
    WHITE_LEFT = 5
    WHITE_RIGHT = 6
    CORTEX = 7
    DEEP_GRAY = 8
    CEREBELLAR_GRAY = 9
    CEREBELLAR_WHITE = 10
    BRAIN_STEM = 11
    CHOROID_PLEXUS = 12
    ARTERY = 13
    VEIN = 14
    TUMOR_CORE = 15
    TUMOR_RIM = 16
    EDEMA = 17


#: What is perfused brain.
PARENCHYMA = (
    Tissue.WHITE_LEFT,
    Tissue.WHITE_RIGHT,
    Tissue.CORTEX,
    Tissue.DEEP_GRAY,
    Tissue.CEREBELLAR_GRAY,
    Tissue.CEREBELLAR_WHITE,
    Tissue.BRAIN_STEM,
    Tissue.TUMOR_CORE,
    Tissue.TUMOR_RIM,
    Tissue.EDEMA,
)

#: FreeSurfer's labels; 136, 137, 163, 164 are choroid plexus and 5xx tissue outside the brain in whole-head maps.
_LABELS = {
    Tissue.WHITE_LEFT: (2, 77, 251, 252, 253, 254, 255),
    Tissue.WHITE_RIGHT: (41,),
    Tissue.CORTEX: (3, 42, 17, 53, 18, 54),
    Tissue.DEEP_GRAY: (10, 49, 11, 50, 12, 51, 13, 52, 26, 58, 28, 60),
    Tissue.CEREBELLAR_GRAY: (8, 47),
    Tissue.CEREBELLAR_WHITE: (7, 46),
    Tissue.BRAIN_STEM: (16, 85, 512),
    Tissue.VENTRICLE: (4, 43, 5, 44, 14, 15, 72),
    Tissue.CHOROID_PLEXUS: (31, 63, 136, 137, 163, 164),
    Tissue.FLUID: (24, 506, 25, 57),
    Tissue.ARTERY: (502, 30, 62),
    Tissue.VEIN: (514,),
    Tissue.BONE: (515, 516),
    Tissue.SCALP: (258, 507, 508, 509, 511, 530),
}

_LARGEST_LABEL = 2048


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Tissue classes of one head.

    :param tissue: (Z, Y, X) uint8 values of `Tissue`; slices from feet to head, rows from the face backwards,
        columns from the patient's right to left
    :param grid: where these voxels are; about 1 mm
    :param name: what messages call it
    """

    tissue: np.ndarray
    grid: Grid
    name: str = "anatomy"

    @cached_property
    def brain_box(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last voxel (z, y, x) of the cerebrum."""
        cerebrum = np.isin(self.tissue, (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT, Tissue.CORTEX))
        inside = [np.flatnonzero(cerebrum.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        return np.array([i[0] for i in inside]), np.array([i[-1] for i in inside])


def tissue_from_labels(labels: np.ndarray) -> np.ndarray:
    """Tissue classes of FreeSurfer labels; labels that are not in the table are air.

    :param labels: integers of any shape, 0 to 2047
    :returns: uint8 of the same shape
    """
    table = np.zeros(_LARGEST_LABEL, dtype=np.uint8)
    for tissue, members in _LABELS.items():
        table[list(members)] = tissue
    table[1000:2000] = Tissue.CORTEX  # parcels of the cortex in aparc+aseg maps
    table[2000:] = Tissue.CORTEX
    return table[labels]


def anatomy_from_labels(path: str | Path) -> Anatomy:
    """Read a FreeSurfer label map of a head in any orientation.

    :raises InputError: the file cannot be read, is not 3-D, or holds no FreeSurfer cerebrum
    """
    path = Path(path)
    way_out = "give a FreeSurfer label map (aseg or whole head) as NIfTI or NRRD, or 'mni', or 'drawn'"
    image = read_upright(path, way_out)
    values = sitk.GetArrayViewFromImage(image)
    if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() < _LARGEST_LABEL):
        raise InputError(path, f"holds values that are no labels (0 to {_LARGEST_LABEL - 1})", way_out)
    tissue = tissue_from_labels(values.astype(np.int16))
    grid = Grid.from_lps(tissue.shape, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    liters = (np.isin(tissue, (Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT, Tissue.CORTEX)).sum() * grid.spacing.prod()) / 1e6
    if liters < 0.1:
        raise InputError(path, f"holds {liters:.2f} liters of cerebrum (FreeSurfer labels 2, 3, 41, 42)", way_out)
    return _with_skull(Anatomy(tissue, grid, path.name))


@lru_cache(maxsize=1)
def mni_anatomy() -> Anatomy:
    """The MNI152 head, from the gray and white matter maps that come with nilearn. Nothing is downloaded.

    It takes seconds to make, and is one and the same for all of a process: its tissue is not to be written to.

    :raises InputError: nilearn is not installed
    """
    try:
        from nilearn import datasets
    except ImportError as error:
        raise InputError(
            "nilearn",
            "is not installed, and the MNI anatomy comes with it",
            "pip install stunet-perfusion[demo], or take the head 'drawn'",
        ) from error
    gray_image = datasets.load_mni152_gm_template(resolution=1)
    gray = np.asarray(gray_image.dataobj, dtype=np.float32)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    brain = np.asarray(datasets.load_mni152_brain_mask(resolution=1).dataobj) > 0
    tissue = _tissue_from_mni(gray, white, brain, np.asarray(gray_image.affine))
    # nilearn's arrays are (x, y, z) with x to the right or left as the affine says; ours are (z, y, x) in LPS order
    image = sitk.GetImageFromArray(tissue.transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ gray_image.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    margin = [20, 20, 20]  # the template's box is tighter than a head with its scalp
    image = sitk.ConstantPad(sitk.DICOMOrient(image, "LPS"), margin, margin, 0)
    tissue = sitk.GetArrayFromImage(image)
    grid = Grid.from_lps(tissue.shape, image.GetOrigin(), image.GetSpacing(), image.GetDirection())
    head = _with_skull(Anatomy(tissue, grid, "mni"))
    head.tissue.flags.writeable = False
    return head


def _tissue_from_mni(gray: np.ndarray, white: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Tissue classes of probability maps in MNI space, (x, y, z). What the maps do not tell apart, coordinates do."""
    i, j, k = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in gray.shape), indexing="ij", sparse=True)
    x, y, z = (affine[r, 0] * i + affine[r, 1] * j + affine[r, 2] * k + affine[r, 3] for r in range(3))
    fluid = np.clip(1 - gray - white, 0, 1)
    kind = np.argmax(np.stack([fluid, gray, white]), axis=0)
    kind[~brain] = 0
    tissue = np.zeros(gray.shape, dtype=np.uint8)
    tissue[brain] = Tissue.FLUID
    tissue[kind == 1] = Tissue.CORTEX
    tissue[(kind == 2) & (x < 0)] = Tissue.WHITE_LEFT
    tissue[(kind == 2) & (x >= 0)] = Tissue.WHITE_RIGHT
    # the lateral and third ventricles, the basal ganglia and thalami
    center = (np.abs(x) < 34) & (y > -42) & (y < 28) & (z > -8) & (z < 28)
    tissue[(kind == 0) & brain & center & (np.abs(x) < 24)] = Tissue.VENTRICLE
    tissue[(kind == 1) & center & ~((np.abs(x) > 29) & (z < 18))] = Tissue.DEEP_GRAY
    below = (z < -12 - 0.42 * (y + 38)) & (y < -38)
    tissue[(kind == 1) & below & (z < -14)] = Tissue.CEREBELLAR_GRAY
    tissue[(kind == 2) & below & (z < -14)] = Tissue.CEREBELLAR_WHITE
    stem = (np.abs(x) < 18) & (y > -46) & (y < -12) & (z < -8)
    tissue[(kind != 0) & stem] = Tissue.BRAIN_STEM
    return tissue


def _with_skull(anatomy: Anatomy) -> Anatomy:
    """Give a head that has only a brain some fluid around it, bone and scalp; others stay as they are."""
    tissue = anatomy.tissue
    outside = np.isin(tissue, (Tissue.SCALP, Tissue.BONE)).sum()
    if outside > 0.1 * (tissue > 0).sum():
        return anatomy
    inside = ndimage.binary_fill_holes(ndimage.binary_closing(tissue > 0, iterations=4))
    distance = ndimage.distance_transform_edt(~inside, sampling=anatomy.grid.spacing[::-1])
    tissue = tissue.copy()
    tissue[inside & (tissue == Tissue.AIR)] = Tissue.FLUID
    for tissue_outside, nearest, farthest in ((Tissue.FLUID, 0, 2), (Tissue.BONE, 2, 8), (Tissue.SCALP, 8, 14)):
        tissue[(distance > nearest) & (distance <= farthest)] = tissue_outside
    return Anatomy(tissue, anatomy.grid, anatomy.name)
