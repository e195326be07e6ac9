"""Section "Numbers": the table of a result."""

from __future__ import annotations

import qt

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.drawnRegions import REGIONS, drawnRegions, regionsKey
from StUNetPerfusionLib.panel.panelRuns import PanelRuns
from StUNetPerfusionLib.panel.resultLookup import resultWith

#: Size of the table's letters, of that of others: nine columns are to find room in a panel.
_FONT_SHARE = 0.9

#: Pixels that a column has at least; Slicer gives each one more than our numbers need.
_NARROWEST = 30


class NumbersSection:
    """Shows the table, and keeps its numbers those of the regions that are drawn.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param runs: does what takes time
    """

    def __init__(self, ui, case: ChosenCase, runs: PanelRuns) -> None:
        self._ui = ui
        self._case = case
        self._runs = runs
        self._run = None
        view = ui.numbersTableView
        view.verticalHeader().hide()
        font = view.font
        font.setPointSizeF(_FONT_SHARE * font.pointSizeF())
        view.setFont(font)
        view.horizontalHeader().setFont(font)

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
            self._fitTable()

    def _fitTable(self) -> None:
        """All columns as narrow as they can be, and the names of the regions in what is left of the panel."""
        view = self._ui.numbersTableView
        view.resizeColumnsToContents()
        header = view.horizontalHeader()
        header.setMinimumSectionSize(_NARROWEST)
        for column in range(header.count()):
            header.setSectionResizeMode(
                column, qt.QHeaderView.Stretch if column == 0 else qt.QHeaderView.ResizeToContents
            )

    def refresh(self) -> None:
        """Take the numbers of the shown result anew where its regions are not those that are drawn now."""
        case, table = self._case, self.tableNode
        if table is None or self._run is not None or case.opened is None or case.parameters.segmentation is None:
            return  # numbers of a saved scene stay, where their segmentation has not come along
        result, key = resultWith(case), regionsKey(case)
        if result is None or result.table is not table or result.reference is None:
            return
        if table.GetAttribute(REGIONS) == key:
            return
        run = self._runs.start(
            lambda: self._runs.logic.compare(
                result.cbv, result.reference, tableNode=table, waitForCompletion=False, **drawnRegions(case)
            )
        )
        if run is not None:
            self._run = run
            run.onFinished = lambda run: self._onRefreshed(run, table, key)

    def _onRefreshed(self, run, table, key: str) -> None:
        self._run = None
        if run.result is None:
            self._runs.say(run.sentence, error=run.state == "failed")
            return
        table.SetAttribute(REGIONS, key)
        if self.tableNode is table:
            self.show(table)
        if self._case.parameters is not None:
            self.refresh()  # somebody may have drawn on meanwhile
