"""Maps as DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.dicom_export.export import export_maps
from stunet_perfusion.dicom_export.origin import MapOrigin
from stunet_perfusion.dicom_export.source import read_source
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import part_of
from stunet_perfusion.worker.arrays import read_array
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import ExportDicom
from stunet_perfusion.worker.session import Session


def run(request: ExportDicom, job: Job, session: Session) -> dict[str, Any]:
    """Write maps into a folder that the user chose."""
    maps = {name: read_array(session.folder / file) for name, file in request.maps.items()}
    shapes = {values.shape for values in maps.values()}
    if len(shapes) != 1:
        raise InputError("DICOM export", f"has maps of {len(shapes)} sizes", "export maps of one series at a time")
    try:
        origin = MapOrigin(**request.origin)
    except TypeError as error:
        raise InputError("origin", f"is not understood ({error})", "give the fields of MapOrigin") from None
    source = None
    if request.source is not None:
        source = read_source(Path(request.source), part_of(job.progress, 0.0, 0.5))
    exported = export_maps(
        maps,
        Grid(shapes.pop(), np.array(request.ijk_to_ras, dtype=float)),
        source,
        origin,
        Path(request.output),
        request.format,
        progress=part_of(job.progress, 0.5, 1.0),
        check_cancelled=job.check_cancelled,
    )
    return {"files": len(exported.files), "notes": list(exported.notes)}
