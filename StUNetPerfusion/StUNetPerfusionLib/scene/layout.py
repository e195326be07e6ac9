"""A layout of our own: the series and its curves above, three maps below, all slice views moving as one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer

from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume
from StUNetPerfusionLib.translation import tr as _

#: Far from the numbers that Slicer and other extensions take for their layouts.
LAYOUT_ID = 28734

SERIES_VIEW = "PerfusionSeries"
PREDICTION_VIEW = "PerfusionPrediction"
REFERENCE_VIEW = "PerfusionReference"
THIRD_VIEW = "PerfusionThird"
PLOT_VIEW = "PerfusionCurves"

#: Views that show a map.
MAP_VIEWS = (PREDICTION_VIEW, REFERENCE_VIEW, THIRD_VIEW)
SLICE_VIEWS = (SERIES_VIEW, *MAP_VIEWS)

#: What linked views may hand on, all bits set.
_ALL_FLAGS = 0xFFFFFFFF

#: Letters that find room on the handle of a view.
_LABEL_LETTERS = 14

#: Slice views of one group follow each other and leave those of other layouts alone.
_VIEW_GROUP = 28734


def viewLabels() -> dict[str, str]:
    """What the handles of the views say while nothing is in them."""
    return {SERIES_VIEW: _("DSC"), PREDICTION_VIEW: _("CBV"), REFERENCE_VIEW: _("Ref"), THIRD_VIEW: _("Difference")}


def layoutDescription() -> str:
    """The layout as Slicer's layout manager reads it."""
    colors = {SERIES_VIEW: "#8C8C8C", PREDICTION_VIEW: "#E07B39", REFERENCE_VIEW: "#3F8FBF", THIRD_VIEW: "#7A9E46"}
    labels = viewLabels()

    def sliceView(name: str) -> str:
        label, color = labels[name], colors[name]
        return (
            f'<item splitSize="500"><view class="vtkMRMLSliceNode" singletontag="{name}">'
            '<property name="orientation" action="default">Axial</property>'
            f'<property name="viewlabel" action="default">{label}</property>'
            f'<property name="viewcolor" action="default">{color}</property>'
            f'<property name="viewgroup" action="default">{_VIEW_GROUP}</property>'
            "</view></item>"
        )

    plotLabel = _("Curves")
    plotView = (
        f'<item splitSize="500"><view class="vtkMRMLPlotViewNode" singletontag="{PLOT_VIEW}">'
        f'<property name="viewlabel" action="default">{plotLabel}</property></view></item>'
    )
    return (
        '<layout type="vertical" split="true">'
        '<item splitSize="480"><layout type="horizontal" split="true">'
        f"{sliceView(SERIES_VIEW)}{plotView}</layout></item>"
        '<item splitSize="520"><layout type="horizontal" split="true">'
        f"{''.join(sliceView(name) for name in MAP_VIEWS)}</layout></item>"
        "</layout>"
    )


def registerLayout(layoutNode) -> None:
    """Make the layout known. Can be called again: a closed scene forgets it.

    :param layoutNode: vtkMRMLLayoutNode of the application
    """
    description = layoutDescription()
    if not layoutNode.SetLayoutDescription(LAYOUT_ID, description):
        layoutNode.AddLayoutDescription(LAYOUT_ID, description)


class SideBySide:
    """Shows our layout and the one that was there before. Other modules' layouts are never changed."""

    def __init__(self, layoutManager) -> None:
        self._layoutManager = layoutManager
        self._before: int | None = None
        # For each view the ID of the volume that was put into it, and what its handle says.
        self._put: dict[str, tuple[str | None, str]] = {}

    @property
    def shown(self) -> bool:
        """Whether our layout is on screen."""
        return self._layoutManager.layout == LAYOUT_ID

    def show(self) -> None:
        """Show our layout, and remember which one was shown."""
        registerLayout(self._layoutManager.layoutLogic().GetLayoutNode())
        if not self.shown:
            self._before = self._layoutManager.layout
            self._layoutManager.setLayout(LAYOUT_ID)
        elif self.sliceNode(SERIES_VIEW) is None:
            # A scene that was saved with this layout was read before anybody knew it.
            self._layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
            self._layoutManager.setLayout(LAYOUT_ID)

    def restore(self) -> None:
        """Show the layout that was there before ours."""
        if self.shown:
            # Slicer begins with number 0, which is no layout to go back to.
            self._layoutManager.setLayout(self._before or slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)

    def setVolume(self, viewName: str, volumeNode, label: str = "") -> None:
        """Put a volume into one view, without touching what lies over it.

        :param volumeNode: vtkMRMLVolumeNode, or None for an empty view
        :param label: what the view's handle says; by default what it said before
        """
        compositeNode = self._compositeNode(viewName)
        if compositeNode is None:
            return
        nodeId = volumeNode.GetID() if volumeNode is not None else None
        # The views move as one, and each keeps its own volume. When any volume is removed, a view may select its own
        # one again, and would hand it to all that are linked with it.
        compositeNode.SetInteractionFlagsModifier(_ALL_FLAGS & ~compositeNode.BackgroundVolumeFlag)
        if nodeId is None:
            label = viewLabels()[viewName]
        label = label or self._put.get(viewName, (None, ""))[1] or viewLabels()[viewName]
        self._put[viewName] = (nodeId, label)
        if compositeNode.GetBackgroundVolumeID() != nodeId:
            # An empty view has no slices but the one at 0, to which it would drag the views that are linked with it.
            compositeNode.SetLinkedControl(False)
            wasEmpty = compositeNode.GetBackgroundVolumeID() is None
            compositeNode.SetBackgroundVolumeID(nodeId)
            if wasEmpty and nodeId is not None and viewName != SERIES_VIEW:
                self._follow(viewName)
            compositeNode.SetHotLinkedControl(True)
            compositeNode.SetLinkedControl(nodeId is not None)
        self._label(viewName, label)

    def labelStrangers(self) -> None:
        """Let the handle of each view name the volume that somebody else has put there, or be as it was again."""
        for name, (nodeId, label) in self._put.items():
            shownId = self.volumeId(name)
            stranger = slicer.mrmlScene.GetNodeByID(shownId) if shownId and shownId != nodeId else None
            self._label(name, label if stranger is None else _shortened(stranger.GetName()))

    def compositeNodes(self) -> list:
        """The vtkMRMLSliceCompositeNodes of our views, as far as they were shown once."""
        return [node for node in map(self._compositeNode, SLICE_VIEWS) if node is not None]

    def _label(self, viewName: str, label: str) -> None:
        sliceNode = self.sliceNode(viewName)
        if sliceNode is not None and sliceNode.GetLayoutLabel() != label:
            sliceNode.SetLayoutLabel(label)

    def onChange(self, callback: Callable[[int], None]) -> None:
        """Call back with its number whenever another layout is shown, by whomever."""
        self._layoutManager.connect("layoutChanged(int)", callback)

    def volumeId(self, viewName: str) -> str | None:
        """The ID of the volume in one view, or None where it is empty."""
        compositeNode = self._compositeNode(viewName)
        return None if compositeNode is None else compositeNode.GetBackgroundVolumeID()

    def sliceNode(self, viewName: str):
        """The slice node of one of our views, or None while our layout was never shown."""
        widget = self._layoutManager.sliceWidget(viewName)
        return widget.mrmlSliceNode() if widget else None

    def showChart(self, chartNode) -> None:
        """Put time curves into the plot view."""
        for n in range(self._layoutManager.plotViewCount):
            viewNode = self._layoutManager.plotWidget(n).mrmlPlotViewNode()
            if viewNode.GetSingletonTag() == PLOT_VIEW:
                viewNode.SetPlotChartNodeID(chartNode.GetID() if chartNode is not None else None)

    def fit(self, volumeNode) -> None:
        """Turn the views into the volume's own planes and fill them with it.

        A series that was acquired obliquely is shown as it was acquired: one slice of the series in one plane.
        """
        ijkToRas = gridOfVolume(volumeNode).ijk_to_ras
        for name in SLICE_VIEWS:
            widget = self._layoutManager.sliceWidget(name)
            if widget is None:
                continue
            sliceNode = widget.mrmlSliceNode()
            # It keeps the axis that a view is nearest to: begin with the one along which the series was acquired.
            normal = np.abs(ijkToRas[:3, 2])
            sliceNode.SetOrientation(("Sagittal", "Coronal", "Axial")[int(normal.argmax())])
            sliceNode.RotateToVolumePlane(volumeNode)
            _nameOrientation(sliceNode)
            widget.sliceLogic().FitSliceToAll()
            widget.sliceLogic().SnapSliceOffsetToIJK()

    def jumpTo(self, ras) -> None:
        """Show the slice through a point, in all views.

        :param ras: (3,) mm, right-anterior-superior
        """
        for name in SLICE_VIEWS:
            sliceNode = self.sliceNode(name)
            if sliceNode is not None:
                sliceNode.JumpSliceByOffsetting(*(float(value) for value in ras))

    def _follow(self, viewName: str) -> None:
        """Let a view begin where the view of the series is."""
        widget = self._layoutManager.sliceWidget(viewName)
        sliceNode = widget.mrmlSliceNode()
        sliceNode.GetSliceToRAS().DeepCopy(self.sliceNode(SERIES_VIEW).GetSliceToRAS())
        sliceNode.UpdateMatrices()
        offset = sliceNode.GetSliceOffset()
        widget.sliceLogic().FitSliceToAll()
        sliceNode.SetSliceOffset(offset)

    def _compositeNode(self, viewName: str):
        widget = self._layoutManager.sliceWidget(viewName)
        return widget.mrmlSliceCompositeNode() if widget else None


def _shortened(name: str | None) -> str:
    """A volume's name as far as it finds room on a handle."""
    name = name or "?"
    return name if len(name) <= _LABEL_LETTERS else name[: _LABEL_LETTERS - 1].rstrip() + "…"


def _nameOrientation(sliceNode) -> None:
    """Give planes that are none of the patient's a name: Slicer reads those without one with an error message."""
    if sliceNode.GetOrientation() != slicer.vtkMRMLSliceNode.GetReformatOrientationName():
        return
    axes = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
    preset = slicer.util.vtkMatrixFromArray(axes / np.linalg.norm(axes, axis=0))
    sliceNode.AddSliceOrientationPreset(_("Acquired"), preset)
