"""How good a series is: what was seen in it, what that means for the map, and what can be done."""

from __future__ import annotations

from stunet_perfusion.preprocessing.quality.report import Finding, Light, Mended, QualityReport

__all__ = ["Finding", "Light", "Mended", "QualityReport"]
