"""How maps look: one color table of ours whose zero is black, one window for what is compared, a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer

from stunet_perfusion.support.colormap import perfusion_colors
from StUNetPerfusionLib.translation import tr as _

#: Names of the color nodes, by which they are found again in a scene that was saved.
CBV_COLORS = "CBV (StUNetPerfusion)"
DIFFERENCE_COLORS = "Difference (StUNetPerfusion)"

#: Single vessel voxels must not decide how bright the brain is.
_BRIGHTEST_PERCENTILE = 99.0

_COLORS = 256


def colorNode(scene):
    """The color node of maps: black is 0, then blue, green, yellow, red. One in a scene.

    :returns: vtkMRMLColorTableNode
    """
    return _singleton(scene, CBV_COLORS, perfusion_colors())


def differenceColorNode(scene):
    """The color node of differences: black is 0 in the middle, blue is less, red is more. One in a scene.

    :returns: vtkMRMLColorTableNode
    """
    ramp = np.linspace(-1, 1, _COLORS)[:, None]
    less, more = np.array([0.35, 0.7, 1.0]), np.array([1.0, 0.55, 0.25])
    return _singleton(scene, DIFFERENCE_COLORS, np.where(ramp < 0, -ramp * less, ramp * more))


def windowAndLevel(values: np.ndarray, brain: np.ndarray | None = None) -> tuple[float, float]:
    """Window and level from 0 to what 99 % of the brain stay below.

    :param values: (Z, Y, X)
    :param brain: (Z, Y, X) bool, or None to take all voxels that are not 0
    :returns: window and level, in the unit of the values; 1 and 0.5 where nothing is above 0
    """
    inside = values[values != 0] if brain is None else values[brain]
    brightest = float(np.percentile(inside, _BRIGHTEST_PERCENTILE)) if inside.size else 0.0
    if not (np.isfinite(brightest) and brightest > 0):
        brightest = 1.0
    return brightest, brightest / 2


def showMap(volumeNode, window: float, level: float, colors) -> None:
    """Give a volume its color table and a fixed window.

    :param volumeNode: vtkMRMLScalarVolumeNode; gets a display node where it has none
    :param colors: vtkMRMLColorTableNode
    """
    volumeNode.CreateDefaultDisplayNodes()
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevel(window, level)
    displayNode.SetAndObserveColorNodeID(colors.GetID())
    # Nearest-neighbor: what is seen are the voxels that were computed.
    displayNode.SetInterpolate(False)


def shareWindow(volumeNodes: Sequence, brain: np.ndarray | None = None) -> tuple[float, float]:
    """Give several maps of the same quantity one window, that of the first of them.

    :param volumeNodes: vtkMRMLScalarVolumeNodes with display nodes
    :returns: window and level
    """
    window, level = windowAndLevel(slicer.util.arrayFromVolume(volumeNodes[0]), brain)
    for volumeNode in volumeNodes:
        volumeNode.CreateDefaultDisplayNodes()
        volumeNode.GetDisplayNode().SetAutoWindowLevel(False)
        volumeNode.GetDisplayNode().SetWindowLevel(window, level)
    return window, level


def showDifference(volumeNode, window: float) -> None:
    """Show a difference with 0 in the middle: black.

    :param window: of the maps that were subtracted; half of it makes full color
    """
    showMap(volumeNode, window, 0.0, differenceColorNode(volumeNode.GetScene()))


def addLegend(volumeNode, title: str):
    """Show a color legend beside a map.

    :param title: above the colors: quantity and unit
    :returns: vtkMRMLColorLegendDisplayNode, the same one each time
    """
    displayNode = volumeNode.GetDisplayNode()
    legend = _legendOf(volumeNode)
    if legend is None:
        legend = volumeNode.GetScene().AddNewNodeByClass(
            "vtkMRMLColorLegendDisplayNode", _("{name} legend").format(name=volumeNode.GetName())
        )
        volumeNode.AddAndObserveDisplayNodeID(legend.GetID())
    legend.SetAndObservePrimaryDisplayNode(displayNode)
    legend.SetAndObserveColorNodeID(displayNode.GetColorNodeID())
    legend.SetTitleText(title)
    # As many characters in each: the application makes letters as large as the longest label allows.
    legend.SetLabelFormat("%6.3g")
    legend.SetNumberOfLabels(5)
    legend.SetMaxNumberOfColors(_COLORS)
    legend.SetVisibility(True)
    legend.Modified()  # Slicer shows a legend of a scene that was read only once it is told of a change
    return legend


def refreshLegends(scene) -> None:
    """Let each view show the legends of the volumes that are in it, and no others.

    Slicer looks at it anew only once a legend says that it has changed.
    """
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode", scene):
        legend.Modified()


def _legendOf(volumeNode):
    for position in range(volumeNode.GetNumberOfDisplayNodes()):
        displayNode = volumeNode.GetNthDisplayNode(position)
        if displayNode is not None and displayNode.IsA("vtkMRMLColorLegendDisplayNode"):
            return displayNode
    return None


def _singleton(scene, name: str, colors: np.ndarray):
    """The color node of a name; made where the scene has none.

    :param colors: (256, 3) red, green, blue from 0 to 1
    """
    found = scene.GetFirstNode(name, "vtkMRMLColorTableNode")
    if found is not None:
        return found
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(name)
    node.SetTypeToUser()
    node.SetNumberOfColors(len(colors))
    for index, (red, green, blue) in enumerate(colors):
        node.SetColor(index, str(index), float(red), float(green), float(blue), 1.0)
    node.GetLookupTable().SetTableRange(0, len(colors) - 1)
    node.SetHideFromEditors(False)
    return scene.AddNode(node)
