"""What a radiologist sees: three views as PNG files, each pixel against the voxel and the color it should show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mrml.cases import FAST, SHAPE, add_series, noisy_series
from stunet_perfusion.support.colormap import perfusion_colors

SLICE = 2


@pytest.fixture
def result(scene, perfusion, small_checkpoint):
    return perfusion.apply(add_series(scene, noisy_series()), 0.5, "noise-matched", small_checkpoint, **FAST)


@pytest.fixture
def make_view(scene):
    """Makes slice views, and closes them before the scene goes."""
    from mrml.slice_view import SliceView

    views = []

    def make(name: str, size: tuple[int, int] = (240, 240)) -> SliceView:
        views.append(SliceView(scene, name, size))
        return views[-1]

    yield make
    for view in views:
        view.close()


def values_under(view, volume) -> tuple[np.ndarray, np.ndarray]:
    """By numpy alone.

    :returns: (height, width) value of the voxel that a pixel shows, 0 outside of the volume; and bool, where it is
        clear which voxel that is
    """
    import slicer

    ijk = view.voxels(volume)
    nearest = np.rint(ijk).astype(int)
    inside = ((nearest >= 0) & (nearest < SHAPE[::-1])).all(axis=-1)
    values = np.zeros(inside.shape)
    values[inside] = slicer.util.arrayFromVolume(volume)[tuple(nearest[inside][:, ::-1].T)]
    on_an_edge = np.abs(np.abs(ijk - nearest)[..., :2] - 0.5).min(axis=-1) < 0.05
    return values, ~on_an_edge


def colored(values: np.ndarray, volume, colors: np.ndarray) -> np.ndarray:
    """(height, width, 3) what the window of a volume and a color table (256, 3) make of values."""
    display = volume.GetDisplayNode()
    lowest, highest = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    index = np.clip((values - lowest) / (highest - lowest) * 255, 0, 255).astype(int)
    return np.rint(255 * colors[index])


def test_three_views_show_voxels_in_our_colors(scene, make_view, result, tmp_path):
    from StUNetPerfusionLib.scene.colors import differenceColorNode

    diverging, color = [], [0.0] * 4
    for index in range(256):
        differenceColorNode(scene).GetColor(index, color)
        diverging.append(color[:3])
    pictures, values, clear = {}, {}, {}
    for name, volume, colors in (
        ("prediction", result.cbv, perfusion_colors()),
        ("reference", result.reference, perfusion_colors()),
        ("difference", result.difference, np.array(diverging)),
    ):
        view = make_view(name)
        view.show(volume, SLICE)
        picture = pictures[name] = view.png(tmp_path / f"{name}.png").astype(int)
        values[name], clear[name] = values_under(view, volume)
        # One step of the color table may be lost or won by rounding.
        off = np.abs(picture - colored(values[name], volume, colors)).max(axis=-1)
        assert (off[clear[name]] <= 12).mean() > 0.999, name
        nothing = clear[name] & (values[name] == 0)
        assert nothing.sum() > 10_000
        assert picture[nothing].max() <= 3, f"{name}: zero is black"

    sure = clear["prediction"]
    window = result.cbv.GetDisplayNode().GetWindow()
    assert pictures["prediction"][sure & (values["prediction"] > 0.1 * window)].max(axis=-1).min() > 30
    more, less = (sure & (sign * values["difference"] > 0.1 * window) for sign in (1, -1))
    assert more.sum() + less.sum() > 300, "the two maps are not the same"
    apart = np.abs(pictures["prediction"] - pictures["reference"]).max(axis=-1)
    assert (apart[more | less] > 0).all(), "the maps differ where they must"
    red, blue = pictures["difference"][..., 0], pictures["difference"][..., 2]
    assert (red[more] > blue[more]).all(), "more is orange"
    assert (red[less] < blue[less]).all(), "less is blue"


def test_the_legend_is_seen(make_view, result, tmp_path):
    from StUNetPerfusionLib.scene.colors import addLegend

    view = make_view("legend", (300, 300))
    view.show(result.cbv, SLICE)
    without = view.png(tmp_path / "without.png")

    legend = addLegend(result.cbv, "CBV")

    shown = view.png(tmp_path / "with.png")
    changed = (shown != without).any(axis=-1)
    assert changed.sum() > 500
    assert changed[:, 200:].sum() == changed.sum(), "it stands on the right"
    # Its colors are those of the map, from black to red.
    bar = shown[changed].astype(int)
    for color in perfusion_colors()[[40, 120, 200, 250]] * 255:
        assert np.abs(bar - color).max(axis=1).min() < 12
    assert addLegend(result.cbv, "CBV") is legend


def test_linked_views_move_as_one_and_keep_their_own_volumes(scene, make_view, result):
    """When any volume is removed the application selects in a view what it shows, as a user would: no other view may
    take it."""
    import slicer

    from StUNetPerfusionLib.scene import layout

    views = {name: make_view(name) for name in layout.SLICE_VIEWS}
    for view in views.values():
        view.node.SetViewGroup(7)
    widgets = {
        name: SimpleNamespace(mrmlSliceNode=lambda v=view: v.node, sliceLogic=lambda v=view: v.logic)
        for name, view in views.items()
    }
    for name, widget in widgets.items():
        widget.mrmlSliceCompositeNode = views[name].logic.GetSliceCompositeNode
    side = layout.SideBySide(SimpleNamespace(sliceWidget=widgets.get))
    shown = (result.cbv, result.reference, result.difference, result.uncertainty)
    for name, volume in zip(layout.SLICE_VIEWS, shown, strict=True):
        side.setVolume(name, volume)
    link = slicer.vtkMRMLSliceLinkLogic()
    link.SetMRMLScene(scene)

    logic = views[layout.SERIES_VIEW].logic
    composite = logic.GetSliceCompositeNode()
    background = composite.BackgroundVolumeFlag
    logic.StartSliceCompositeNodeInteraction(background | composite.LabelVolumeFlag)
    composite.SetLabelVolumeID(result.uncertainty.GetID())
    composite.Modified()
    logic.EndSliceCompositeNodeInteraction()

    for name, volume in zip(layout.SLICE_VIEWS, shown, strict=True):
        assert side.volumeId(name) == volume.GetID(), name
        other = views[name].logic.GetSliceCompositeNode()
        assert other.GetLabelVolumeID() == result.uncertainty.GetID(), "what lies over it is handed on"
    link.SetMRMLScene(None)


def test_color_nodes_are_there_once(scene):
    from StUNetPerfusionLib.scene.colors import colorNode, differenceColorNode

    assert colorNode(scene) is colorNode(scene)
    assert differenceColorNode(scene) is not colorNode(scene)
    color = [1.0] * 4
    for index, expected in ((0, (0, 0, 0)), (255, tuple(perfusion_colors()[255]))):
        colorNode(scene).GetColor(index, color)
        assert tuple(color[:3]) == pytest.approx(expected, abs=1e-6)
    differenceColorNode(scene).GetColor(127, color)
    assert max(color[:3]) < 0.01, "no difference is black"


def test_the_window_goes_from_zero_to_the_brain(scene):
    from StUNetPerfusionLib.scene.colors import windowAndLevel

    brain = np.zeros((10, 10, 10), bool)
    brain[2:8] = True
    values = np.where(brain, np.linspace(0.5, 1.5, 1000).reshape(brain.shape), 0)
    values[5, 5, 5] = 1000
    window, level = windowAndLevel(values, brain)
    assert level - window / 2 == 0
    assert 1.2 < level + window / 2 < 1.5, "one bright voxel does not decide"
    assert windowAndLevel(np.zeros((2, 2, 2))) == (1.0, 0.5)


def test_a_sequence_is_browsed(scene):
    import slicer

    from StUNetPerfusionLib.scene.sequenceBrowser import showSequence

    series = noisy_series()
    node = add_series(scene, series)
    browser = showSequence(node)
    assert showSequence(node) is browser
    proxy = browser.GetProxyNode(node)
    browser.SetSelectedItemNumber(14)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(proxy), series.signal[14])
    slicer.util.arrayFromVolume(proxy)[:] = 0
    slicer.util.arrayFromVolumeModified(proxy)
    browser.SetSelectedItemNumber(3)
    browser.SetSelectedItemNumber(14)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(proxy), series.signal[14])
