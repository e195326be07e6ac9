"""Numbers of maps, region by region, in a table node, and as text for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import vtk

from stunet_perfusion.support.plain_text import defused
from StUNetPerfusionLib.translation import tr as _

#: Digits that mean something.
_FORMAT = "{:.4g}"


@dataclass(frozen=True)
class RegionStatistics:
    """One line of the table.

    :param name: of the region
    :param voxels: in it
    :param mean: of the predicted map, in its unit; None where there is none
    :param sd: standard deviation over the region's voxels
    :param referenceMean: of the reference
    :param referenceSd: of the reference
    :param l1: mean absolute difference of the standardized maps
    :param l2: mean squared difference of the standardized maps
    :param ssim: structural similarity of the standardized maps
    """

    name: str
    voxels: int | None = None
    mean: float | None = None
    sd: float | None = None
    referenceMean: float | None = None
    referenceSd: float | None = None
    l1: float | None = None
    l2: float | None = None
    ssim: float | None = None


def regionStatistics(
    name: str,
    mask: np.ndarray,
    values: np.ndarray,
    reference: np.ndarray | None = None,
    scores: Mapping[str, float] | None = None,
) -> RegionStatistics:
    """Mean and SD of a region.

    :param mask: (Z, Y, X) bool, not empty
    :param values: (Z, Y, X) predicted CBV
    :param reference: (Z, Y, X) reference CBV, or None
    :param scores: `l1`, `l2`, `ssim` of the region, as far as they are known
    """
    inside = values[mask].astype(np.float64)
    other = None if reference is None else reference[mask].astype(np.float64)
    return RegionStatistics(
        name=name,
        voxels=int(inside.size),
        mean=float(inside.mean()),
        sd=float(inside.std()),
        referenceMean=None if other is None else float(other.mean()),
        referenceSd=None if other is None else float(other.std()),
        **{key: (scores or {}).get(key) for key in ("l1", "l2", "ssim")},
    )


def ratioOf(name: str, tumor: RegionStatistics, whiteMatter: RegionStatistics) -> RegionStatistics:
    """The line that holds the ratio of two regions' means, where the denominator is above 0."""

    def ratio(numerator: float | None, denominator: float | None) -> float | None:
        return numerator / denominator if numerator is not None and denominator and denominator > 0 else None

    return RegionStatistics(
        name,
        mean=ratio(tumor.mean, whiteMatter.mean),
        referenceMean=ratio(tumor.referenceMean, whiteMatter.referenceMean),
    )


def updateTable(scene, lines: Sequence[RegionStatistics], tableNode=None, title: str = ""):
    """Write the lines into a table node.

    :param scene: vtkMRMLScene
    :param tableNode: vtkMRMLTableNode to fill anew, or None to add one
    :param title: name of a new table node
    :returns: vtkMRMLTableNode
    """
    if tableNode is None:
        tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", title or _("CBV statistics"))
    table = vtk.vtkTable()
    for column in _columns():
        cells = vtk.vtkStringArray()
        cells.SetName(column.name)
        for line in lines:
            cells.InsertNextValue(_text(getattr(line, column.field)))
        table.AddColumn(cells)
    tableNode.SetUseColumnTitleAsColumnHeader(True)
    tableNode.SetLocked(True)
    tableNode.SetAndObserveTable(table)
    for column in _columns():
        tableNode.SetColumnTitle(column.name, column.title)
        tableNode.SetColumnDescription(column.name, column.told)
    return tableNode


def asCsv(tableNode, delimiter: str = ",") -> str:
    """A table node as comma-separated values, with its column names in the first line."""
    table = tableNode.GetTable()
    names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    for row in range(table.GetNumberOfRows()):
        writer.writerow([defused(table.GetValue(row, column).ToString()) for column in range(len(names))])
    return text.getvalue()


@dataclass(frozen=True)
class _Column:
    """One column of the table.

    :param field: of `RegionStatistics`
    :param name: in files and reports
    :param title: what its head says in the panel, where there is little room
    :param told: what its tooltip says
    """

    field: str
    name: str
    title: str
    told: str


def _columns() -> tuple[_Column, ...]:
    standardized = _("Prediction and reference, each standardized over the brain (z-scores)")
    return (
        _Column("name", _("Region"), _("Region"), ""),
        _Column("voxels", _("Voxels"), _("Voxels"), ""),
        _Column("mean", _("Prediction mean"), _("CBV"), _("Mean of the predicted CBV")),
        _Column("sd", _("Prediction SD"), _("± SD"), _("Standard deviation of the predicted CBV over the region")),
        _Column("referenceMean", _("Reference mean"), _("Ref"), _("Mean of the reference CBV")),
        _Column("referenceSd", _("Reference SD"), _("± SD"), _("Standard deviation of the reference over the region")),
        _Column("l1", _("L1"), _("L1"), _("{what}: mean absolute difference").format(what=standardized)),
        _Column("l2", _("L2"), _("L2"), _("{what}: mean squared difference").format(what=standardized)),
        _Column("ssim", _("SSIM"), _("SSIM"), _("{what}: structural similarity").format(what=standardized)),
    )


def _text(cell: str | float | int | None) -> str:
    if cell is None:
        return ""
    return _FORMAT.format(cell) if isinstance(cell, float) else str(cell)
