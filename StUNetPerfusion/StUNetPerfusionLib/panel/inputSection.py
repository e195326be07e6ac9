"""Section "Input": the series, what was understood of it, and regions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import qt
import slicer

from stunet_perfusion.support.errors import InputError, StUNetPerfusionError
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.delayedObserver import MODIFIED_EVENTS, DelayedObserver
from StUNetPerfusionLib.panel.labelText import ERROR_COLOR, WARNING_COLOR, asLabel, asLines, say
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.parameterOptions import otherSegments, segmentChoice
from StUNetPerfusionLib.panel.qualityLights import asLights, asLightsToolTip
from StUNetPerfusionLib.scene.inputSeries import describeSeries, describeWarnings, inputFacts, qualityLights
from StUNetPerfusionLib.scene.masks import maskOfSegment
from StUNetPerfusionLib.scene.nodeFrames import isPerfusionInput
from StUNetPerfusionLib.scene.openSeries import openSeries
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Parameters that name a segment, and what such a segment's name contains when people name it.
REGIONS = {
    "brain": ("brain",),
    "tumor": ("tumor", "tumour", "lesion", "glio", "gbm", "metastas"),
    "whiteMatter": ("white", "nawm"),
    "vessel": ("vessel", "arter", "aif"),
}

#: Milliseconds after nodes came into the scene until the series among them are offered.
_OFFER_MS = 200

#: Share of a region that may lie outside of the brain without a word.
_TRACE = 0.05


class InputSection:
    """Lets the user choose a series and regions, and says what was understood.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: does what takes time
    :param observer: VTKObservationMixin
    """

    def __init__(self, ui, case: ChosenCase, runs: PanelRuns, observer) -> None:
        self._ui = ui
        self._case = case
        self._runs = runs
        self._segmentBoxes = {region: getattr(ui, f"{region}SegmentComboBox") for region in REGIONS}
        #: names of the segments by their IDs, as they were when regions were guessed
        self._named: dict[str, str] = {}
        scene = slicer.mrmlScene
        self._arrivals = DelayedObserver(observer, (scene.NodeAddedEvent,), _OFFER_MS, self._offerSeries)
        self._arrivals.follow([scene])
        # A sequence is often empty when it comes, and filled later.
        self._unsuited = DelayedObserver(observer, MODIFIED_EVENTS, _OFFER_MS, self._offerSeries)
        ui.openFileButton.clicked.connect(self.onOpenFile)
        ui.sampleButton.clicked.connect(self.onSample)
        for region, box in self._segmentBoxes.items():
            box.connect("activated(int)", lambda index, region=region: self._onSegmentChosen(region))

    def refresh(self) -> None:
        """Show what the parameters hold."""
        self._offerSeries()
        self._refreshSegments()
        if self._case.opened is not None:
            self.showUnderstood(self._case.opened)

    def showReading(self) -> None:
        """Say that the series is being looked at."""
        parameters = self._case.parameters
        try:
            facts = inputFacts(parameters.inputNode, **self._case.timingOptions())
        except StUNetPerfusionError as error:
            self.showError(inPanelWords(error))
            return
        say(self._ui.understoodLabel, asLabel(describeSeries(facts) + ". " + _("Looking for the bolus…")))

    def showNothing(self) -> None:
        """Say what to do first."""
        say(self._ui.understoodLabel, _("Choose a series, open a file, or try the sample."))

    def showUnderstood(self, opened) -> None:
        """Say what was understood, and what is odd."""
        warnings = (*describeWarnings(opened.facts, opened), *self._outsideOfTheBrain(opened))
        lights = qualityLights(opened)
        self._ui.understoodLabel.toolTip = asLightsToolTip(lights)
        say(
            self._ui.understoodLabel,
            asLines(
                asLabel(describeSeries(opened.facts, opened)),
                *([asLights(lights)] if lights else ()),
                *(asLabel(text, WARNING_COLOR) for text in warnings),
            ),
        )

    def showError(self, sentence: str) -> None:
        """Say why the series cannot be used."""
        say(self._ui.understoodLabel, asLabel(sentence, ERROR_COLOR))

    def onOpenFile(self) -> None:
        """Ask for a file and open it as a sequence; one file of a DICOM series stands for all of its folder."""
        settings = slicer.app.userSettings()
        folder = settings.value("StUNetPerfusion/LastFolder", "")
        path = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(),
            _("Open a DSC series"),
            folder,
            _("DSC series") + " (*.nii *.nii.gz *.nrrd *.nhdr *.dcm *.ima *.IMA *.DCM);;" + _("All files") + " (*)",
        )
        if path:
            settings.setValue("StUNetPerfusion/LastFolder", str(Path(path).parent))
            self.openFile(path)

    def openFile(self, path: str) -> None:
        """Open a file as a sequence and choose it."""
        with self._runs.sayingWhatWentWrong(self.showError):
            with slicer.util.WaitCursor():
                sequenceNode = openSeries(path, slicer.mrmlScene)
            self._case.parameters.inputNode = sequenceNode

    def onSample(self) -> None:
        """Make the sample and choose it, with its regions."""
        say(self._ui.understoodLabel, _("Making the sample: a simulated head with a tumor…"))
        run = self._runs.start(lambda: self._runs.logic.addSample(waitForCompletion=False))
        if run is not None:
            run.onFinished = self._onSampleMade

    def _onSampleMade(self, run) -> None:
        if run.result is None:
            self.showError(run.sentence)
            return
        parameters = self._case.parameters
        with slicer.util.NodeModify(parameters.parameterNode):
            parameters.segmentation = run.result.segmentation
            self._named = {}
            self._guessRegions()
            parameters.inputNode = run.result.sequence

    def _refreshSegments(self) -> None:
        parameters = self._case.parameters
        segmentation = parameters.segmentation
        none = {"brain": _("found automatically")}
        for region, box in self._segmentBoxes.items():
            chosen = getattr(parameters, f"{region}Segment")
            wasBlocked = box.blockSignals(True)
            box.clear()
            box.addItem(none.get(region, _("none")), "")
            if segmentation is not None:
                segments = segmentation.GetSegmentation()
                for n in range(segments.GetNumberOfSegments()):
                    segment = segments.GetNthSegment(n)
                    box.addItem(segment.GetName(), segments.GetNthSegmentID(n))
            box.currentIndex = max(box.findData(chosen), 0)
            box.enabled = segmentation is not None
            box.blockSignals(wasBlocked)

    def onSegmentationChanged(self) -> None:
        """Another segmentation was chosen: guess which segment is which, and let the user correct it."""
        self._named = {}
        self._guessRegions()
        self._refreshSegments()

    def onSegmentsEdited(self) -> None:
        """Segments of the chosen segmentation were added, removed, named or drawn in."""
        self._guessRegions()
        self.refresh()

    def _guessRegions(self) -> None:
        """Give roles to segments that are new, or have a new name. What the user has chosen, none included, stays."""
        parameters = self._case.parameters
        segmentation = parameters.segmentation
        named = {}
        if segmentation is not None:
            segments = segmentation.GetSegmentation()
            named = {
                segments.GetNthSegmentID(n): segments.GetNthSegment(n).GetName().lower()
                for n in range(segments.GetNumberOfSegments())
            }
        new = {key: name for key, name in named.items() if self._named.get(key) != name}
        self._named = named
        for region, words in REGIONS.items():
            chosen = getattr(parameters, f"{region}Segment")
            if chosen in named:
                continue
            found = next((key for key, name in new.items() if any(word in name for word in words)), "")
            if found != chosen:
                setattr(parameters, f"{region}Segment", found)

    def _outsideOfTheBrain(self, opened) -> list[str]:
        """A sentence for each region of which more than a trace lies where nothing is computed."""
        told = []
        parameters = self._case.parameters
        chosen = [segmentChoice(parameters, region) for region in ("tumor", "whiteMatter")]
        for segmentation, segmentId in [*filter(None, chosen), *otherSegments(parameters).values()]:
            with suppress(InputError):  # a segment that nobody has drawn in yet
                mask = maskOfSegment(segmentation, segmentId, opened.series.grid)
                outside = 1 - np.count_nonzero(mask & opened.brain) / np.count_nonzero(mask)
                if outside > _TRACE:
                    name = segmentation.GetSegmentation().GetSegment(segmentId).GetName()
                    told.append(
                        _(
                            "{percent:.0f} % of '{name}' lies outside the brain mask, where no map is computed."
                            " In the Segment Editor, set 'Modify other segments' to 'Allow overlap', so that"
                            " drawing a region does not cut it out of the brain."
                        ).format(percent=100 * outside, name=name)
                    )
        return told

    def _offerSeries(self) -> None:
        """Offer only what can be a perfusion series, and what is chosen, so that its error can be read."""
        if self._case.parameters is None:
            return
        chosen = self._case.parameters.inputNode
        kinds = ("vtkMRMLSequenceNode", "vtkMRMLMultiVolumeNode")
        nodes = [node for kind in kinds for node in slicer.util.getNodesByClass(kind)]
        unsuited = [node for node in nodes if node is not chosen and not isPerfusionInput(node)]
        self._unsuited.follow(unsuited)
        offered = self._ui.inputSelector.sortFilterProxyModel()
        hidden = [node.GetID() for node in unsuited]
        if list(offered.hiddenNodeIDs) != hidden:
            offered.hiddenNodeIDs = hidden

    def _onSegmentChosen(self, region: str) -> None:
        box = self._segmentBoxes[region]
        setattr(self._case.parameters, f"{region}Segment", str(box.itemData(box.currentIndex) or ""))
