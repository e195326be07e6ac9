"""From arrays to files, of which none is ever half-written."""

from __future__ import annotations

from stunet_perfusion.support.staged import staged_file, staged_output
from stunet_perfusion.writing.documents import write_json, write_sidecar
from stunet_perfusion.writing.images import write_map, write_series

__all__ = ["staged_file", "staged_output", "write_json", "write_map", "write_series", "write_sidecar"]
