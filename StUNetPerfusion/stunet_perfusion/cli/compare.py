"""`stunet-perfusion compare`: how well a map agrees with a reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from stunet_perfusion.cli import options
from stunet_perfusion.metrics import compare_maps, likely_of_other_unit, unit_factor
from stunet_perfusion.reading import read_map, read_mask
from stunet_perfusion.reading.report import check_against_report, report_beside
from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.plain_text import one_line

#: What the table calls each number. Those of the first group are taken on standardized maps unless told otherwise.
SCORED = {
    "l1": "L1",
    "l2": "L2",
    "ssim": "SSIM",
    "tumor_l1": "L1 in the tumor",
    "tumor_l2": "L2 in the tumor",
    "tumor_ssim": "SSIM in the tumor",
}
AS_THEY_ARE = {
    "pearson": "Pearson's r",
    "concordance": "Lin's concordance",
    "nrmse": "NRMSE",
    "bias": "Bias (map - reference)",
    "limit_low": "Lower 95 % limit of agreement",
    "limit_high": "Upper 95 % limit of agreement",
    "nrcbv": "nRCBV (tumor / NAWM) of the map",
    "nrcbv_reference": "nRCBV of the reference",
    "nrcbv_error": "nRCBV error (map - reference)",
}


def command(
    map_path: Annotated[Path, typer.Argument(metavar="MAP", help="the map to score, NIfTI or NRRD")],
    reference_path: Annotated[Path, typer.Argument(metavar="REFERENCE", help="the reference map, on the same grid")],
    mask_path: Annotated[Path, typer.Option("--mask", metavar="FILE", help="brain mask")],
    tumor_path: Annotated[Path | None, typer.Option("--tumor", metavar="FILE", help="tumor mask")] = None,
    nawm_path: Annotated[
        Path | None, typer.Option("--nawm", metavar="FILE", help="normal-appearing white matter, for nRCBV")
    ] = None,
    standardize: Annotated[
        bool,
        typer.Option(
            "--standardize/--physical",
            help="L1, L2 and SSIM of standardized maps (z-scores), as in the paper, or of the maps",
        ),
    ] = True,
    value_range: Annotated[
        float | None,
        typer.Option(
            "--range", metavar="R", help="range of values for SSIM; default 10, with --physical that of the reference"
        ),
    ] = None,
    factor: Annotated[
        str,
        typer.Option(
            "--factor",
            metavar="auto|fit|none",
            help="multiply the map by what fits the reference best: where their units differ, always, or never",
        ),
    ] = "auto",
    json: options.Json = False,
) -> None:
    """For L1, L2 (mean squared) and SSIM each map is standardized by its own brain mean and standard deviation and
    clipped to [-5, 5], as in the paper. All other scores use the maps as they are; where their units differ, a
    factor is fitted first, and told. nRCBV needs --tumor and --nawm.
    """
    if value_range is not None and not 0 < value_range < math.inf:
        raise InputError(
            "--range", f"{value_range:g} is not positive and finite", "give the range of values, for example 10"
        )
    values, grid = read_map(map_path)
    check_against_report(map_path, values)
    reference, reference_grid = read_map(reference_path)
    check_against_report(reference_path, reference)
    _check_same_grid(map_path, grid, reference_path, reference_grid)
    regions: dict[str, np.ndarray] = {}
    notes: list[str] = []
    for name, path in {"mask": mask_path, "tumor": tumor_path, "nawm": nawm_path}.items():
        if path is not None:
            regions[name], mask_notes = read_mask(path, grid)
            notes.extend(mask_notes)
    fitted = _factor(factor, map_path, reference_path, values, reference, regions["mask"])
    if fitted != 1:
        values = (values * np.float32(fitted)).astype(np.float32)
        notes.append(
            f"The maps are in different units: {map_path.name} was multiplied by {fitted:.4g}, which fits "
            f"{reference_path.name} best over the brain."
        )
    scores = compare_maps(
        values,
        reference,
        **regions,
        standardize=standardize,
        value_range=value_range,
        names=(map_path.name, reference_path.name),
    )
    if json:
        document = _document(map_path, reference_path, standardize, regions)
        options.print_json({**document, **scores, "factor": fitted, "notes": notes})
        return
    for note in notes:
        options.console.print(note)
    options.plain_console().print(_table(map_path, reference_path, standardize, scores))


def _check_same_grid(map_path: Path, grid: Grid, reference_path: Path, reference_grid: Grid) -> None:
    if grid.matches(reference_grid):
        return
    fact = "lie at different places in the patient"
    if grid.shape != reference_grid.shape:
        sizes = (" x ".join(str(n) for n in g.shape[::-1]) for g in (grid, reference_grid))
        fact = "have {} and {} voxels".format(*sizes)
    raise InputError(
        f"{map_path} and {reference_path}", fact, "resample one of them first: scores need voxels at the same places"
    )


def _factor(
    choice: str,
    map_path: Path,
    reference_path: Path,
    values: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
) -> float:
    if choice not in ("auto", "fit", "none"):
        raise InputError("--factor", f"'{choice}' is not known", "write auto, fit or none")
    if choice == "none" or not (np.isfinite(values[mask]).all() and np.isfinite(reference[mask]).all()):
        return 1.0
    if choice == "auto":
        units = _unit_of(map_path), _unit_of(reference_path)
        alike = units[0] == units[1] if None not in units else not likely_of_other_unit(values, reference, mask)
        if alike:
            return 1.0
    return unit_factor(values, reference, mask)


def _unit_of(path: Path) -> str | None:
    """The unit that the report beside a map names for it; None where nothing does."""
    report = report_beside(path)
    entries = () if report is None else report.maps.values()
    return next((entry.unit for entry in entries if entry.file == path.name and entry.unit), None)


def _document(
    map_path: Path, reference_path: Path, standardize: bool, regions: dict[str, np.ndarray]
) -> dict[str, Any]:
    return {
        "map": str(map_path),
        "reference": str(reference_path),
        "standardized": standardize,
        "voxels": {name: int(region.sum()) for name, region in regions.items()},
    }


def _table(map_path: Path, reference_path: Path, standardize: bool, scores: dict[str, float]) -> Table:
    scale = "z-scores, cut to [-5, 5]" if standardize else "maps as they are"
    table = Table(
        title=one_line(f"{map_path.name} against {reference_path.name}"),
        caption="Research use only: not for diagnosis.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("taken on")
    for names, basis in ((SCORED, scale), (AS_THEY_ARE, "maps as they are")):
        for key, label in names.items():
            if key in scores:
                table.add_row(label, f"{scores[key]:.4g}", basis)
        table.add_section()
    return table
