"""What the panel calls the settings that errors name."""

from __future__ import annotations

from stunet_perfusion.support.errors import Refusal, Setting
from StUNetPerfusionLib.translation import tr as _


def fieldNames() -> dict[Setting, tuple[str, str]]:
    """The settings that the panel has a field for: the field's label, and the section that it is in."""
    return {
        Setting.FRAME_INTERVAL: (_("Frame interval"), _("Input")),
        Setting.ECHO_TIME: (_("Echo time (TE)"), _("Input")),
        Setting.DROP_FRAMES: (_("Skip frames"), _("Input")),
        Setting.MASK: (_("Brain"), _("Input")),
        Setting.WHITE_MATTER: (_("White matter"), _("Input")),
        Setting.VESSELS: (_("Vessel"), _("Input")),
        Setting.CHECKPOINT: (_("Checkpoint"), _("Model")),
        Setting.DEVICE: (_("Device"), _("Model")),
        Setting.BASELINE: (_("Baseline"), _("Reference")),
        Setting.AIF: (_("AIF"), _("Reference")),
        Setting.LEAKAGE_CORRECTION: (_("Leakage correction"), _("Reference")),
    }


def inPanelWords(error: Exception) -> str:
    """One sentence that a user of the panel can act on: a setting has the name of its field.

    A setting that the panel has no field for keeps its plain name where it is the subject, and else is not named.
    """
    if not isinstance(error, Refusal):
        return str(error)
    fields = fieldNames()

    def nameOf(setting: Setting) -> str:
        if setting not in fields:
            return ""
        label, section = fields[setting]
        return _("'{label}' under {section}").format(label=label, section=section)

    return error.worded(nameOf)
