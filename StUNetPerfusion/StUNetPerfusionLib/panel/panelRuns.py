"""How a section has something done: it begins a run of the logic, and what goes wrong is said in one sentence."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import qt

from stunet_perfusion.support.errors import StUNetPerfusionError
from StUNetPerfusionLib.panel.runSection import RunSection
from StUNetPerfusionLib.settingNames import inPanelWords
from StUNetPerfusionLib.translation import tr as _

#: Milliseconds between two looks at what the worker says.
_POLL_MS = 30


class PanelRuns:
    """Begins runs, and looks after them until they have ended.

    :param logic: StUNetPerfusionLogic
    :param status: where sentences for the user stand
    """

    def __init__(self, logic, status: RunSection) -> None:
        self.logic = logic
        self._status = status
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        logic.onLog = status.log

    def start(self, begin: Callable[[], Any], onError: Callable[[str], None] | None = None):
        """Begin a run.

        :param begin: returns a Run
        :param onError: takes the sentence that says why it could not begin; by default it stands in the status line
        :returns: the run, or None where it could not begin
        """
        with self.sayingWhatWentWrong(onError):
            run = begin()
            if not self._timer.isActive():
                self._timer.start()
            return run
        return None

    def say(self, sentence: str, error: bool = False) -> None:
        """One sentence for the user."""
        self._status.say(sentence, error)

    @contextmanager
    def sayingWhatWentWrong(self, onError: Callable[[str], None] | None = None) -> Iterator[None]:
        """What fails within is said in one sentence; a fault of ours leaves its traceback in the log too."""
        tell = onError or (lambda sentence: self.say(sentence, error=True))
        try:
            yield
        except StUNetPerfusionError as error:
            tell(inPanelWords(error))
        except Exception as error:
            logging.exception("StUNetPerfusion")
            self._status.log(traceback.format_exc())
            tell(_("Something unexpected went wrong ({error}); the log says more.").format(error=error))

    def stop(self) -> None:
        """The application or the widget ends: no more looking, no more worker."""
        self._timer.stop()
        self.logic.onLog = None
        self.logic.stop()

    def _poll(self) -> None:
        with self.sayingWhatWentWrong():
            if not self.logic.poll():
                self._timer.stop()
