"""Sentences as labels show them."""

from __future__ import annotations

import html

from StUNetPerfusionLib.panel.panelHeight import fitPanelHeight

ERROR_COLOR = "#C0392B"
WARNING_COLOR = "#B36B00"


def asLabel(text: str, color: str = "") -> str:
    """A sentence that may hold anything, for a QLabel.

    A label takes a text for HTML only where it finds a tag in it: what is escaped needs one.

    :param color: as HTML has it; "" for that of the desktop
    """
    if not color and not set("<>&") & set(text):
        return text
    style = f' style="color:{color}"' if color else ""
    return f"<span{style}>{html.escape(text)}</span>"


def asLines(*labels: str) -> str:
    """Several of these, one below the other."""
    return "<br>".join(labels)


def say(label, text: str) -> None:
    """Show a text, and all of it.

    :param label: QLabel
    :param text: as `asLabel` makes it
    """
    if label.text != text:
        label.text = text
        fitPanelHeight(label)
