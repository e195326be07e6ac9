"""Errors that are meant for people: what is wrong, with which thing, the way out, and the setting that mends it.

No text of the science names an option of the command line or a field of the panel. It names a `Setting`; the command
line (`cli/wording.py`), the panel (`StUNetPerfusionLib/panel/words.py`) and the table of a cohort (`cohort/wording.py`)
say what they call it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any


class Setting(Enum):
    """What a user can set. The value is its name in plain words."""

    SERIES = "series"
    INPUT = "input file"
    FRAME_INTERVAL = "frame interval"
    ECHO_TIME = "echo time"
    DROP_FRAMES = "frames to leave out"
    MEND = "mending"
    BOLUS = "bolus"
    MASK = "brain mask"
    WHITE_MATTER = "white matter mask"
    VESSELS = "vessel mask"
    AIF = "AIF"
    AIF_IS_SIGNAL = "AIF is a signal"
    BASELINE = "baseline"
    LEAKAGE_CORRECTION = "leakage correction"
    CHECKPOINT = "checkpoint"
    DEVICE = "device"
    STRIDE = "strip stride"
    WORKERS = "workers"
    SCHEDULER = "scheduler"
    FORMAT = "DICOM format"
    PATIENT_ID = "Patient ID"
    SUBJECT = "BIDS subject"
    CASES = "table of cases"
    ANATOMY = "heads"
    VALIDATION = "heads for validation"
    DEVICES = "training devices"
    RESTART = "restart"
    OVERWRITE = "overwriting"
    TRAINING_SETTING = "training setting"


class StUNetPerfusionError(Exception):
    """Anything that this package refuses to do. Its text is one sentence that a user can act on."""


class Refusal(StUNetPerfusionError):
    """What is wrong with which thing, and the way out.

    :param subject: the file, folder or argument that is wrong, or the setting
    :param fact: what is wrong with it
    :param way_out: what the user can do about it, in words that hold for the command line, the panel and Python alike
    :param settings: by which the user can do it
    """

    def __init__(self, subject: str | Path | Setting, fact: str, way_out: str, *settings: Setting) -> None:
        #: the subject, where it is a setting
        self.subject_setting = subject if isinstance(subject, Setting) else None
        self.subject = subject.value if isinstance(subject, Setting) else str(subject)
        self.fact = fact
        self.way_out = way_out
        self.settings = settings
        super().__init__(f"{self.subject}: {fact}; {way_out}")

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}; {self.way_out}"

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception is made anew of its text alone when it comes from another process.
        return type(self), (self.subject_setting or self.subject, self.fact, self.way_out, *self.settings)

    def rewritten(self, change: Callable[[str], str]) -> Refusal:
        """The same with other words for the subject and the fact, as where a name must not be told."""
        subject = self.subject_setting or change(self.subject)
        return type(self)(subject, change(self.fact), self.way_out, *self.settings)

    def worded(self, name_of: Callable[[Setting], str], subject_of: Callable[[Setting], str] | None = None) -> str:
        """The sentence with the names that somebody has for the settings.

        :param name_of: what a setting is called, or nothing where there is no such setting
        :param subject_of: likewise where a setting is the subject; as `name_of` by default
        """
        named = "" if self.subject_setting is None else (subject_of or name_of)(self.subject_setting)
        names = [name for setting in self.settings if (name := name_of(setting))]
        hint = f" ({' or '.join(names)})" if names else ""
        return f"{named or self.subject}: {self.fact}; {self.way_out}{hint}"


class InputError(Refusal, ValueError):
    """An input that cannot be used."""


class OutputError(Refusal, OSError):
    """An output that cannot be written."""
