"""Maps as DICOM: Parametric Map objects, and classic MR series for viewers that cannot read those."""

from __future__ import annotations

from stunet_perfusion.dicom_export.export import FORMATS, ExportedFiles, Format, export_maps
from stunet_perfusion.dicom_export.origin import MapOrigin, origin_of_report
from stunet_perfusion.dicom_export.quantities import QUANTITIES
from stunet_perfusion.dicom_export.source import Source, anonymous_source, read_source

__all__ = [
    "FORMATS",
    "QUANTITIES",
    "ExportedFiles",
    "Format",
    "MapOrigin",
    "Source",
    "anonymous_source",
    "export_maps",
    "origin_of_report",
    "read_source",
]
