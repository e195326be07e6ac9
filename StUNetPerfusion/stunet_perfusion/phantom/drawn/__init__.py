"""A head drawn by geometry alone: nobody's data, and nothing to download."""

from stunet_perfusion.phantom.drawn.head import drawn_anatomy

__all__ = ["drawn_anatomy"]
