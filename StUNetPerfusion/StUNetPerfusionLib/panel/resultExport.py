"""The ways out of the panel: numbers as text, the one-page report, maps as DICOM."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.modelSection import ModelSection
from StUNetPerfusionLib.panel.numbersSection import NumbersSection
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.resultLookup import resultWith, shownResult
from StUNetPerfusionLib.panel.runSection import RunSection
from StUNetPerfusionLib.panel.viewsSection import ViewsSection
from StUNetPerfusionLib.process.installing import installForExport
from StUNetPerfusionLib.scene.report import writeReport
from StUNetPerfusionLib.scene.results import RESULT
from StUNetPerfusionLib.scene.statistics import asCsv
from StUNetPerfusionLib.translation import tr as _


class ResultExport:
    """Copies and saves what the section "Numbers" shows.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: does what takes time
    :param status: shows what is under way
    :param views: where the maps are seen
    :param numbers: the table
    :param model: knows what is installed
    """

    def __init__(
        self,
        ui,
        case: ChosenCase,
        runs: PanelRuns,
        status: RunSection,
        views: ViewsSection,
        numbers: NumbersSection,
        model: ModelSection,
    ) -> None:
        self._case = case
        self._runs = runs
        self._status = status
        self._views = views
        self._numbers = numbers
        self._model = model
        ui.copyButton.clicked.connect(self.onCopy)
        ui.exportButton.clicked.connect(self.onExport)
        ui.reportButton.clicked.connect(self.onReport)
        ui.dicomButton.clicked.connect(self.onDicom)

    def onCopy(self) -> None:
        """Copy the table, tab-separated as spreadsheets take it."""
        qt.QApplication.clipboard().setText(asCsv(self._numbers.tableNode, "\t"))

    def onExport(self) -> None:
        """Save the table."""
        path = self._askForFile(_("Save the numbers"), "perfusion.csv", "CSV (*.csv)")
        if path:
            with self._runs.sayingWhatWentWrong():
                from stunet_perfusion.support.staged import staged_file

                with staged_file(Path(path)) as file:
                    file.write_text(asCsv(self._numbers.tableNode), encoding="utf-8")
                self._runs.say(_("Saved {path}.").format(path=path))

    def onReport(self) -> None:
        """Write the one-page report."""
        path = self._askForFile(_("Save the report"), "perfusion.pdf", "PDF (*.pdf);;PNG (*.png)")
        if path:
            with self._runs.sayingWhatWentWrong():
                self.writeReport(Path(path))
                self._runs.say(_("Saved {path}.").format(path=path))

    def onDicom(self) -> None:
        """Ask for a folder, and whose series it was, and write the maps as DICOM."""
        title = _("Choose a new or empty folder for the DICOM files")
        output = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title)
        if not output:
            return
        question = _(
            "Take patient and study from the DICOM files of the series?\n\n"
            "Yes: choose their folder. No: the maps are saved in a new study without a patient's name."
        )
        source = None
        if slicer.util.confirmYesNoDisplay(question, _("Export as DICOM")):
            source = qt.QFileDialog.getExistingDirectory(
                slicer.util.mainWindow(), _("Choose the folder with the DICOM files of the series")
            )
            if not source:
                return
        self.exportDicom(Path(output), Path(source) if source else None)

    def writeReport(self, path: Path) -> None:
        """Write the one-page report of what is shown.

        :raises InputError: there is no result for what is chosen
        """
        writeReport(path, self._result(_("Report")), slicer.app.layoutManager())

    def exportDicom(self, output: Path, source: Path | None) -> None:
        """Write what is shown as DICOM.

        :param output: a new or an empty folder
        :param source: folder with the DICOM files of the series, or None
        """
        with self._runs.sayingWhatWentWrong():
            if self._status.running:
                raise InputError(
                    _("DICOM export"), _("cannot begin during another computation"), _("wait until it has ended")
                )
            result = self._result(_("DICOM export"))
            if not self._model.hasPackage("highdicom"):
                if not installForExport():
                    return
                self._runs.logic.stop()  # the next worker sees what was installed
                self._model.lookAtEnvironment()
            nodes = {"prediction": result.cbv}
            if result.reference is not None and result.reference.GetAttribute(RESULT):
                nodes["reference"] = result.reference
            run = self._runs.start(lambda: self._runs.logic.exportDicom(nodes, output, source, waitForCompletion=False))
            if run is not None:
                self._status.begin(run)
                run.onFinished = lambda run: self._onDicomWritten(run, output)

    def _onDicomWritten(self, run, output: Path) -> None:
        sentence = run.sentence
        if run.state == "done":
            sentence = " ".join([_("Wrote DICOM to {folder}.").format(folder=output), *(run.result or [])])
        self._status.end(sentence, error=run.state == "failed")

    def _result(self, what: str):
        """:raises InputError: there is none"""
        result = shownResult(self._case, self._views.shownMaps) or resultWith(self._case)
        if result is None:
            raise InputError(what, _("needs a result for the present choices"), _("press Apply first"))
        return result

    def _askForFile(self, title: str, name: str, kinds: str) -> str:
        settings = slicer.app.userSettings()
        folder = settings.value("StUNetPerfusion/LastOutputFolder", qt.QDir.homePath())
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, str(Path(folder) / name), kinds)
        if path:
            settings.setValue("StUNetPerfusion/LastOutputFolder", str(Path(path).parent))
        return path
