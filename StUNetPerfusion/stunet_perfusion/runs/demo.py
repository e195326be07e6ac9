"""The whole job on a phantom, in one go: doses, predictions, reference maps, scores, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.dose.simulate import Method, simulate_dose
from stunet_perfusion.inference.predict import (
    CbvMap,
    known_scale,
    predict_standardized,
    to_blood_volume,
)
from stunet_perfusion.kinetics.aif import automatic_aif
from stunet_perfusion.kinetics.reference import ReferenceMaps, first_pass_cbv, reference_maps
from stunet_perfusion.metrics import compare_maps, nrcbv
from stunet_perfusion.networks.checkpoint import Checkpoint
from stunet_perfusion.phantom import DOSES, Phantom
from stunet_perfusion.phantom.files import FILES
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.runs.figures import (
    Panel,
    busiest_slice,
    cropped,
    save_comparison,
)
from stunet_perfusion.support.progress import Progress, no_progress, part_of
from stunet_perfusion.writing import write_json, write_map

REFERENCE = "reference"

#: Names of maps as people read them.
TITLES = {REFERENCE: "Reference", "hess": "Hess", "ulas": "Ulas", "stunet": "stU-Net"}


@dataclass(frozen=True, eq=False)
class DoseResult:
    """Everything that was computed at one dose.

    :param dose: share of the injected dose
    :param reference: the closed-form maps
    :param predictions: predicted map by network
    """

    dose: float
    reference: ReferenceMaps
    predictions: dict[str, CbvMap]

    def cbv(self, method: str) -> np.ndarray:
        """(Z, Y, X) CBV by `reference` or a network."""
        return self.reference.cbv if method == REFERENCE else self.predictions[method].cbv


def run_doses(
    phantom: Phantom,
    checkpoints: Sequence[Checkpoint],
    method: Method,
    stride: int,
    device: str,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[DoseResult]:
    """Lower the dose of the phantom's full-dose series, and compute every map at every dose."""
    prepared = prepare(phantom.series(1.0))
    results = []
    for n, dose in enumerate(DOSES):
        report = part_of(progress, n / len(DOSES), (n + 1) / len(DOSES))
        lowered = simulate_dose(prepared.series, prepared.bolus.arrival, dose, method, seed)
        results.append(_one_dose(replace(prepared, series=lowered), dose, checkpoints, stride, device, report))
    return results


def _one_dose(
    prepared: PreparedSeries,
    dose: float,
    checkpoints: Sequence[Checkpoint],
    stride: int,
    device: str,
    progress: Progress,
) -> DoseResult:
    aif = automatic_aif(prepared)
    maps = reference_maps(
        prepared.series, prepared.bolus.arrival, aif.curve, prepared.brain, progress=part_of(progress, 0, 0.2)
    )
    first_pass = first_pass_cbv(prepared.series, prepared.bolus, aif.curve)
    predictions = {}
    for n, checkpoint in enumerate(checkpoints):
        share = 0.8 / len(checkpoints)
        report = part_of(progress, 0.2 + n * share, 0.2 + (n + 1) * share)
        predicted = predict_standardized(prepared, checkpoint, stride=stride, device=device, progress=report)
        scale = known_scale(checkpoint.info, first_pass, prepared.brain)
        predictions[checkpoint.info.network] = to_blood_volume(prepared, predicted, first_pass, scale)
    return DoseResult(dose, maps, predictions)


def score_doses(phantom: Phantom, results: Sequence[DoseResult]) -> list[dict[str, Any]]:
    """L1, L2 and SSIM of every map against the full-dose reference, as in the paper, and against the truth.

    :returns: one row a dose and method, with the names of `compare_maps`
    """
    full_dose_reference = next(result.reference.cbv for result in results if result.dose == 1)
    rows = []
    for result in results:
        for method in (REFERENCE, *result.predictions):
            for against, other in (("reference", full_dose_reference), ("truth", phantom.cbv)):
                if against == "reference" and method == REFERENCE and result.dose == 1:
                    continue
                scores = compare_maps(result.cbv(method), other, phantom.mask, phantom.tumor, phantom.nawm)
                rows.append({"dose": result.dose, "method": method, "against": against, **scores})
    return rows


def former_demo(folder: Path) -> frozenset[str] | None:
    """The files of a demonstration that is in a folder; None where there is none."""
    doses = [f"dose-{round(100 * dose):03d}" for dose in DOSES]
    known = {f"phantom/{name}" for name in FILES} | {"scores.csv", "scores.json", "comparison.png"}
    known |= {f"{name}.nii.gz" for name in ("truth_cbv", "mask", "tumor", "nawm")}
    known |= {f"{dose}/{REFERENCE}_{name}.nii.gz" for dose in doses for name in ("cbv", "cbf", "mtt")}
    maps = ("cbv", "cbv_standardized", "cbv_uncertainty")
    learned = {f"{dose}/{one}_{name}.nii.gz" for dose in doses for one in TITLES for name in maps}
    if not all((folder / name).is_file() for name in known):
        return None
    return frozenset(known | {name for name in learned if (folder / name).is_file()})


def write_maps(folder: Path, phantom: Phantom, results: Sequence[DoseResult]) -> None:
    """Write every map as NIfTI: `dose-050/stunet_cbv.nii.gz` and so on."""
    for result in results:
        of_dose = folder / f"dose-{round(100 * result.dose):03d}"
        of_dose.mkdir()
        for name in ("cbv", "cbf", "mtt"):
            write_map(of_dose / f"reference_{name}.nii.gz", getattr(result.reference, name), phantom.grid)
        for network, predicted in result.predictions.items():
            write_map(of_dose / f"{network}_cbv.nii.gz", predicted.cbv, phantom.grid)
            write_map(of_dose / f"{network}_cbv_standardized.nii.gz", predicted.standardized, phantom.grid)
            write_map(of_dose / f"{network}_cbv_uncertainty.nii.gz", predicted.uncertainty, phantom.grid)
    for name, values in (
        ("truth_cbv", phantom.cbv),
        ("mask", phantom.mask),
        ("tumor", phantom.tumor),
        ("nawm", phantom.nawm),
    ):
        write_map(folder / f"{name}.nii.gz", values, phantom.grid)


def write_scores(folder: Path, rows: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> None:
    """Write the table as `scores.csv` for people and `scores.json` with what it was made from."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(name, "")) for name in columns) for row in rows]
    (folder / "scores.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(folder / "scores.json", {**provenance, "rows": list(rows)})


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_figure(
    path: Path, phantom: Phantom, results: Sequence[DoseResult], rows: Sequence[dict[str, Any]], method: Method
) -> None:
    """The paper's Fig. 1 for the phantom: a row a dose; reference, networks and truth in columns."""
    z = busiest_slice(phantom.tumor, phantom.mask)
    methods = (REFERENCE, *results[0].predictions)
    panels: dict[str, list[Panel]] = {}
    for result in results:
        line = []
        for name in methods:
            score = next(
                row for row in rows if (row["dose"], row["method"], row["against"]) == (result.dose, name, "truth")
            )
            caption = f"L1 {score['l1']:.2f}  SSIM {score['ssim']:.2f}  tumor {score['nrcbv']:.1f}"
            line.append(_panel(result.cbv(name), phantom, z, caption))
        true_ratio = nrcbv(phantom.cbv, phantom.tumor, phantom.nawm)
        line.append(_panel(phantom.cbv, phantom, z, f"tumor {true_ratio:.1f}"))
        panels[f"{100 * result.dose:g} % dose"] = line
    how = {"equation1": "Equation 1 of the paper", "noise-matched": "noise-matched simulation"}[method]
    save_comparison(
        path,
        panels,
        [*(TITLES[name] for name in methods), "Truth"],
        f"Cerebral blood volume of a digital phantom; lower doses by {how}",
        "L1 and SSIM against the truth, brain of all slices, standardized maps. Tumor: mean over normal white matter. "
        "Research use only.",
    )


def _panel(cbv: np.ndarray, phantom: Phantom, z: int, caption: str) -> Panel:
    white_matter = float(cbv[phantom.nawm].mean())
    return Panel(cropped(cbv[z] / white_matter, phantom.mask[z]), caption)
