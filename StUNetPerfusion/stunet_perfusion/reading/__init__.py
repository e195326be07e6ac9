"""From files to arrays: series, masks and maps in NIfTI, NRRD and DICOM."""

from __future__ import annotations

from stunet_perfusion.reading.volumes import read_map, read_mask
from stunet_perfusion.reading.whole_series import read_series

__all__ = ["read_map", "read_mask", "read_series"]
