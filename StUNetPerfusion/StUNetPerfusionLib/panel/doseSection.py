"""Section "Dose": the slider, and the series and curves that follow it while it moves."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer

from StUNetPerfusionLib.panel.chosenCase import ChosenCase
from StUNetPerfusionLib.panel.parameterOptions import doseOptions

#: Milliseconds after the last change of the dose before a preview is asked for, unless the slider is still held.
SETTLE_MS = 200


class DoseSection:
    """Lets the user choose a dose; everything cheap follows at once, a preview when the slider is let go.

    :param ui: the widgets of the panel
    :param case: what is chosen
    :param onDose: another dose is chosen, also while the slider moves
    :param onFrame: another frame is to be seen
    :param onSettled: the dose stays as it is for the moment
    """

    def __init__(
        self,
        ui,
        case: ChosenCase,
        onDose: Callable[[], None],
        onFrame: Callable[[], None],
        onSettled: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._case = case
        self._onDose, self._onFrame, self._onDoseSettled = onDose, onFrame, onSettled
        for button, percent in ((ui.doseFullButton, 100), (ui.doseHalfButton, 50), (ui.doseQuarterButton, 25)):
            button.clicked.connect(lambda *_, percent=percent: self.setDose(percent))
        (slider,) = slicer.util.findChildren(ui.doseSlider, className="ctkDoubleSlider")
        slider.connect("sliderPressed()", self.onPressed)
        slider.connect("sliderReleased()", self.onReleased)
        self._held = False
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.onSettled)
        self._shown: dict | None = None
        ui.frameSlider.connect("valueChanged(double)", self._onFrameMoved)

    def refresh(self) -> None:
        """Show what the parameters hold, and let the series follow."""
        parameters = self._case.parameters
        options = doseOptions(parameters)
        if options != self._shown:
            self._shown = options
            self._onDose()
            self._settle.start()
        if int(self._ui.frameSlider.value) != parameters.frame + 1:
            self._ui.frameSlider.value = parameters.frame + 1
            self._onFrame()

    def showFrames(self, inputId: str, frames: int, peak: int) -> None:
        """Set the range of the frame slider for another series, and show the frame with the deepest bolus.

        A series whose frame was chosen before, as that of a saved scene, keeps it.
        """
        parameters = self._case.parameters
        if parameters.frameInputId == inputId and parameters.frame < frames:
            peak = parameters.frame
        wasBlocked = self._ui.frameSlider.blockSignals(True)
        # People count frames from 1.
        self._ui.frameSlider.minimum = 1
        self._ui.frameSlider.maximum = frames
        self._ui.frameSlider.value = peak + 1
        self._ui.frameSlider.blockSignals(wasBlocked)
        parameters.frame = peak
        parameters.frameInputId = inputId

    def setDose(self, percent: float) -> None:
        """Choose a dose."""
        self._case.parameters.dosePercent = percent

    def onPressed(self) -> None:
        """The slider was taken hold of."""
        self._held = True

    def onReleased(self) -> None:
        """The slider was let go."""
        self._held = False
        self._settle.stop()
        self._onDoseSettled()

    def onSettled(self) -> None:
        """The dose has not changed for a while, by keyboard, wheel or a held slider."""
        if not self._held:
            self._onDoseSettled()

    def _onFrameMoved(self, value: float) -> None:
        frame = int(value) - 1
        if self._case.parameters is not None and self._case.parameters.frame != frame:
            self._case.parameters.frame = frame
            self._onFrame()
