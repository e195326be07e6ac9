"""A phantom as a folder of files, and in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.phantom.anatomy import Tissue
from stunet_perfusion.phantom.phantom import DOSES, Phantom
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.support.staged_folder import staged_folder
from stunet_perfusion.writing import write_map, write_series

#: The name of the series at each dose.
SERIES = dict(zip(DOSES, ("dsc.nii.gz", "dsc_dose-050.nii.gz", "dsc_dose-025.nii.gz"), strict=True))


#: Names of all files of a phantom.
FILES = frozenset(
    {*SERIES.values(), *(name.replace(".nii.gz", ".json") for name in SERIES.values()), "aif.txt"}
    | {f"truth_{name}.nii.gz" for name in ("cbv", "cbf", "mtt")}
    | {f"{name}.nii.gz" for name in ("mask", "tumor", "nawm", "vessels")}
)


def former_phantom(folder: Path) -> frozenset[str] | None:
    """The files of a phantom that is in a folder; None where not all of them are there."""
    return FILES if all((folder / name).is_file() for name in FILES) else None


def write_phantom(
    folder: str | Path,
    phantom: Phantom,
    progress: Progress = no_progress,
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> list[str]:
    """Write the series at full, half and quarter dose, truth, masks and AIF: all of them, or none.

    A phantom of before is replaced whole.

    :param inputs: files that it was made from
    :param overwrite: whether files may be replaced that are no whole phantom
    :returns: names of the files
    :raises InputError: an input would be replaced
    :raises OutputError: the folder cannot be written, or files are in the way
    """
    with staged_folder(folder, former_phantom, inputs=inputs, overwrite=overwrite) as stage:
        for name, values in (
            ("truth_cbv", phantom.cbv),
            ("truth_cbf", phantom.cbf),
            ("truth_mtt", phantom.mtt),
            ("mask", phantom.mask),
            ("tumor", phantom.tumor),
            ("nawm", phantom.nawm),
            ("vessels", phantom.vessels),
        ):
            write_map(stage / f"{name}.nii.gz", values, phantom.grid)
        (stage / "aif.txt").write_text("".join(f"{value:.6g}\n" for value in phantom.aif), encoding="ascii")
        for n, (dose, name) in enumerate(SERIES.items()):
            report = part_of(progress, n / len(SERIES), (n + 1) / len(SERIES))
            report(0.0, f"Scanning at {100 * dose:g} % of the dose")
            series = phantom.series(dose)
            write_series(stage / name, series, progress=part_of(report, 0.3, 1.0))
        return sorted(file.name for file in stage.iterdir())


def summary(phantom: Phantom) -> dict[str, Any]:
    """What a person wants to know of a phantom: volumes, ratios of blood volume, and how deep the bolus is."""
    milliliters = float(np.prod(phantom.grid.spacing)) / 1000
    gray = phantom.fractions[Tissue.CORTEX] > 0.8
    white = phantom.fractions[Tissue.WHITE_LEFT] + phantom.fractions[Tissue.WHITE_RIGHT] > 0.9
    deepest = [_deepest_drop(phantom, z) for z in range(phantom.grid.shape[0])]
    drop = np.percentile(np.concatenate(deepest), [10, 50, 90]) if phantom.mask.any() else np.zeros(3)
    return {
        "shape": [phantom.protocol.frames, *phantom.grid.shape],
        "echo_time": phantom.echo_time,
        "frame_interval": phantom.frame_interval,
        "brain_ml": float(phantom.mask.sum() * milliliters),
        "tumor_ml": float(phantom.tumor.sum() * milliliters),
        "arterial_voxels": int(phantom.vessels.sum()),
        "gray_to_white_cbv": _ratio(phantom.cbv, gray, white),
        "tumor_nrcbv": _ratio(phantom.cbv, phantom.tumor, phantom.nawm),
        "signal_drop_percent_p10_p50_p90": [round(float(value), 1) for value in drop],
    }


def _ratio(values: np.ndarray, one: np.ndarray, other: np.ndarray) -> float | None:
    return float(values[one].mean() / values[other].mean()) if one.any() and other.any() else None


def _deepest_drop(phantom: Phantom, z: int) -> np.ndarray:
    """(brain voxels of a slice,) percent of the signal lost at the bolus's peak, without noise and leakage."""
    peak = phantom.delta_r2_star(z).max(axis=0)[phantom.mask[z]]
    return 100 * -np.expm1(-phantom.echo_time * peak)
