"""The 3D Slicer module: description, panel, logic and self test. What they do is in StUNetPerfusionLib."""

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


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


class StUNetPerfusionWidget(ScriptedLoadableModuleWidget):
    """The panel. So far it only says where the work is done."""

    def setup(self):
        import qt

        ScriptedLoadableModuleWidget.setup(self)
        label = qt.QLabel(
            _(
                "Maps are computed on the command line for now: stunet-perfusion --help."
                " Research use only: not for diagnosis."
            )
        )
        label.wordWrap = True
        self.layout.addWidget(label)
        self.layout.addStretch(1)


class StUNetPerfusionLogic(ScriptedLoadableModuleLogic):
    """What scripts can call without the panel."""

    def simulateDose(
        self, inputSequence, dose, method="equation1", seed=0, dropFrames="auto", echoTime=None, frameInterval=None
    ):
        """Add a sequence that shows a DSC series at a lower contrast dose.

        :param inputSequence: vtkMRMLSequenceNode of the full-dose series; it is not changed
        :param dose: share of the dose that is kept, above 0 and at most 1
        :param method: "equation1", as in the paper, or "noise-matched"
        :param seed: of the noise that "noise-matched" adds
        :param dropFrames: number of first frames that are not in steady state and pass unchanged, or "auto"
        :param echoTime: TE in seconds, or None to take what the node says
        :param frameInterval: seconds between frames, or None to take what the node says
        :returns: vtkMRMLSequenceNode with all frames and times of the input
        :raises InputError: a series or a dose that cannot be used, in one sentence for the user
        """
        from stunet_perfusion.dose import check_dose, simulate_dose
        from stunet_perfusion.preparation import prepare
        from StUNetPerfusionLib.sequenceSeries import sequenceFromSeries, seriesFromSequence

        check_dose(dose, method)
        series = seriesFromSequence(inputSequence, echoTime, frameInterval)
        prepared = prepare(series, drop_frames=dropFrames)
        # The steady frames share the memory of the copied series: written over, they are the low-dose series.
        simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed, in_place=True)
        name = _("{name} at {percent:g} % dose").format(name=inputSequence.GetName(), percent=100 * dose)
        return sequenceFromSeries(series, inputSequence.GetScene(), name)


class StUNetPerfusionTest(ScriptedLoadableModuleTest):
    """Runs in the application: a small head through the logic."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_halfDoseHalvesTheBolus()

    def test_halfDoseHalvesTheBolus(self):
        from stunet_perfusion.series import DscSeries, Grid
        from StUNetPerfusionLib.sequenceSeries import sequenceFromSeries, seriesFromSequence

        times = 1.5 * np.arange(40)
        passage = np.clip((times - 15) / 5, 0, None)
        relaxation = 20 * (passage * np.exp(1 - passage)) ** 3
        k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in (3, 32, 32)), indexing="ij")
        head = 600.0 * (i**2 + j**2 + (k / 2) ** 2 < 0.7)
        signal = (head * np.exp(-0.03 * relaxation)[:, None, None, None]).astype(np.float32)
        grid = Grid(head.shape, np.diag([2.0, 2.0, 5.0, 1.0]))
        full = sequenceFromSeries(DscSeries(signal, times, grid, 0.03), slicer.mrmlScene, "full dose")

        half = seriesFromSequence(StUNetPerfusionLogic().simulateDose(full, 0.5, "noise-matched"))

        measured = -np.log(half.signal[:, 1, 16, 16] / 600) / half.echo_time
        np.testing.assert_allclose(measured, relaxation / 2, atol=1e-3)
