"""How well two maps agree."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.metrics import compare_maps
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.worker.arrays import read_array, read_mask
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Compare
from stunet_perfusion.worker.session import Session


def run(request: Compare, job: Job, session: Session) -> dict[str, Any]:
    """Score a map against a reference."""
    names = tuple(str(name) for name in request.names or ("map", "reference"))
    if len(names) != 2:
        raise InputError("names", f"{names} are not two", "give one for the map and one for the reference")
    values, reference = (read_array(session.folder / file) for file in (request.map, request.reference))
    if values.ndim != 3 or values.shape != reference.shape:
        raise InputError(
            names[0], f"has {values.shape} voxels, and {names[1]} {reference.shape}", "give maps on one grid"
        )
    mask = read_mask(session.folder / request.mask, values.shape, "brain mask")
    tumor, nawm = (
        None if file is None else read_mask(session.folder / file, values.shape, label)
        for label, file in (("tumor", request.tumor), ("white matter", request.nawm))
    )
    return compare_maps(values, reference, mask, tumor, nawm, names=names)
