"""The strip of quality lights in the panel."""

from __future__ import annotations

import html
from collections.abc import Sequence

#: Colors of a traffic light, dark enough on a white panel and bright enough on a dark one.
LIGHT_COLORS = {"green": "#2E8B57", "yellow": "#D9A400", "red": "#C0392B"}


def asLights(lights: Sequence[tuple[str, str, str]]) -> str:
    """A strip of quality lights, one dot each.

    :param lights: light, title and sentence
    """
    return " ".join(f'<span style="color:{LIGHT_COLORS[light]}">&#9679;</span>' for light, _title, _sentence in lights)


def asLightsToolTip(lights: Sequence[tuple[str, str, str]]) -> str:
    """What the lights stand for, one a line."""
    return "<br>".join(
        f'<span style="color:{LIGHT_COLORS[light]}">&#9679;</span> <b>{html.escape(title)}</b>: {html.escape(sentence)}'
        for light, title, sentence in lights
    )
