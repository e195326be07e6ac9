"""The 3D Slicer module: description, panel, logic and self test. What they do is in StUNetPerfusionLib."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from StUNetPerfusionLib.logic import PerfusionLogic
from StUNetPerfusionLib.scene.openSeries import PerfusionFileReader


class StUNetPerfusion(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("StUNet Perfusion")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = []
        parent.contributors = ["StUNetPerfusion maintainers"]
        parent.helpText = _(
            "Cerebral blood volume maps from full- and low-dose DSC perfusion MRI, predicted by the spatio-temporal"
            " U-Net (stU-Net) and computed by deconvolution as the reference."
            " Research use only: not for diagnosis."
            ' See the <a href="https://github.com/StUNetPerfusion/SlicerStUNetPerfusion">documentation</a>.'
        )
        parent.acknowledgementText = _(
            "Implements J. Veron Vialard, M.-M. Rohé, P. Robert, F. Nicolas, A. Bône: Going beyond voxel-wise"
            " deconvolution in perfusion MRI: learning and leveraging spatio-temporal regularities with the stU-Net,"
            " 2021, HAL hal-03128610."
        )
        # The module Sample Data may be loaded later than this one.
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        """All modules are there: offer the sample in the module Sample Data, and know the layout of saved scenes."""
        from StUNetPerfusionLib.process.sampleData import registerSample
        from StUNetPerfusionLib.scene.layout import registerLayout

        registerSample(StUNetPerfusionLogic)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:  # there is none without a main window
            registerLayout(layoutManager.layoutLogic().GetLayoutNode())


class StUNetPerfusionWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel. What it does is in StUNetPerfusionLib.panel; here it is only tied to the application and the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._guiTag = None
        self._stop = None

    def setup(self):
        """Called once, when the user opens the module for the first time."""
        import qt

        from StUNetPerfusionLib.panel.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/StUNetPerfusion.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = StUNetPerfusionLogic()
        self.panel = Panel(self.ui, self.logic, self)
        scene = slicer.mrmlScene
        for event in (scene.StartCloseEvent, scene.StartImportEvent):
            self.addObserver(scene, event, self.onSceneStartsToChange)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self.onSceneHasChanged)
        self._stop = self.logic.stop  # the one object by which it can be disconnected again
        slicer.app.connect("aboutToQuit()", self._stop)
        self.initializeParameterNode()
        # The worker starts when the panel is on screen already.
        qt.QTimer.singleShot(0, self.panel.model.lookAtEnvironment)

    def cleanup(self):
        """Called when the application closes, or the module is reloaded."""
        if self.panel is None:
            return
        self.setParameterNode(None)
        self.removeObservers()
        self.panel.stop()
        slicer.app.disconnect("aboutToQuit()", self._stop)

    def enter(self):
        """Called each time the user comes to this module."""
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self):
        """Called each time the user goes to another module; what runs goes on, and the layout stays as it is."""
        self.panel.leave()

    def onSceneStartsToChange(self, caller, event):
        """The scene is closed, or one is read from a file: nodes go, or come one after the other."""
        self.setParameterNode(None)

    def onSceneHasChanged(self, caller, event):
        """All nodes are there: show what the scene holds where the panel is seen."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Show the parameters of this scene."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameters):
        """Connect the widgets to a parameter node, or let go of the one that they are connected to."""
        if self._parameterNode is not None:
            if parameters is not None and parameters.parameterNode is self._parameterNode.parameterNode:
                return
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = parameters
        if parameters is not None:
            self._guiTag = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self.panel.setParameters(parameters)

    def onModified(self, caller, event):
        """A parameter has changed."""
        self.panel.parametersChanged()


class StUNetPerfusionLogic(PerfusionLogic, ScriptedLoadableModuleLogic):
    """What scripts can call without the panel; it is all in StUNetPerfusionLib.logic."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleLogic.__init__(self, parent)
        PerfusionLogic.__init__(self)

    def getParameterNode(self):
        """What the user chose in this scene."""
        from StUNetPerfusionLib.parameterNode import PerfusionParameters

        return PerfusionParameters(ScriptedLoadableModuleLogic.getParameterNode(self))


class StUNetPerfusionFileReader(PerfusionFileReader):
    """Opens 4-D files as sequences (File > Add Data); Slicer finds it by its name."""


class StUNetPerfusionTest(ScriptedLoadableModuleTest):
    """Runs in the application, through the panel as a user would. What it asserts is in StUNetPerfusionLib.selfTest."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        from StUNetPerfusionLib import selfTest

        self.setUp()
        for test in selfTest.TESTS:
            self.delayDisplay(test.__name__)
            test()
