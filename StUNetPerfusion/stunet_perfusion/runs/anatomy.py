"""The maps of a run in the voxels of an anatomic image, from files to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.reading import read_map
from stunet_perfusion.registration.anatomy import (
    AnatomyRegistration,
    as_the_headers_say,
    check_anatomy,
    on_anatomy,
    register_anatomy,
)
from stunet_perfusion.runs.opened import OpenRun, open_run
from stunet_perfusion.runs.results import USE
from stunet_perfusion.series import Grid
from stunet_perfusion.support.progress import Progress, no_progress
from stunet_perfusion.writing import write_json, write_map


@dataclass(frozen=True, eq=False)
class MapsOnAnatomy:
    """Maps beside an anatomic image, on its grid.

    :param anatomy: (K, J, I)
    :param maps: (K, J, I) float32 by name
    :param white_matter: (K, J, I) bool, or None
    :param run: that the maps are of
    """

    anatomy: np.ndarray
    grid: Grid
    registration: AnatomyRegistration
    maps: Mapping[str, np.ndarray]
    white_matter: np.ndarray | None
    run: OpenRun

    def as_json(self) -> dict[str, Any]:
        """What was done."""
        return {
            "use": USE,
            "registration": self.registration.as_json(),
            "notes": [*self.run.notes, self.registration.note],
        }


def maps_on_anatomy(
    folder: Path, image: Path, *, register: bool = True, progress: Progress = no_progress
) -> MapsOnAnatomy:
    """Bring the maps of a run onto an anatomic image of the same patient.

    :param folder: that `predict` or `reference` wrote
    :param image: T1 after contrast, FLAIR or T2: NIfTI or NRRD
    :param register: find where the image lies; else it lies where its header says
    :raises InputError: no run, or an image that cannot be used, as `register_anatomy`
    """
    run = open_run(folder)
    anatomy, grid = read_map(image)
    progress(0.1, "Registering the anatomy")
    if register:
        registration = register_anatomy(run.baseline_image(), run.brain, run.grid, anatomy, grid, image.name)
    else:
        check_anatomy(run.brain, run.grid, anatomy, grid, image.name)
        registration = as_the_headers_say()
    maps = {}
    for done, (name, values) in enumerate(run.maps.items()):
        progress(0.6 + 0.4 * done / len(run.maps), f"Bringing {name} onto the anatomy")
        maps[name] = on_anatomy(values, run.grid, registration, grid)
    white = run.white_matter
    if white is not None:
        white = on_anatomy(white, run.grid, registration, grid, nearest=True) > 0.5
    return MapsOnAnatomy(anatomy, grid, registration, maps, white, run)


def write_on_anatomy(stage: Path, brought: MapsOnAnatomy) -> dict[str, Any]:
    """Write every map, the white matter, and `registration.json`.

    :param stage: folder to write into
    :returns: the document
    """
    document = brought.as_json()
    document["files"] = {name: f"{name}.nii.gz" for name in brought.maps}
    for name, values in brought.maps.items():
        write_map(stage / f"{name}.nii.gz", values, brought.grid)
    if brought.white_matter is not None:
        document["files"]["nawm"] = "nawm.nii.gz"
        write_map(stage / "nawm.nii.gz", brought.white_matter, brought.grid)
    write_json(stage / "registration.json", document)
    return document
