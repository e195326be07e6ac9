"""Room for all that the panel says: Slicer's module panel remembers how high it was, and squeezes what has grown."""

from __future__ import annotations

from contextlib import suppress

import qt

#: Name that Qt gives to the part of a scroll area that is seen.
_VIEWPORT = "qt_scrollarea_viewport"

#: Other widths, whose heights take the place of the one that is remembered: Qt keeps three.
_OTHER_WIDTHS = (-40, -30, -20, -10)


def fitPanelHeight(widget) -> None:
    """Let the panel be as high as it must be now, once the events under way are done.

    Qt asks a layout for its height at a width, and remembers the answer until the layout says that it has changed. The
    module panel misses that, so that rows are squeezed and the last lines of a sentence are not seen.

    :param widget: of the panel
    """
    qt.QTimer.singleShot(0, lambda: _fitHeight(widget))


def _fitHeight(widget) -> None:
    with suppress(ValueError):  # the panel was closed meanwhile
        contents = module = None
        ancestor = widget.parent()
        while ancestor is not None and ancestor.objectName != _VIEWPORT:
            contents, module = ancestor, contents
            ancestor = ancestor.parent()
        if ancestor is None or module is None or module.height == module.heightForWidth(module.width):
            return
        for other in _OTHER_WIDTHS:
            contents.heightForWidth(contents.width + other)
        contents.layout().invalidate()
        contents.updateGeometry()
