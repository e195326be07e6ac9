"""A map beside its reference: the difference, and the lines of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer

from stunet_perfusion.series import Grid
from stunet_perfusion.support.errors import InputError
from StUNetPerfusionLib.scene.masks import maskOf
from StUNetPerfusionLib.scene.nodeFrames import gridOfVolume
from StUNetPerfusionLib.scene.statistics import RegionStatistics, ratioOf, regionStatistics
from StUNetPerfusionLib.translation import tr as _


@dataclass(frozen=True, eq=False)
class Regions:
    """Where maps are compared; all (Z, Y, X) bool.

    :param brain: or None to take the voxels in which the map is not 0
    :param tumor: or None
    :param nawm: normal-appearing white matter, or None
    :param others: by name
    """

    brain: np.ndarray | None = None
    tumor: np.ndarray | None = None
    nawm: np.ndarray | None = None
    others: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two maps on one grid.

    :param values: (Z, Y, X) float32, the map
    :param reference: (Z, Y, X) float32
    :param regions: where they are compared
    :param names: what messages call the two
    """

    values: np.ndarray
    reference: np.ndarray
    regions: Regions
    names: tuple[str, str]

    @property
    def brain(self) -> np.ndarray:
        """(Z, Y, X) bool."""
        return self.values != 0 if self.regions.brain is None else self.regions.brain

    def arrays(self) -> dict[str, np.ndarray]:
        """What the worker is to compare."""
        arrays = {"map": self.values, "reference": self.reference, "mask": self.brain}
        regions = {"tumor": self.regions.tumor, "nawm": self.regions.nawm}
        return arrays | {name: mask for name, mask in regions.items() if mask is not None}

    def difference(self) -> np.ndarray:
        """(Z, Y, X) float32: map minus reference, 0 where one of them is 0: outside the brain there is nothing to
        subtract.
        """
        both = (self.values != 0) & (self.reference != 0)
        return np.where(both, self.values - self.reference, 0).astype(np.float32)

    def lines(self, scores: Mapping[str, float]) -> list[RegionStatistics]:
        """The lines of the table.

        :param scores: as `metrics.compare_maps` gives them
        """

        def line(name: str, mask: np.ndarray, prefix: str | None = None) -> RegionStatistics:
            known = {} if prefix is None else {key: scores.get(prefix + key) for key in ("l1", "l2", "ssim")}
            return regionStatistics(name, mask, self.values, self.reference, known)

        regions = self.regions
        lines = [line(_("Brain"), self.brain, "")]
        tumor = None if regions.tumor is None else line(_("Tumor"), regions.tumor, "tumor_")
        nawm = None if regions.nawm is None else line(_("Normal white matter"), regions.nawm)
        lines += [known for known in (tumor, nawm) if known is not None]
        named = {known.name.casefold() for known in lines}
        for name, mask in regions.others.items():
            told = _("{name} (another segment)").format(name=name) if name.casefold() in named else name
            lines.append(line(told, mask))
        if tumor is not None and nawm is not None:
            lines.append(ratioOf(_("Tumor / white matter"), tumor, nawm))
        return lines


def regionsOf(grid: Grid, mask: Any, tumor: Any, nawm: Any, others: Mapping[str, Any] | None) -> Regions:
    """The regions that the user chose, each as `masks.maskOf` takes it.

    :param grid: of the maps
    :raises InputError: as `maskOf`
    """
    return Regions(
        maskOf(mask, grid, _("brain mask")),
        maskOf(tumor, grid, _("tumor")),
        maskOf(nawm, grid, _("white matter")),
        {name: maskOf(source, grid, name) for name, source in (others or {}).items() if source is not None},
    )


def comparisonOf(mapNode, referenceNode, regions: Regions) -> Comparison:
    """Two volumes in the scene.

    :raises InputError: volumes on different grids, or a map that is 0 everywhere
    """
    if not gridOfVolume(mapNode).matches(gridOfVolume(referenceNode)):
        raise InputError(
            referenceNode.GetName(),
            _("is on another grid than {name}").format(name=mapNode.GetName()),
            _("resample it to the grid of the map first"),
        )
    values, reference = (slicer.util.arrayFromVolume(node).astype(np.float32) for node in (mapNode, referenceNode))
    comparison = Comparison(values, reference, regions, (mapNode.GetName(), referenceNode.GetName()))
    if not comparison.brain.any():
        raise InputError(mapNode.GetName(), _("is 0 everywhere"), _("choose a map that was computed"))
    return comparison
