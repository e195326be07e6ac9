"""What the command line calls the settings that errors name."""

from __future__ import annotations

from collections.abc import Collection

from stunet_perfusion.support.errors import Refusal, Setting, StUNetPerfusionError

#: The option of every setting, with what it takes.
OPTIONS = {
    Setting.SERIES: "--series NAME",
    Setting.INPUT: "--input PATH",
    Setting.FRAME_INTERVAL: "--frame-interval SECONDS",
    Setting.ECHO_TIME: "--echo-time SECONDS",
    Setting.DROP_FRAMES: "--drop-frames N",
    Setting.MEND: "--mend auto|off|KINDS",
    Setting.BOLUS: "--bolus auto|N",
    Setting.MASK: "--mask FILE",
    Setting.WHITE_MATTER: "--nawm FILE",
    Setting.VESSELS: "--vessels MASK",
    Setting.AIF: "--aif FILE",
    Setting.AIF_IS_SIGNAL: "--aif-is-signal",
    Setting.BASELINE: "--baseline first|auto|N",
    Setting.LEAKAGE_CORRECTION: "--leakage-correction",
    Setting.CHECKPOINT: "--checkpoint FILE",
    Setting.DEVICE: "--device NAME",
    Setting.STRIDE: "--stride N",
    Setting.WORKERS: "--workers N",
    Setting.SCHEDULER: "--scheduler ADDRESS",
    Setting.FORMAT: "--format NAME",
    Setting.PATIENT_ID: "--patient-id ID",
    Setting.SUBJECT: "--subject LABEL",
    Setting.CASES: "--cases TABLE",
    Setting.ANATOMY: "--anatomy HEADS",
    Setting.VALIDATION: "--validation HEADS",
    Setting.DEVICES: "--devices N",
    Setting.RESTART: "--restart",
    Setting.OVERWRITE: "--overwrite",
    Setting.TRAINING_SETTING: "--set NAME=VALUE",
}


def worded(error: StUNetPerfusionError, options: Collection[str]) -> str:
    """The sentence of an error with the options of the verb that met it.

    :param options: those that the verb has, such as `--mask`; a setting without one keeps its plain name
    """
    if not isinstance(error, Refusal):
        return str(error)

    def option(setting: Setting) -> str:
        written = OPTIONS[setting]
        return written if written.partition(" ")[0] in options else ""

    # As the subject of a sentence an option stands without what it takes.
    return error.worded(option, lambda setting: option(setting).partition(" ")[0])
