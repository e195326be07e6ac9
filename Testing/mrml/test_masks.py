"""Segments, label maps and arrays as masks on the grid of the series."""

from __future__ import annotations

import numpy as np
import pytest

from mrml.cases import SHAPE, add_regions, corners, regions
from science.synthetic import oblique_grid
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError

GRID = oblique_grid(SHAPE)


@pytest.fixture
def masks(scene):
    from StUNetPerfusionLib.scene import masks

    return masks


def test_segments_come_back_voxel_by_voxel(scene, masks):
    node = add_regions(scene)
    for name, mask in regions().items():
        np.testing.assert_array_equal(masks.maskOf((node, name), GRID, "region"), mask)
        np.testing.assert_array_equal(masks.maskOf((node, masks.segmentIdOf(node, name)), GRID, "region"), mask)


def test_a_segment_on_another_grid_takes_the_nearest_voxel(scene, masks):
    """Against a brute-force search, on a finer grid that is turned, shifted and flipped."""
    fine = Grid((9, 61, 55), oblique_grid((9, 61, 55), (1.3, 1.4, 2.6)).ijk_to_ras @ np.diag([-1.0, 1, 1, 1]))
    fine.ijk_to_ras[:3, 3] += (-70, 1, -2)
    tumor = regions()["tumor"]
    node = add_regions(scene, {"tumor": tumor})

    found = masks.maskOf((node, "tumor"), fine, "tumor")

    indices = np.stack(np.meshgrid(*(np.arange(n) for n in fine.shape), indexing="ij"), -1).reshape(-1, 3)
    places = (fine.ijk_to_ras @ np.c_[indices[:, ::-1], np.ones(len(indices))].T)[:3]
    ijk = np.linalg.solve(GRID.ijk_to_ras, np.vstack([places, np.ones(places.shape[1])]))[:3].T
    # Voxels in the middle between two are nobody's.
    clear = (np.abs(np.abs(ijk - np.round(ijk)) - 0.5) > 1e-3).all(axis=1)
    nearest = np.round(ijk).astype(int)[:, ::-1]
    inside = ((nearest >= 0) & (nearest < SHAPE)).all(axis=1)
    expected = np.zeros(len(indices), bool)
    expected[inside] = tumor[tuple(nearest[inside].T)]
    np.testing.assert_array_equal(found.ravel()[clear], expected[clear])
    assert expected.sum() > 100


def test_a_transform_moves_the_segment(scene, masks):
    node = add_regions(scene, {"tumor": regions()["tumor"]})
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    import slicer

    shift = np.eye(4)
    shift[:3, 3] = GRID.ijk_to_ras[:3, :3] @ (3, -2, 1)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    node.SetAndObserveTransformNodeID(transform.GetID())
    np.testing.assert_array_equal(
        masks.maskOf((node, "tumor"), GRID, "tumor"), np.roll(regions()["tumor"], (1, -2, 3), axis=(0, 1, 2))
    )


def test_a_surface_is_filled(scene, masks):
    """A segment that is a surface only, as from a planning system: its volume is that of the ellipsoid."""
    brain = regions()["brain"]
    node = add_regions(scene, {"brain": brain})
    node.GetSegmentation().SetConversionParameter("Smoothing factor", "0.0")
    node.CreateClosedSurfaceRepresentation()
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.GetSegmentation().RemoveRepresentation("Binary labelmap")
    found = masks.maskOf((node, "brain"), GRID, "brain")
    overlap = 2 * (found & brain).sum() / (found.sum() + brain.sum())
    assert overlap > 0.9
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap"), "the user's node is as it was"


def test_label_maps_and_arrays(scene, masks):
    import slicer

    volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    from StUNetPerfusionLib.scene.nodeFrames import placeVolume

    placeVolume(volume, GRID)
    slicer.util.updateVolumeFromArray(volume, 3 * regions()["tumor"].astype(np.int16))
    np.testing.assert_array_equal(masks.maskOf(volume, GRID, "tumor"), regions()["tumor"])
    np.testing.assert_array_equal(masks.maskOf(regions()["tumor"], GRID, "tumor"), regions()["tumor"])
    assert masks.maskOf(None, GRID, "tumor") is None


def test_refusals(scene, masks):
    import slicer

    node = add_regions(scene, {"tumor": regions()["tumor"]})
    with pytest.raises(InputError, match="has no segment 'liver'"):
        masks.maskOf((node, "liver"), GRID, "liver")
    node.GetSegmentation().AddEmptySegment("nothing", "nothing")
    with pytest.raises(InputError, match="nothing: is an empty segment"):
        masks.maskOf((node, "nothing"), GRID, "x")
    far = Grid(SHAPE, GRID.ijk_to_ras.copy())
    far.ijk_to_ras[:3, 3] += 1000
    with pytest.raises(InputError, match="tumor: lies outside of the series"):
        masks.maskOf((node, "tumor"), far, "x")
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    node.SetAndObserveTransformNodeID(bent.GetID())
    if not isinstance(node.GetParentTransformNode(), slicer.vtkMRMLLinearTransformNode):
        with pytest.raises(InputError, match="bends it"):
            masks.maskOf((node, "tumor"), GRID, "x")


def test_the_voxel_at_a_place(masks):
    for voxel in ((0, 0, 0), (3, 39, 35), (1, 20, 7)):
        ras = (GRID.ijk_to_ras @ [*voxel[::-1], 1])[:3]
        assert masks.voxelOf(GRID, ras) == voxel
        assert masks.voxelOf(GRID, ras + 0.4 * GRID.ijk_to_ras[:3, 0]) == voxel
    outside = corners(GRID.ijk_to_ras, SHAPE)[0] - 0.6 * GRID.ijk_to_ras[:3, 0]
    assert masks.voxelOf(GRID, outside) is None


def test_a_fingerprint_tells_what_is_drawn_and_where(scene, masks):
    """Names, colors and what is drawn in other segments of the same label map do not count."""
    import slicer

    from StUNetPerfusionLib.scene.nodeFrames import placeVolume
    from StUNetPerfusionLib.scene.segmentFingerprints import SegmentFingerprints

    def paint(name: str, mask: np.ndarray) -> None:
        volume = slicer.vtkMRMLScalarVolumeNode()
        placeVolume(volume, GRID)
        slicer.util.updateVolumeFromArray(volume, mask.astype(np.uint8))
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(logic.CreateOrientedImageDataFromVolumeNode(volume), node, name)

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
    segmentation = node.GetSegmentation()
    for name in ("tumor", "other"):
        segmentation.AddEmptySegment(name, name)
    fingerprints = SegmentFingerprints()
    assert fingerprints.of(node, "tumor") == fingerprints.of(node, "gone") == ""
    tumor = regions()["tumor"]
    paint("tumor", tumor)
    drawn = fingerprints.of(node, "tumor")
    assert drawn

    paint("other", np.roll(tumor, 12, axis=2))
    tumors_map = segmentation.GetSegment("tumor").GetRepresentation(masks.BINARY)
    assert tumors_map is segmentation.GetSegment("other").GetRepresentation(masks.BINARY), "as Slicer keeps them"
    segmentation.GetSegment("tumor").SetName("glioma")
    segmentation.GetSegment("tumor").SetColor(1, 0, 0)
    assert fingerprints.of(node, "tumor") == drawn
    assert fingerprints.of(node, "other") != drawn, "the same shape elsewhere"

    larger = tumor.copy()
    larger[1, 13, 10] = True
    paint("tumor", larger)
    assert fingerprints.of(node, "tumor") != drawn
    paint("tumor", tumor)
    assert fingerprints.of(node, "tumor") == SegmentFingerprints().of(node, "tumor") == drawn
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[0, 3] = 5
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    node.SetAndObserveTransformNodeID(transform.GetID())
    assert fingerprints.of(node, "tumor") != drawn
