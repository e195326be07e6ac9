"""What the science says in the words of its command line, in the words of the panel."""

from __future__ import annotations

import re

from StUNetPerfusionLib.translation import tr as _


def fieldNames() -> dict[str, tuple[str, str]]:
    """What the panel calls the options of the command line: the field's label, and the section that it is in."""
    return {
        "frame-interval": (_("Frame interval"), _("Input")),
        "echo-time": (_("Echo time (TE)"), _("Input")),
        "drop-frames": (_("Frames to leave out"), _("Input")),
        "mask": (_("Brain"), _("Input")),
        "tumor": (_("Tumor"), _("Input")),
        "nawm": (_("White matter"), _("Input")),
        "vessels": (_("Vessel"), _("Input")),
        "dose": (_("Dose"), _("Dose")),
        "method": (_("Simulation"), _("Dose")),
        "checkpoint": (_("Checkpoint"), _("Model")),
        "device": (_("Device"), _("Model")),
        "baseline": (_("Baseline"), _("Reference")),
        "aif": (_("AIF"), _("Reference")),
        "aif-is-signal": (_("AIF"), _("Reference")),
        "leakage-correction": (_("Correct CBV for leakage"), _("Reference")),
    }


def inPanelWords(error: Exception | str) -> str:
    """One sentence that a user of the panel can act on.

    Options are recognized as the command line has them (`--drop-frames`, with or without what they take) and as the
    worker puts them ('drop frames'). Those that the panel has no field for keep their name.

    :param error: an error of `stunet_perfusion`, or its text
    """
    fields = fieldNames()

    def field(option: re.Match[str]) -> str:
        name = option[1] or option[2].replace(" ", "-")
        if name not in fields:
            return f"'{name.replace('-', ' ')}'" if option[1] else option[0]
        return _("'{label}' under {section}").format(label=fields[name][0], section=fields[name][1])

    text = str(error).replace("use --device cpu", _("choose the CPU")).replace("use 'device' cpu", _("choose the CPU"))
    return re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)(?: [A-Z]{2,}(?:\.txt)?\b)?|'([a-z]+(?: [a-z]+)*)'", field, text)
