"""What the table of a cohort calls the settings that errors name: an option is for all cases, a column for one."""

from __future__ import annotations

from stunet_perfusion.support.errors import Refusal, Setting, StUNetPerfusionError

_COLUMNS = {
    Setting.FRAME_INTERVAL: "column frame_interval",
    Setting.ECHO_TIME: "column echo_time",
    Setting.MASK: "column mask",
    Setting.WHITE_MATTER: "column nawm",
}


def in_table_words(error: StUNetPerfusionError) -> str:
    """The sentence of an error with the columns of the table that a case comes from."""
    return error.worded(lambda setting: _COLUMNS.get(setting, "")) if isinstance(error, Refusal) else str(error)
