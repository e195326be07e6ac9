"""What the page of a run shows: maps, regions and their numbers, on the series' own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
from stunet_perfusion.runs.regions import MirrorSettings, measure_run
from stunet_perfusion.runs.report_page import PageContent
from stunet_perfusion.support.progress import Progress, no_progress


def page_content(
    folder: Path,
    masks: Sequence[Path],
    *,
    mirror: bool = False,
    anatomy: Path | None = None,
    register: bool = True,
    progress: Progress = no_progress,
) -> PageContent:
    """Gather what a page shows.

    :param folder: that `predict` or `reference` wrote
    :param masks: of the regions
    :param anatomy: image that is laid under the map; the series' baseline where there is none
    :param register: find where the anatomy lies; else it lies where its header says
    :raises InputError: as `measure_run` and `register_anatomy`
    """
    run = open_run(folder)
    progress(0.1, "Measuring the regions")
    measured = measure_run(folder, masks, mirror=MirrorSettings(wanted=mirror))
    under, name, notes = run.baseline_image(), "signal before the bolus", list(measured.notes)
    if anatomy is not None:
        progress(0.3, "Registering the anatomy")
        under, note = _anatomy_under(run, anatomy, register)
        name = "anatomy"
        notes.append(note)
    progress(0.9, "Drawing the page")
    regions = {each: numbers.voxels for each, numbers in measured.regions.items()}
    said = run.report.get("notes")
    notes += [str(note) for note in said] if isinstance(said, list) else []
    return PageContent(
        grid=run.grid,
        ncbv=run.maps["ncbv"],
        under=under,
        under_name=name,
        brain=run.brain,
        regions=regions,
        white_matter=run.white_matter,
        numbers=measured.regions,
        edges=measured.histogram.edges,
        shares=measured.histogram.shares,
        report=run.report,
        notes=tuple(dict.fromkeys(notes)),
    )


def _anatomy_under(run: OpenRun, path: Path, register: bool) -> tuple[np.ndarray, str]:
    """(Z, Y, X) the anatomic image in the voxels of the series, and a note."""
    image, grid = read_map(path)
    found: AnatomyRegistration
    if register:
        found = register_anatomy(run.baseline_image(), run.brain, run.grid, image, grid, path.name)
    else:
        check_anatomy(run.brain, run.grid, image, grid, path.name)
        found = as_the_headers_say()
    back = AnatomyRegistration(np.linalg.inv(found.to_anatomy), 0.0, 0.0, (0.0, 0.0), "")
    return on_anatomy(image, grid, back, run.grid), found.note
