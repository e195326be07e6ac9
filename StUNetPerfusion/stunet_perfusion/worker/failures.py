"""From whatever a job dies of to one sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stunet_perfusion.support.errors import Refusal, Setting
from stunet_perfusion.support.plain_text import one_error

_INSTALL = "install it (the panel in 3D Slicer has a button for that) and start again"


@dataclass(frozen=True)
class Failure:
    """Why a request was not carried out.

    :param subject: what is wrong
    :param fact: what is wrong with it
    :param way_out: what the user can do
    :param subject_setting: the subject, where it is a setting
    :param settings: by which the user can do it
    :param unexpected: whether nobody thought of it, so that a log is of use
    """

    subject: str
    fact: str
    way_out: str
    subject_setting: Setting | None = None
    settings: tuple[Setting, ...] = ()
    unexpected: bool = False

    def as_reply(self) -> dict[str, Any]:
        """The fields of a `failed` reply."""
        parts = {name: _one_line(getattr(self, name)) for name in ("subject", "fact", "way_out")}
        return {
            **parts,
            "subject_setting": None if self.subject_setting is None else self.subject_setting.value,
            "settings": [setting.value for setting in self.settings],
            "message": "{subject}: {fact}; {way_out}".format(**parts),
        }


def failure_of(error: Exception) -> Failure:
    """What to tell people about an exception."""
    if isinstance(error, Refusal):
        return Failure(error.subject, error.fact, error.way_out, error.subject_setting, error.settings)
    if isinstance(error, MemoryError):
        return Failure("memory", "is not enough for this series", "close other programs, or use a smaller series")
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("stunet_perfusion"):
        package = (error.name or "a package").partition(".")[0]
        return Failure(package, "is not installed, and this computation needs it", _INSTALL)
    if isinstance(error, ImportError):
        return Failure(
            error.name or "a package", f"is installed, but cannot be loaded ({error})", _INSTALL, unexpected=True
        )
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or type(error).__name__
        return Failure(str(error.filename), f"cannot be read or written: {reason}", "check the file", unexpected=True)
    return Failure(
        "StUNetPerfusion",
        f"met an error that it does not know ({type(error).__name__}: {error})",
        "try again, or report it with the log",
        unexpected=True,
    )


def _one_line(text: str) -> str:
    return one_error(text)
