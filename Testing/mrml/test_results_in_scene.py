"""A sequence in, maps out: what they hold, where they lie, and what they say about themselves."""

from __future__ import annotations

import numpy as np
import pytest

from mrml.cases import (
    FAST,
    SHAPE,
    add_regions,
    add_series,
    corners,
    corners_of_volume,
    node_ids,
    noisy_series,
    regions,
)
from science.synthetic import oblique_grid
from stunet_perfusion.inference.predict import PredictionSettings, predict_case
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError


def array(volume) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVolume(volume)


def hierarchy_path(scene, node) -> list[str]:
    """Names from the outermost folder to the node."""
    from StUNetPerfusionLib.scene.results import hierarchyOf

    hierarchy = hierarchyOf(scene)
    item, names = hierarchy.GetItemByDataNode(node), []
    assert item, f"{node.GetName()} is not in the subject hierarchy"
    while item != hierarchy.GetSceneItemID():
        names.insert(0, hierarchy.GetItemName(item))
        item = hierarchy.GetItemParent(item)
    return names


@pytest.fixture
def one_thread():
    """Torch as the worker has it on two processors."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_prediction_equals_that_of_the_science(scene, perfusion, one_thread, small_checkpoint):
    """The way through nodes, files and another process changes nothing."""
    from stunet_perfusion.networks.checkpoint import load

    series = noisy_series()
    node = add_series(scene, series)

    found = perfusion.predict(node, 0.5, "noise-matched", small_checkpoint, seed=3, threads=1, **FAST)

    settings = PredictionSettings(dose=0.5, method="noise-matched", seed=3, stride=8)
    expected = predict_case(noisy_series(), load(small_checkpoint), settings).map
    np.testing.assert_allclose(array(found.cbv), expected.cbv, atol=1e-5)
    np.testing.assert_allclose(array(found.uncertainty), expected.uncertainty, atol=1e-5)
    np.testing.assert_allclose(array(found.standardized), expected.standardized, atol=1e-4)
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    np.testing.assert_array_equal(seriesFromSequence(node).signal, series.signal)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_maps_lie_where_the_series_lies(scene, perfusion, flips):
    grid = oblique_grid(SHAPE, (1.719, 1.81, 4.95))
    grid = Grid(SHAPE, grid.ijk_to_ras @ np.diag([*flips, 1.0]))

    found = perfusion.computeReference(add_series(scene, noisy_series(grid)))

    for volume in (found.cbv, found.cbf, found.mtt):
        np.testing.assert_allclose(corners_of_volume(volume), corners(grid.ijk_to_ras, SHAPE), atol=1e-4)


def test_the_reference_follows_the_closed_form(scene, perfusion):
    """Delta R2* of the synthetic head falls from left to right by a factor of 2; so does its CBV."""
    found = perfusion.computeReference(add_series(scene, noisy_series()), baseline="auto")

    cbv = array(found.cbv)
    columns = np.arange(8, 27)
    measured = cbv[1:3, 14:26][:, :, columns].mean(axis=(0, 1))
    expected = 1 - 0.5 * columns / (SHAPE[2] - 1)
    np.testing.assert_allclose(measured / measured[0], expected / expected[0], atol=0.03)
    assert found.aif.unit == "1/s"
    assert found.aif.voxels.sum() > 0
    assert found.aif.curve.max() == pytest.approx(40, rel=0.25)


def test_what_a_result_says_about_itself(scene, perfusion):
    from stunet_perfusion.support.resources import shipped_checkpoint
    from StUNetPerfusionLib.scene.results import fileDigest, provenance

    found = perfusion.predict(add_series(scene), 0.25, "noise-matched", **FAST)

    facts = provenance(found.cbv)
    assert facts["Dose"] == "0.25"
    assert facts["Method"] == "noise-matched"
    assert facts["Checkpoint"] == "stunet.safetensors"
    assert facts["CheckpointSha256"] == fileDigest(shipped_checkpoint())
    assert len(facts["CheckpointSha256"]) == 64
    assert facts["InputName"] == "patient"
    assert facts["Version"]
    assert [provenance(node)["Role"] for node in (found.cbv, found.uncertainty, found.standardized)] == [
        "cbv",
        "uncertainty",
        "standardized",
    ]
    assert found.cbv.GetName() == "patient CBV at 25 % (stunet)"
    told = {provenance(node).get("UncertaintyIs") for node in (found.cbv, found.uncertainty)}
    assert told == {found.report["uncertainty_is"]}
    assert "standard deviation" in told.pop()
    assert found.report["settings"]["dose"] == 0.25


def test_results_lie_in_a_folder_beside_the_input(scene, perfusion, small_checkpoint):
    from StUNetPerfusionLib.scene.results import hierarchyOf

    node = add_series(scene)
    hierarchy = hierarchyOf(scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, node)

    found = perfusion.predict(node, 0.5, checkpoint=small_checkpoint, **FAST)
    reference = perfusion.computeReference(node, beside=found)

    title = "patient: CBV at 50 % (small)"
    for volume in (found.cbv, found.uncertainty, found.standardized, reference.cbv, reference.cbf, reference.mtt):
        assert hierarchy_path(scene, volume) == ["study", title, volume.GetName()]


def test_the_same_again_renews_and_another_dose_adds(scene, perfusion):
    node = add_series(scene)
    first = perfusion.computeReference(node)
    array(first.cbv)[:] = -1
    before = node_ids(scene)

    again = perfusion.computeReference(node)

    assert node_ids(scene) == before
    assert again.cbv is first.cbv
    assert array(again.cbv).max() > 0
    other = perfusion.computeReference(node, dose=0.5)
    assert other.cbv is not first.cbv
    assert other.folderItem != first.folderItem
    assert len([name for name in node_ids(scene) - before if "ScalarVolumeNode" in name]) == 3


def test_a_volume_that_was_removed_is_none(scene, perfusion):
    made = perfusion.computeReference(add_series(scene))
    scene.RemoveNode(made.mtt)
    assert made.mtt is None
    assert made.cbv is not None


def test_results_of_two_brain_masks_or_two_vessels_are_told_apart(scene, perfusion):
    """By what is in the masks, not by who drew them."""
    node = add_series(scene)
    brain = regions()["brain"]
    smaller = brain.copy()
    smaller[:1] = False
    vessels = np.zeros(brain.shape, bool)
    vessels[1, 18:20, 16:18] = True
    masks = {"mask": brain}, {"mask": smaller}, {"aif": vessels}, {"aif": np.roll(vessels, 2, axis=1)}, {}
    made = [perfusion.computeReference(node, **chosen).cbv for chosen in masks]
    assert len({volume.GetID() for volume in made}) == len(masks)
    told = [volume.GetAttribute("StUNetPerfusion.BrainMaskSha256") for volume in made]
    assert len(set(told[:2])) == 2
    assert told[2:] == [None] * 3
    told = [volume.GetAttribute("StUNetPerfusion.AifSha256") for volume in made]
    assert len(set(told[2:4])) == 2
    assert told[:2] == [None] * 2
    assert perfusion.computeReference(node, mask=brain.copy()).cbv is made[0]
    names = [volume.GetName() for volume in made]
    assert names == [f"patient reference CBV at 100 %{number}" for number in ("", " #2", " #3", " #4", " #5")]
    assert [hierarchy_path(scene, volume)[-2] for volume in made] == [
        f"patient: reference at 100 %{number}" for number in ("", " #2", " #3", " #4", " #5")
    ]


def test_a_result_is_named_after_the_file_of_its_checkpoint(scene, perfusion, small_checkpoint):
    found = perfusion.predict(add_series(scene), 0.25, checkpoint=small_checkpoint, **FAST)
    assert found.cbv.GetName() == f"patient CBV at 25 % ({small_checkpoint.stem})"


def test_maps_share_our_colors_and_zero_is_black(scene, perfusion, small_checkpoint):
    from StUNetPerfusionLib.scene.colors import CBV_COLORS

    node = add_series(scene)
    predicted = perfusion.predict(node, 0.5, checkpoint=small_checkpoint, **FAST)
    reference = perfusion.computeReference(node)
    colors = predicted.cbv.GetDisplayNode().GetColorNode()
    assert colors.GetName() == CBV_COLORS
    assert reference.cbv.GetDisplayNode().GetColorNode() is colors
    lowest = predicted.cbv.GetDisplayNode().GetWindowLevelMin()
    assert lowest == pytest.approx(0, abs=1e-9)
    brain = array(predicted.cbv) != 0
    assert predicted.cbv.GetDisplayNode().GetWindowLevelMax() == pytest.approx(
        np.percentile(array(predicted.cbv)[brain], 99), rel=1e-3
    )
    color = [1.0] * 4
    colors.GetColor(0, color)
    assert color[:3] == [0, 0, 0]


def test_all_or_nothing(scene):
    """The third volume fails: the first two, their looks and their folder go again."""
    from StUNetPerfusionLib.scene.results import (
        Found,
        ResultImage,
        hierarchyOf,
        placeResults,
    )

    def fails(node):
        raise RuntimeError("no looks")

    node = add_series(scene)
    hierarchyOf(scene).CreateItem(hierarchyOf(scene).GetSceneItemID(), node)
    before, items = node_ids(scene), hierarchyOf(scene).GetNumberOfItems()
    grid = oblique_grid(SHAPE)
    images = [
        ResultImage(role, role, np.ones(SHAPE, np.float32), "", show)
        for role, show in (("a", lambda n: n.CreateDefaultDisplayNodes()), ("b", lambda n: None), ("c", fails))
    ]
    with pytest.raises(RuntimeError, match="no looks"):
        placeResults(node, Found("folder", images, grid, {}))
    assert node_ids(scene) == before
    assert hierarchyOf(scene).GetNumberOfItems() == items
    wrong = ResultImage("a", "a", np.ones((2, 2, 2), np.float32), "", lambda n: None)
    with pytest.raises(ValueError, match="shape"):
        placeResults(node, Found("folder", [wrong], grid, {}))
    assert node_ids(scene) == before


def test_what_cannot_be_used_is_said_before_anything_is_added(scene, perfusion):
    node = add_series(scene)
    before = node_ids(scene)
    for arguments, sentence in (
        ({"dose": 1.5}, "dose: 1.5 is not in"),
        ({"checkpoint": "/nowhere/x.safetensors"}, "does not exist"),
        ({"dropFrames": 39}, "39 of 40 frames cannot be left out"),
        ({"aif": "somewhere"}, "AIF: cannot come from 'somewhere'"),
        ({"device": "cuda:77"}, "cuda:77"),
    ):
        with pytest.raises(InputError, match=sentence):
            perfusion.predict(node, **{"device": "cpu", "stride": 8, **arguments})
    assert node_ids(scene) == before


def test_vessels_and_points_give_the_arterial_input(scene, perfusion):
    from StUNetPerfusionLib.process.computations import aifChoice

    node = add_series(scene)
    vessels = np.zeros(SHAPE, bool)
    vessels[1, 18:22, 10] = True
    segmentation = add_regions(scene, {"vessels": vessels})
    grid = oblique_grid(SHAPE)

    drawn = perfusion.arterialInput(node, aif=(segmentation, "vessels"))
    choice = aifChoice((segmentation, "vessels"), grid)
    assert choice.facts()["Aif"] == "segment vessels", "by its name, and by what is in it"

    np.testing.assert_array_equal(drawn.voxels, vessels)
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    for row in range(18, 22):
        points.AddControlPoint(*(grid.ijk_to_ras @ [10, row, 1, 1])[:3])
    placed = perfusion.arterialInput(node, aif=points)
    np.testing.assert_array_equal(placed.voxels, vessels)
    np.testing.assert_allclose(placed.curve, drawn.curve, rtol=1e-6)
    points.AddControlPoint(900, 900, 900)
    with pytest.raises(InputError, match="point 5 lies outside of the series"):
        perfusion.arterialInput(node, aif=points)


def test_the_worker_lowers_the_dose_as_we_do(scene, perfusion):
    from StUNetPerfusionLib.scene.sequenceSeries import seriesFromSequence

    node = add_series(scene, noisy_series(unsteady_frames=2))
    here = seriesFromSequence(perfusion.simulateDose(node, 0.5, "noise-matched", seed=5))
    there = seriesFromSequence(perfusion.lowDose(node, 0.5, "noise-matched", seed=5))
    np.testing.assert_array_equal(there.signal, here.signal)
    np.testing.assert_allclose(there.times, here.times)
    assert there.echo_time == here.echo_time


def test_a_preview_comes_in_two_rounds_and_adds_nothing(scene, perfusion, small_checkpoint):
    node = add_series(scene)
    before, parts = node_ids(scene), []

    run = perfusion.preview(node, [1, 2], 0.5, "noise-matched", small_checkpoint, "cpu", onPart=parts.append)
    run.wait()

    assert [(part.stage, part.slice) for part in parts] == [("first", 1), ("first", 2), ("exact", 1), ("exact", 2)]
    exact = {part.slice: part for part in parts if part.stage == "exact"}
    from science.synthetic import head_of

    for z, part in exact.items():
        assert part.cbv.shape == SHAPE[1:]
        inside = head_of(SHAPE)[z] & (part.cbv != 0)
        assert inside.sum() > 300
        assert np.corrcoef(part.cbv[inside], part.closedForm[inside])[0, 1] > 0.5
    assert node_ids(scene) == before


def test_a_newer_preview_ends_the_older_one(scene, perfusion, small_checkpoint):
    node = add_series(scene)
    perfusion.openInput(node)
    older = perfusion.preview(node, [0, 1, 2, 3], checkpoint=small_checkpoint, device="cpu")
    newer = perfusion.preview(node, [1], checkpoint=small_checkpoint, device="cpu")
    newer.wait()
    assert (older.state, newer.state) == ("cancelled", "done")
