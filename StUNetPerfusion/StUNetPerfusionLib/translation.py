"""Translation of what users read, also where only MRML is there and Slicer's translator is not."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:

    def tr(text: str) -> str:
        """The text itself: slicer-core has no translator."""
        return text


__all__ = ["tr"]
