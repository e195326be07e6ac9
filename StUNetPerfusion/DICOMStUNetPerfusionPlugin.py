"""The DICOM plugin: DSC series of every scanner's habit as sequences. What it does is in StUNetPerfusionLib."""

import slicer
from DICOMLib import DICOMLoadable, DICOMPlugin
from slicer.i18n import tr as _

from StUNetPerfusionLib.scene import dicomSeries


class DICOMStUNetPerfusionPluginClass(DICOMPlugin):
    """What the DICOM browser asks: which series are DSC series, and what becomes of one."""

    def __init__(self):
        super().__init__()
        self.loadType = _("DSC perfusion series")

    def examineForImport(self, fileLists):
        """A loadable for every list of files that is a DSC series."""
        return [loadable for files in fileLists for loadable in self.examineFiles(files)]

    def examineFiles(self, files):
        """A loadable, or none."""
        series = dicomSeries.examine(files)
        if series is None:
            return []
        loadable = DICOMLoadable()
        loadable.files = list(series.files)
        loadable.name = series.name
        loadable.tooltip = _("{frames} frames as a sequence, with their real times").format(frames=series.frames)
        loadable.confidence = series.confidence
        loadable.selected = series.confidence > 0.5
        return [loadable]

    def load(self, loadable):
        """Add the series to the scene as a sequence; False where it cannot be used, which is told."""
        from stunet_perfusion.support.errors import StUNetPerfusionError
        from StUNetPerfusionLib.settingNames import inPanelWords

        series = dicomSeries.DicomSeries(loadable.name, tuple(loadable.files), 0, loadable.confidence)
        try:
            sequenceNode = dicomSeries.load(series)
        except StUNetPerfusionError as error:
            slicer.util.errorDisplay(inPanelWords(error))
            return False
        self.addSeriesInSubjectHierarchy(loadable, sequenceNode)
        return sequenceNode


class DICOMStUNetPerfusionPlugin:
    """What Slicer shows about the plugin: nothing; it tells the DICOM browser that it is there."""

    def __init__(self, parent):
        parent.title = _("DICOM StUNet Perfusion Plugin")
        parent.categories = ["Developer Tools.DICOM Plugins"]
        parent.contributors = ["StUNetPerfusion maintainers"]
        parent.helpText = _("Loads DSC perfusion series of all scanners as sequences with their real times.")
        parent.acknowledgementText = ""
        parent.hidden = True
        if not hasattr(slicer.modules, "dicomPlugins"):
            slicer.modules.dicomPlugins = {}
        slicer.modules.dicomPlugins["DICOMStUNetPerfusionPlugin"] = DICOMStUNetPerfusionPluginClass
