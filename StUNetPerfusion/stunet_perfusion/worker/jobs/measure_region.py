"""Numbers of a region in maps of an open series."""

from __future__ import annotations

from typing import Any

import numpy as np

from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.regions.blood_volume_unit import checked_region
from stunet_perfusion.regions.histogram import histogram
from stunet_perfusion.regions.region_numbers import region_numbers
from stunet_perfusion.regions.symmetry import SymmetryPlane, find_symmetry_plane, mirrored_region, places
from stunet_perfusion.regions.tumor_burden import THRESHOLDS
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.worker.arrays import read_array, read_mask
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import MeasureRegion
from stunet_perfusion.worker.session import Session


def run(request: MeasureRegion, job: Job, session: Session) -> dict[str, Any]:
    """Measure it, and hand over its classes, its hot spot and its other side."""
    prepared = session.series(request.series).facts
    brain, grid = prepared.brain, prepared.series.grid
    maps = {name: read_array(session.folder / file) for name, file in request.maps.items()}
    if "ncbv" not in maps or any(values.shape != brain.shape for values in maps.values()):
        raise InputError("maps", "lack ncbv, or are not on the grid of the series", "give maps of this series")
    region = checked_region(read_mask(session.folder / request.region, brain.shape, "region"), brain, "region")
    mirror = None
    if request.mirror:
        job.progress(0.1, "Finding the plane of symmetry")
        plane = session.remember(request.series, "plane of symmetry", lambda: _plane(session, request.series))
        plane = plane.turned(request.turn, request.shift, places(grid)[brain].mean(axis=0))
        mirror = mirrored_region(region, grid, plane) & brain & ~region
    job.progress(0.7, "Measuring the region")
    voxel = float(np.prod(grid.spacing)) / 1000
    thresholds = THRESHOLDS if request.thresholds is None else [float(each) for each in request.thresholds]
    numbers = region_numbers(maps, region, voxel, mirror=mirror, diameter=request.hot_spot, thresholds=thresholds)
    counted = {"region": region}
    if request.nawm is not None:
        counted["white_matter"] = read_mask(session.folder / request.nawm, brain.shape, "white matter")
    shares = histogram(maps["ncbv"], counted)
    images = {"tumor_burden": numbers.burden.labels, "hot_spot": numbers.hot_spot.disk}
    if numbers.mirror is not None:
        images["mirror"] = numbers.mirror
    return {
        "numbers": numbers.as_json(),
        "histogram": {
            "edges": shares.edges.tolist(),
            "shares": {name: values.tolist() for name, values in shares.shares.items()},
        },
        "files": job.save(**images),
    }


def _plane(session: Session, handle: str) -> SymmetryPlane:
    prepared = session.series(handle).mapped()
    baseline = baseline_signal(prepared.series.signal, prepared.bolus.arrival)
    return find_symmetry_plane(np.where(prepared.brain, baseline, 0), prepared.brain, prepared.series.grid)
