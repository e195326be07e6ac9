"""Figures of the study of simulated doses: curves, bias over the window, noise over the SNR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stunet_perfusion.evaluation.dose_study import NOISE_FREE, PHYSICAL, USUAL_WINDOW, StudyResult
from stunet_perfusion.evaluation.drawing import sheet

_STYLES = {
    PHYSICAL: {"color": "black", "label": "scan at the lower dose"},
    "equation1": {"color": "tab:red", "label": "Equation 1"},
    "noise-matched": {"color": "tab:blue", "linestyle": "--", "label": "noise-matched"},
}


def save_curves(path: Path, result: StudyResult) -> None:
    """Mean curves of the first head's tissues, noise-free, at every dose."""
    first = [row for row in result.curves if row["head"] == result.curves[0]["head"]]
    doses, tissues = _values(first, "dose"), _values(first, "tissue")
    with sheet(path, 3.2 * len(tissues), 2.6 * len(doses) + 0.8, "Mean curves of tissues, without noise") as figure:
        axes = figure.subplots(len(doses), len(tissues), squeeze=False, sharex=True)
        for line, dose in zip(axes, doses, strict=True):
            for axis, tissue in zip(line, tissues, strict=True):
                for method, style in _STYLES.items():
                    own = [r for r in first if (r["dose"], r["tissue"], r["method"]) == (dose, tissue, method)]
                    axis.plot([row["time"] for row in own], [row["delta_r2_star"] for row in own], **style)
                axis.set_title(f"{tissue}, {100 * dose:g} % dose", fontsize=9)
            line[0].set_ylabel("delta R2*, 1/s")
        for axis in axes[-1]:
            axis.set_xlabel("time, s")
        axes[0][0].legend(fontsize=8)


def save_bias(path: Path, result: StudyResult) -> None:
    """Bias of peak and area over Equation 1's window, mean over heads, without noise."""
    clean = [row for row in result.rows if row["snr"] == NOISE_FREE]
    doses, tissues = _values(clean, "dose"), _values(clean, "tissue")
    windows = sorted({row["window"] for row in clean if row["window"]})
    with sheet(path, 3.4 * len(tissues), 2.6 * len(doses) + 0.8, "Bias of simulated doses, without noise") as figure:
        axes = figure.subplots(len(doses), len(tissues), squeeze=False, sharex=True)
        for line, dose in zip(axes, doses, strict=True):
            for axis, tissue in zip(line, tissues, strict=True):
                for score, marker in (("peak_bias", "o"), ("area_bias", "s")):
                    name = score.split("_")[0]
                    own = [100 * mean_of(clean, score, dose, tissue, "equation1", window) for window in windows]
                    axis.plot(windows, own, marker=marker, color="tab:red", label=f"Equation 1, {name}")
                    level = 100 * mean_of(clean, score, dose, tissue, "noise-matched", 0)
                    axis.plot(windows, [level] * len(windows), marker=marker, linestyle="--", color="tab:blue",
                              label=f"noise-matched, {name}")  # fmt: skip
                axis.axhline(0, color="0.7", linewidth=0.8)
                axis.set_title(f"{tissue}, {100 * dose:g} % dose", fontsize=9)
            line[0].set_ylabel("bias, %")
        for axis in axes[-1]:
            axis.set_xlabel("window of Equation 1, frames")
        axes[0][0].legend(fontsize=7)


def save_noise(path: Path, result: StudyResult) -> None:
    """Noise of CBV over that of the scan at the lower dose, over the SNR, mean over heads."""
    noisy = [row for row in result.rows if "noise_ratio" in row]
    doses, tissues, snrs = _values(noisy, "dose"), _values(noisy, "tissue"), sorted(_values(noisy, "snr"))
    windows = sorted({row["window"] for row in noisy if row["window"]})
    with sheet(path, 3.2 * len(tissues), 2.6 * len(doses) + 0.8, "Noise of CBV, simulated over scanned") as figure:
        axes = figure.subplots(len(doses), len(tissues), squeeze=False, sharex=True)
        for line, dose in zip(axes, doses, strict=True):
            for axis, tissue in zip(line, tissues, strict=True):
                for window in windows:
                    own = [mean_of(noisy, "noise_ratio", dose, tissue, "equation1", window, snr) for snr in snrs]
                    width = 2 if window == USUAL_WINDOW else 0.8
                    axis.plot(snrs, own, ".-", color="tab:red", linewidth=width, label=f"Equation 1, {window} frames")
                own = [mean_of(noisy, "noise_ratio", dose, tissue, "noise-matched", 0, snr) for snr in snrs]
                axis.plot(snrs, own, ".--", color="tab:blue", label="noise-matched")
                axis.axhline(1, color="0.7", linewidth=0.8)
                axis.set_ylim(bottom=0)
                axis.set_title(f"{tissue}, {100 * dose:g} % dose", fontsize=9)
            line[0].set_ylabel("noise, ratio")
        for axis in axes[-1]:
            axis.set_xlabel("temporal SNR")
        axes[0][0].legend(fontsize=7)


def mean_of(
    rows: list[dict[str, Any]], score: str, dose: float, tissue: str, method: str, window: int, snr: float | None = None
) -> float:
    """The mean of a score over heads; NaN where no head has it."""
    wanted = (dose, tissue, method, window)
    found = [
        row[score]
        for row in rows
        if (row["dose"], row["tissue"], row["method"], row["window"]) == wanted and snr in (None, row["snr"])
    ]
    return float(np.mean(found)) if found else float("nan")


def _values(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """Distinct values in the order in which they come."""
    return list(dict.fromkeys(row[name] for row in rows))
