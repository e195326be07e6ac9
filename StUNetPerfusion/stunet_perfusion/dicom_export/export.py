"""Maps into DICOM files, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from stunet_perfusion.dicom_export.attributes import ExportSetting, series_number
from stunet_perfusion.dicom_export.display import ReadyMap, brain_of, ready_map
from stunet_perfusion.dicom_export.origin import MapOrigin
from stunet_perfusion.dicom_export.planes import Planes, brought_onto, planes_of, right_handed
from stunet_perfusion.dicom_export.quantities import SPARSE, quantity_of
from stunet_perfusion.dicom_export.source import Source, anonymous_source, keeping_quiet_about_values
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError, OutputError, Setting
from stunet_perfusion.support.folders import STAGE_PREFIX
from stunet_perfusion.support.progress import (
    CheckCancelled,
    Progress,
    never_cancelled,
    no_progress,
)
from stunet_perfusion.support.staged_folder import staged_folder

Format = Literal["parametric-map", "mr", "both"]
FORMATS: tuple[Format, ...] = ("parametric-map", "mr", "both")

#: The folders of the two kinds of objects.
PARAMETRIC_MAPS, MR_SERIES = "parametric-map", "mr"
#: The Parametric Map, the MR series, and the colors of each.
_SERIES_OF_A_MAP = 4


@dataclass(frozen=True)
class ExportedFiles:
    """What an export has written.

    :param files: relative to the folder
    :param notes: what was decided, for people
    """

    files: tuple[str, ...]
    notes: tuple[str, ...]


def export_maps(
    maps: Mapping[str, np.ndarray],
    grid: Grid,
    source: Source | None,
    origin: MapOrigin,
    folder: str | Path,
    format: str = "both",
    *,
    absolute: bool = False,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> ExportedFiles:
    """Write maps as `parametric-map/NAME.dcm`, and as MR series `mr/NAME/IM0001.dcm`, ...

    Every map is a series of its own in the study of the source, with its colors beside it in `NAME_colors.dcm`. Values
    are in the unit of their `Quantity`: relative CBV in ml/100 ml, relative CBF in ml/100 ml/min, MTT in seconds.

    :param maps: (Z, Y, X) each, by the names that `quantity_of` knows, in the units of this package
    :param grid: of all maps
    :param source: whom they belong to, from `read_source`; None makes a new study of nobody
    :param origin: how they were made
    :param folder: that is not there yet, or is empty
    :param format: which objects
    :param absolute: whether CBV is in ml/100 g and CBF in ml/100 g/min, and not a fraction and 1/s
    :raises InputError: no or unknown maps, values that are not numbers, a grid that is not the source's or that DICOM
        cannot hold, an unknown format, or highdicom is not installed
    :raises OutputError: the folder holds something, or cannot be written
    """
    folder = Path(folder)
    known_format = _check_request(maps, format)
    _check_folder(folder)
    placed, planes, notes = _placed(maps, grid, source)
    brain = brain_of([volume for name, volume in placed.items() if name not in SPARSE] or list(placed.values()))
    setting = ExportSetting(source or anonymous_source(), origin, planes, datetime.now())
    with staged_folder(folder) as stage, keeping_quiet_about_values():
        for done, (name, volume) in enumerate(placed.items()):
            check_cancelled()
            progress(done / len(placed), f"writing {name}")
            ready = ready_map(quantity_of(name, absolute), volume, brain)
            _write(stage, ready, setting, known_format, _SERIES_OF_A_MAP * done)
        files = tuple(path.relative_to(stage).as_posix() for path in sorted(stage.rglob("*.dcm")))
    return ExportedFiles(files, (*setting.source.notes, *notes))


def _write(stage: Path, ready: ReadyMap, setting: ExportSetting, format: Format, series_so_far: int) -> None:
    # highdicom is imported where it is needed, so that the rest of the package does not need it.
    from stunet_perfusion.dicom_export.colors import write_colors
    from stunet_perfusion.dicom_export.mr_series import write_mr_series
    from stunet_perfusion.dicom_export.parametric_map import write_parametric_map

    name = ready.quantity.name
    numbers = [series_number(setting.source, series_so_far + place) for place in range(1, _SERIES_OF_A_MAP + 1)]
    if format in ("parametric-map", "both"):
        folder = stage / PARAMETRIC_MAPS
        folder.mkdir(exist_ok=True)
        image = write_parametric_map(folder / f"{name}.dcm", ready, setting, numbers[0])
        write_colors(folder / f"{name}_colors.dcm", [image], ready.quantity, setting, numbers[1])
    if format in ("mr", "both"):
        folder = stage / MR_SERIES
        (folder / name).mkdir(parents=True)
        images = write_mr_series(folder / name, ready, setting, numbers[2])
        write_colors(folder / f"{name}_colors.dcm", images, ready.quantity, setting, numbers[3])


def _check_request(maps: Mapping[str, np.ndarray], format: str) -> Format:
    known_format = next((each for each in FORMATS if each == format), None)
    if known_format is None:
        raise InputError(Setting.FORMAT, f"'{format}' is not known", f"use one of {', '.join(FORMATS)}")
    if find_spec("highdicom") is None:
        raise InputError(
            "DICOM export", "needs the package highdicom", "install it with: pip install 'stunet-perfusion[dicom]'"
        )
    if not maps:
        raise InputError("DICOM export", "has no map to write", "give cbv.nii.gz, or a folder that holds it")
    for name in maps:
        quantity_of(name)
    return known_format


def _check_folder(folder: Path) -> None:
    """Two series in one folder are one series to many viewers, so nothing is ever added to a folder."""
    if folder.is_dir() and any(not entry.name.startswith(STAGE_PREFIX) for entry in folder.iterdir()):
        raise OutputError(folder, "holds files, which an export must not mix with", "give a new or an empty folder")


def _placed(
    maps: Mapping[str, np.ndarray], grid: Grid, source: Source | None
) -> tuple[dict[str, np.ndarray], Planes, tuple[str, ...]]:
    """The maps with slices as DICOM wants them: in the order of the source, where there is one."""
    for name, volume in maps.items():
        if volume.shape != grid.shape:
            raise ValueError(f"map {name} {volume.shape} and grid {grid.shape} differ")
    if source is None or source.grid is None:
        placed = {name: right_handed(volume, grid, "the maps") for name, volume in maps.items()}
        upright = next(iter(placed.values()))[1]
        return {name: volume for name, (volume, _) in placed.items()}, planes_of(upright), ()
    onto = {name: brought_onto(volume, grid, source.grid) for name, volume in maps.items()}
    if any(volume is None for volume in onto.values()):
        own, other = (" x ".join(map(str, shape[::-1])) for shape in (grid.shape, source.grid.shape))
        raise InputError(
            "the maps",
            f"lie on another grid ({own}) than the source ({other}), or at another place",
            "give the DICOM folder of the series that they were computed from",
        )
    turned = () if grid.matches(source.grid, 0.01) else ("The maps were brought into the slice order of the source.",)
    return {name: volume for name, volume in onto.items() if volume is not None}, planes_of(source.grid), turned
