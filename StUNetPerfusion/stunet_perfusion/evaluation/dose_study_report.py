"""The files of the study of simulated doses: numbers, curves, figures and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stunet_perfusion.evaluation.dose_study import NOISE_FREE, USUAL_WINDOW, StudyResult
from stunet_perfusion.evaluation.dose_study_figures import mean_of, save_bias, save_curves, save_noise
from stunet_perfusion.evaluation.report import table_text
from stunet_perfusion.evaluation.tables import write_table
from stunet_perfusion.support.staged import staged_file

REPORT = "dose_study.md"


def write_study(output: Path, result: StudyResult) -> list[str]:
    """Write `dose_study.csv`, `dose_study_curves.csv`, three figures and `dose_study.md`.

    :returns: the files' names
    :raises InputError: matplotlib is not installed
    :raises OutputError: a file cannot be written
    """
    write_table(output / "dose_study.csv", result.rows)
    write_table(output / "dose_study_curves.csv", result.curves)
    figures = {"dose_curves.png": save_curves, "dose_bias.png": save_bias, "dose_noise.png": save_noise}
    for name, save in figures.items():
        save(output / name, result)
    with staged_file(output / REPORT) as file:
        file.write_text(study_text(result, list(figures)), encoding="utf-8")
    return ["dose_study.csv", "dose_study_curves.csv", REPORT, *figures]


def study_text(result: StudyResult, figures: list[str]) -> str:
    """The report, mean over heads, Equation 1 with its usual window."""
    rows = result.rows
    snrs = sorted({row["snr"] for row in rows if row["snr"] != NOISE_FREE})
    heads = len({row["head"] for row in rows})
    head = [
        "dose, tissue, method",
        "peak bias (%)",
        "area bias (%)",
        *(f"CBV noise ratio, SNR {snr:g}" for snr in snrs),
    ]
    lines = []
    for dose in dict.fromkeys(row["dose"] for row in rows):
        for tissue in dict.fromkeys(row["tissue"] for row in rows):
            for method, window, title in (
                ("equation1", USUAL_WINDOW, "Equation 1"),
                ("noise-matched", 0, "noise-matched"),
            ):
                lines.append(
                    [f"{100 * dose:g} %, {tissue}, {title}", *_numbers(rows, dose, tissue, method, window, snrs)]
                )
    return (
        "\n\n".join(
            (
                "# Simulated low doses compared with scanned low doses",
                "**Research use only: not for diagnosis.**",
                f"Data: {heads} phantoms. Each is scanned at full dose and at each lower dose, every scan with its own "
                "noise and without drift. Peak and area bias: of the noise-free mean delta R2* curve of a tissue. "
                "CBV noise ratio: standard deviation over voxels of the noise in CBV, divided by that of the scan at "
                f"the lower dose; a right simulation has 1. Equation 1 has a window of {USUAL_WINDOW} frames; other "
                "windows are in `dose_study.csv`. Tumors leak. Leaked contrast agent also shortens T1, which neither "
                "method scales.",
                table_text(head, lines),
                *(f"![{name}]({name})" for name in figures),
            )
        )
        + "\n"
    )


def _numbers(
    rows: list[dict[str, Any]], dose: float, tissue: str, method: str, window: int, snrs: list[float]
) -> list[str]:
    clean = [row for row in rows if row["snr"] == NOISE_FREE]
    noisy = [row for row in rows if "noise_ratio" in row]
    bias = [f"{100 * mean_of(clean, name, dose, tissue, method, window):.1f}" for name in ("peak_bias", "area_bias")]
    return bias + [f"{mean_of(noisy, 'noise_ratio', dose, tissue, method, window, snr):.2f}" for snr in snrs]
