"""The drawn head is a head: volumes, folds, cortex and ventricles as anatomists measure them, the same each time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.phantom import anatomy_by_name, drawn_anatomy, named_heads
from stunet_perfusion.phantom.anatomy import PARENCHYMA, Tissue
from stunet_perfusion.phantom.vessels import with_vessels

#: Ranges that healthy adults fill, ml.
MILLILITERS = {
    "white matter": ((Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT), 420, 540),
    "cortex": ((Tissue.CORTEX,), 450, 600),
    "deep gray matter": ((Tissue.DEEP_GRAY,), 35, 60),
    "ventricles": ((Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS), 12, 45),
    "cerebellum": ((Tissue.CEREBELLAR_GRAY, Tissue.CEREBELLAR_WHITE), 110, 160),
    "brain stem": ((Tissue.BRAIN_STEM,), 18, 35),
    "fluid around the brain": ((Tissue.FLUID,), 150, 450),
    "whole brain": (PARENCHYMA, 1050, 1450),
}

CEREBRUM = (
    Tissue.WHITE_LEFT,
    Tissue.WHITE_RIGHT,
    Tissue.CORTEX,
    Tissue.DEEP_GRAY,
    Tissue.VENTRICLE,
    Tissue.CHOROID_PLEXUS,
)


@pytest.fixture(scope="module")
def heads():
    return {seed: drawn_anatomy(seed) for seed in (0, 7)}


@pytest.fixture(params=[0, 7])
def head(request, heads):
    return heads[request.param]


def of(head, *tissues):
    return np.isin(head.tissue, tissues)


def milliliters(head, mask):
    return mask.sum() * head.grid.spacing.prod() / 1000


def depth_inside(head, mask):
    """mm from the surface of a mask, negative outside; to the centers of its outermost voxels."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(head.grid.spacing.tolist())
    return -sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))


def right_of_middle(head, mask):
    """How far to the patient's right the middle of a mask is, mm."""
    k, j, i = (axis.mean() for axis in np.nonzero(mask))
    return (head.grid.ijk_to_ras @ [i, j, k, 1])[0]


def closed_hull(head):
    """The cerebrum with its sulci filled: closed by a ball of 10 mm."""
    grown = depth_inside(head, of(head, *CEREBRUM)) > -10
    return depth_inside(head, grown) > 10


@pytest.mark.parametrize("part", MILLILITERS)
def test_volumes_are_those_of_adults(head, part):
    tissues, least, most = MILLILITERS[part]
    assert least <= milliliters(head, of(head, *tissues)) <= most


def test_the_head_is_as_large_as_heads_are(head):
    """Adults: 14 to 17 cm wide, 17.5 to 21 cm long; the brain 12 to 15 cm wide, 15.5 to 18.5 cm long."""
    inside = head.tissue[head.brain_box[0][0] :] > 0
    length, width = (np.ptp(np.flatnonzero(inside.any(axis=axes))) * head.grid.spacing[0] for axes in ((0, 2), (0, 1)))
    assert 140 <= width <= 170
    assert 175 <= length <= 210
    height, length, width = (head.brain_box[1] - head.brain_box[0]) * head.grid.spacing[::-1]
    assert 100 <= height <= 130
    assert 155 <= length <= 185
    assert 120 <= width <= 150


def test_left_and_right_are_the_patients_and_alike_but_no_mirror_images(head):
    left, right = of(head, Tissue.WHITE_LEFT), of(head, Tissue.WHITE_RIGHT)
    assert right_of_middle(head, left) < -20
    assert right_of_middle(head, right) > 20
    assert left.sum() == pytest.approx(right.sum(), rel=0.12)
    columns = head.tissue.shape[2] // 2
    for tissue in (Tissue.DEEP_GRAY, Tissue.VENTRICLE, Tissue.CORTEX):
        mask = of(head, tissue)
        assert mask[..., :columns].sum() == pytest.approx(mask[..., columns:].sum(), rel=0.2)
    cortex = of(head, Tissue.CORTEX)
    assert 2 * (cortex & cortex[..., ::-1]).sum() / (2 * cortex.sum()) < 0.7


def test_the_face_is_in_front_and_the_cerebellum_behind_and_below(head):
    front, below = {}, {}
    for name, tissue in (("eyes and nose", Tissue.AIR), ("cerebellum", Tissue.CEREBELLAR_GRAY)):
        mask = of(head, tissue)
        if tissue == Tissue.AIR:
            mask &= ndimage.binary_fill_holes(head.tissue > 0)  # only what the head encloses
        k, j, i = (axis.mean() for axis in np.nonzero(mask))
        _, front[name], below[name], _ = head.grid.ijk_to_ras @ [i, j, k, 1]
    assert front["eyes and nose"] > 30
    assert front["cerebellum"] < -40
    assert below["cerebellum"] < -15


def test_cortex_is_as_thick_as_cortex(head):
    """2.5 mm on average, from the surface of the white matter to the nearest fluid."""
    outside = ~of(head, *PARENCHYMA, Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS)
    white_by_cortex = of(head, Tissue.WHITE_LEFT, Tissue.WHITE_RIGHT) & ndimage.binary_dilation(
        of(head, Tissue.CORTEX), iterations=1
    )
    # from voxel center to voxel center, of which half a voxel each is white matter and fluid
    thickness = -depth_inside(head, outside)[white_by_cortex] - head.grid.spacing[0]
    assert 2.2 <= np.median(thickness) <= 3.5
    assert np.percentile(thickness, 5) > 1.5
    assert np.percentile(thickness, 95) < 4.5


def test_cortex_is_folded_as_much_as_cortex(head):
    """An adult's has 1700 to 2400 square centimeters, of which two thirds are hidden in sulci."""

    def square_centimeters(mask):
        faces = sum(np.count_nonzero(np.diff(mask.astype(np.int8), axis=axis)) for axis in range(3))
        # a surface that faces all directions alike shows 1.5 times its area in voxel faces
        return faces * head.grid.spacing[0] ** 2 / 1.5 / 100

    hull = closed_hull(head)
    assert 1700 <= square_centimeters(of(head, *CEREBRUM)) <= 2400
    assert 500 <= square_centimeters(hull) <= 800
    in_sulci = ~of(head, *PARENCHYMA) & of(head, Tissue.FLUID) & hull
    assert 60 <= milliliters(head, in_sulci) <= 160
    assert np.percentile(depth_inside(head, hull)[in_sulci], 95) > 15  # the Sylvian fissure is deeper still


def test_nothing_of_the_brain_touches_bone_scalp_or_air(head):
    outside = of(head, Tissue.BONE, Tissue.SCALP, Tissue.AIR)
    touching = ndimage.binary_dilation(outside, iterations=1)
    assert not (touching & of(head, *PARENCHYMA, Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS)).any()


def test_skull_and_scalp_are_closed_over_the_brain(head):
    """Above the lowest cerebrum by 5 cm nothing leads from the fluid to the outside but through bone and scalp."""
    lowest = head.brain_box[0][0] + round(50 / head.grid.spacing[2])
    cap = head.tissue[lowest:]
    for wall in (Tissue.BONE, Tissue.SCALP):
        free = cap != wall
        parts, _ = ndimage.label(free)
        fluid = np.unique(parts[cap == Tissue.FLUID])
        assert parts[-1, 0, 0] not in fluid


def test_ventricles_are_inside_the_brain_and_hang_together(head):
    ventricles = of(head, Tissue.VENTRICLE, Tissue.CHOROID_PLEXUS)
    outside = of(head, Tissue.BONE, Tissue.SCALP, Tissue.AIR)
    assert (-depth_inside(head, outside)[ventricles]).min() > 8
    parts, _ = ndimage.label(ventricles, np.ones((3, 3, 3)))
    assert np.bincount(parts.ravel())[1:].max() > 0.97 * ventricles.sum()


def test_white_matter_and_cortex_are_one_piece_each(head):
    for tissues in ((Tissue.WHITE_LEFT,), (Tissue.WHITE_RIGHT,), (Tissue.CORTEX,)):
        mask = of(head, *tissues)
        parts, _ = ndimage.label(mask)
        assert np.bincount(parts.ravel())[1:].max() > 0.95 * mask.sum()


def test_arteries_find_their_fissures_and_the_head_has_its_own_sinuses(head):
    drawn = with_vessels(head, np.random.default_rng(0))
    assert 8 <= milliliters(drawn, of(drawn, Tissue.ARTERY)) <= 40
    sinuses = of(head, Tissue.VEIN)
    assert 8 <= milliliters(head, sinuses) <= 35
    assert (of(drawn, Tissue.VEIN) & sinuses).sum() > 0.95 * sinuses.sum()
    # the landmarks' own way: most of what the brain loses to arteries is fluid
    lost = head.tissue[of(drawn, Tissue.ARTERY)]
    assert np.isin(lost, (Tissue.FLUID, Tissue.VEIN)).mean() > 0.6
    # middle cerebral arteries: at the side, where the insula is
    insula = [head.grid.ijk_to_ras @ [i, j, k, 1] for k, j, i in np.argwhere(of(drawn, Tissue.ARTERY))[::7]]
    x, y, z, _ = np.transpose(insula)
    for side in (-1, 1):
        assert ((np.abs(side * x - 40) < 8) & (np.abs(y) < 20) & (np.abs(z) < 15)).sum() > 20


def test_the_same_seed_gives_the_same_head_and_another_seed_other_folds(heads):
    np.testing.assert_array_equal(drawn_anatomy(7).tissue, heads[7].tissue)
    one, other = (of(head, Tissue.CORTEX) for head in heads.values())
    assert 2 * (one & other).sum() / (one.sum() + other.sum()) < 0.7


def test_it_is_found_by_its_name(monkeypatch):
    monkeypatch.setattr(named_heads, "drawn_anatomy", lambda seed: f"drawn with seed {seed}")
    assert anatomy_by_name("drawn", 5) == "drawn with seed 5"
    assert anatomy_by_name("Drawn", 6) == "drawn with seed 6"


def test_drawing_needs_nothing_that_slicer_lacks():
    program = (
        "import sys, stunet_perfusion.phantom.sample\n"
        "unwanted = {'torch', 'nibabel', 'nrrd', 'skimage', 'nilearn', 'matplotlib', 'typer', 'rich', 'safetensors'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
