"""Section "Numbers": the table of a result, and the ways out of the panel."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from StUNetPerfusionLib.panel.applying import resultWith
from StUNetPerfusionLib.panel.regions import REGIONS, drawnRegions, regionsKey
from StUNetPerfusionLib.statistics import asCsv
from StUNetPerfusionLib.translation import tr as _


class NumbersSection:
    """Shows the table, copies it, saves it, and writes the report.

    :param ui: the widgets of the panel
    :param panel: what the sections share
    """

    def __init__(self, ui, panel) -> None:
        self._ui = ui
        self._panel = panel
        self._run = None
        ui.copyButton.clicked.connect(self.onCopy)
        ui.exportButton.clicked.connect(self.onExport)
        ui.reportButton.clicked.connect(self.onReport)
        ui.dicomButton.clicked.connect(self.onDicom)

    @property
    def tableNode(self):
        """The vtkMRMLTableNode that is shown, or None."""
        return self._ui.numbersTableView.mrmlTableNode()

    def show(self, tableNode) -> None:
        """Show a table; None empties the section."""
        self._ui.numbersTableView.setMRMLTableNode(tableNode)
        self._ui.numbersTableView.visible = tableNode is not None
        self._ui.numbersLabel.visible = tableNode is None
        for button in (self._ui.copyButton, self._ui.exportButton, self._ui.reportButton, self._ui.dicomButton):
            button.enabled = tableNode is not None
        if tableNode is not None:
            self._ui.numbersTableView.setFirstRowLocked(True)
            self._ui.numbersTableView.resizeColumnsToContents()

    def refresh(self) -> None:
        """Take the numbers of the shown result anew where its regions are not those that are drawn now."""
        panel, table = self._panel, self.tableNode
        if table is None or self._run is not None or panel.opened is None or panel.parameters.segmentation is None:
            return  # numbers of a saved scene stay, where their segmentation has not come along
        result, key = resultWith(panel), regionsKey(panel)
        if result is None or result.table is not table or result.reference is None:
            return
        if table.GetAttribute(REGIONS) == key:
            return
        run = panel.start(
            lambda: panel.logic.compare(
                result.cbv, result.reference, tableNode=table, waitForCompletion=False, **drawnRegions(panel)
            )
        )
        if run is not None:
            self._run = run
            run.onFinished = lambda run: self._onRefreshed(run, table, key)

    def _onRefreshed(self, run, table, key: str) -> None:
        self._run = None
        if run.result is None:
            self._panel.say(run.sentence, error=run.state == "failed")
            return
        table.SetAttribute(REGIONS, key)
        if self.tableNode is table:
            self.show(table)
        if self._panel.parameters is not None:
            self.refresh()  # somebody may have drawn on meanwhile

    def onCopy(self) -> None:
        """Copy the table, tab-separated as spreadsheets take it."""
        qt.QApplication.clipboard().setText(asCsv(self.tableNode, "\t"))

    def onExport(self) -> None:
        """Save the table."""
        path = self._askForFile(_("Save the numbers"), "perfusion.csv", "CSV (*.csv)")
        if path:
            with self._panel.sayingWhatWentWrong():
                from stunet_perfusion.staged import staged_file

                with staged_file(Path(path)) as file:
                    file.write_text(asCsv(self.tableNode), encoding="utf-8")
                self._panel.say(_("Saved {path}.").format(path=path))

    def onReport(self) -> None:
        """Write the one-page report."""
        path = self._askForFile(_("Save the report"), "perfusion.pdf", "PDF (*.pdf);;PNG (*.png)")
        if path:
            with self._panel.sayingWhatWentWrong():
                self._panel.writeReport(Path(path))
                self._panel.say(_("Saved {path}.").format(path=path))

    def onDicom(self) -> None:
        """Ask for a folder, and whose series it was, and write the maps as DICOM."""
        title = _("Choose a new or empty folder for the DICOM files")
        output = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title)
        if not output:
            return
        question = _(
            "Take patient and study from the DICOM files of the series?\n\n"
            "Yes: choose their folder. No: the maps get a study of their own that names nobody."
        )
        source = None
        if slicer.util.confirmYesNoDisplay(question, _("Export as DICOM")):
            source = qt.QFileDialog.getExistingDirectory(
                slicer.util.mainWindow(), _("Choose the folder with the DICOM files of the series")
            )
            if not source:
                return
        self._panel.exportDicom(Path(output), Path(source) if source else None)

    def _askForFile(self, title: str, name: str, kinds: str) -> str:
        settings = slicer.app.userSettings()
        folder = settings.value("StUNetPerfusion/LastOutputFolder", qt.QDir.homePath())
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, str(Path(folder) / name), kinds)
        if path:
            settings.setValue("StUNetPerfusion/LastOutputFolder", str(Path(path).parent))
        return path
