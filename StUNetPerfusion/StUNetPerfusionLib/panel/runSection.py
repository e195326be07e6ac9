"""Preview, Apply, progress, cancel and log."""

from __future__ import annotations

from collections.abc import Callable

from StUNetPerfusionLib.panel.labelText import ERROR_COLOR, asLabel, say
from StUNetPerfusionLib.panel.panelHeight import fitPanelHeight
from StUNetPerfusionLib.translation import tr as _


class RunSection:
    """Shows what is under way.

    :param ui: the widgets of the panel
    :param onApply: the button was pressed
    :param hasNumbers: returns whether there is a result to be exported
    """

    def __init__(self, ui, onApply: Callable[[], None], hasNumbers: Callable[[], bool]) -> None:
        self._ui = ui
        self._hasNumbers = hasNumbers
        self._run = None
        ui.applyButton.clicked.connect(lambda *_: onApply())
        ui.cancelButton.clicked.connect(self.onCancel)
        ui.logText.setMaximumBlockCount(2000)

    @property
    def running(self) -> bool:
        """Whether Apply is under way."""
        return self._run is not None

    def begin(self, run) -> None:
        """Show the progress of a run until it ends."""
        self._run = run
        run.onProgress = self._onProgress
        self._showRunning(True)
        self._onProgress(0.0, _("Starting…"))

    def end(self, sentence: str, error: bool) -> None:
        """The run has ended."""
        self._run = None
        self._showRunning(False)
        self.say(sentence, error)

    def onCancel(self) -> None:
        """Give up what is under way."""
        if self._run is not None:
            self._ui.cancelButton.enabled = False
            say(self._ui.statusLabel, _("Cancelling…"))
            self._run.cancel()

    def say(self, sentence: str, error: bool = False) -> None:
        """One sentence under the buttons, and in the log."""
        say(self._ui.statusLabel, asLabel(sentence, ERROR_COLOR if error else ""))
        if sentence:
            self.log(sentence)

    def sayPreview(self, sentence: str, error: bool = False) -> None:
        """One sentence beside the preview box."""
        say(self._ui.previewLabel, asLabel(sentence, ERROR_COLOR if error else ""))

    def log(self, text: str) -> None:
        """One or more lines for the log."""
        self._ui.logText.appendPlainText(text.rstrip())

    def showEstimate(self, seconds: float | None, device: str) -> None:
        """How long Apply will take, where a former run tells."""
        if self.running:
            return
        self._ui.applyButton.text = (
            _("Apply to all slices")
            if seconds is None
            else _("Apply to all slices (about {time})").format(time=duration(seconds))
        )
        self._ui.applyButton.toolTip = _("Predict the whole series on {device}").format(device=device)

    def allow(self, allowed: bool, why: str) -> None:
        """Whether Apply can be pressed, and what is missing."""
        self._ui.applyButton.enabled = allowed and not self.running
        if not allowed:
            self._ui.applyButton.toolTip = why

    def _showRunning(self, running: bool) -> None:
        self._ui.applyButton.enabled = not running
        self._ui.cancelButton.visible = running
        self._ui.cancelButton.enabled = running
        self._ui.progressBar.visible = running
        fitPanelHeight(self._ui.statusLabel)
        # It would show its progress in the place of the one that runs.
        self._ui.dicomButton.enabled = not running and self._hasNumbers()

    def _onProgress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(1000 * fraction)
        remaining = self._run.remainingSeconds if self._run is not None else None
        if remaining is not None:
            message = _("{message}, {time} left").format(message=message, time=duration(remaining))
        say(self._ui.statusLabel, asLabel(message))


def duration(seconds: float) -> str:
    """For people: "8 s", "2 min 10 s", "3 min", "1 h 5 min"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return _("{s} s").format(s=whole)
    if whole < 3600:
        minutes, rest = whole // 60, whole % 60 // 10 * 10
        return _("{m} min {s} s").format(m=minutes, s=rest) if rest else _("{m} min").format(m=minutes)
    return _("{h} h {m} min").format(h=whole // 3600, m=whole % 3600 // 60)
