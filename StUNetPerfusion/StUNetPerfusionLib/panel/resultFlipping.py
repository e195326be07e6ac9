"""Flipping between the maps that are shown and those of another result for the same series."""

from __future__ import annotations

from StUNetPerfusionLib.panel.numbersSection import NumbersSection
from StUNetPerfusionLib.panel.shownMaps import ShownMaps
from StUNetPerfusionLib.panel.viewsSection import ViewsSection


class ResultFlipping:
    """Lets the user see another result in the place of the one that is shown, and come back.

    :param ui: the widgets of the panel
    :param views: where the maps are seen
    :param numbers: where their numbers are seen
    """

    def __init__(self, ui, views: ViewsSection, numbers: NumbersSection) -> None:
        self._ui = ui
        self._views = views
        self._numbers = numbers
        self._others: list[ShownMaps] = []
        self._before: ShownMaps | None = None
        ui.flipButton.connect("toggled(bool)", self._onFlipped)
        ui.flipComboBox.connect("activated(int)", lambda index: self._onFlipped(ui.flipButton.checked))

    def offer(self, others: list[ShownMaps]) -> None:
        """Offer other results for the same series."""
        box, button = self._ui.flipComboBox, self._ui.flipButton
        self._others = others
        box.clear()
        for maps in others:
            box.addItem(maps.description or maps.label)
        button.enabled = bool(others)
        if not others and button.checked:
            button.checked = False

    def forget(self) -> None:
        """Other maps take the place of those that were flipped to: there is nothing to come back to."""
        self._before = None
        button = self._ui.flipButton
        wasBlocked = button.blockSignals(True)
        button.checked = False
        button.blockSignals(wasBlocked)

    def clear(self) -> None:
        """There are no maps any more."""
        self._before = None
        self.offer([])

    def _onFlipped(self, flipped: bool) -> None:
        index = self._ui.flipComboBox.currentIndex
        if flipped and 0 <= index < len(self._others) and self._others[index].alive:
            self._before = self._before or self._views.shownMaps
            self._show(self._others[index])
        elif not flipped and self._before is not None:
            before, self._before = self._before, None
            if before.alive:
                self._show(before)

    def _show(self, maps: ShownMaps) -> None:
        """Show maps, and the numbers that are theirs."""
        self._views.putMaps(maps)
        self._numbers.show(maps.table)
