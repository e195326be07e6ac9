"""Lights for the arterial input and for the maps: what no living brain has is said."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.kinetics.aif import ArterialInput
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.preprocessing.bolus import end_of_first_pass
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.quality.report import Finding, Light, QualityReport, light_of
from stunet_perfusion.support.voxels import trimmed_mean

#: Peak of the artery over the brain's mean, below which it is tissue.
_PEAK_OVER_BRAIN = (2.0, 1.1)

#: An artery whose signal falls below this share of its baseline reaches the noise floor.
_FLOOR = (0.08, 0.02)

#: Frames by which the artery may come later than the brain.
_LATEST = (0.5, 2.0)

#: Mean transit times of living brains, s.
_TRANSIT = (1.0, 20.0)


def quality_of_results(
    prepared: PreparedSeries, aif: ArterialInput, cbv: np.ndarray, mtt: np.ndarray | None = None
) -> QualityReport | None:
    """The series' quality with that of the arterial input and the maps; None where nobody looked at the series."""
    if prepared.quality is None:
        return None
    return prepared.quality.with_findings([on_aif(aif, prepared), on_maps(prepared, cbv, mtt)])


def on_aif(aif: ArterialInput, prepared: PreparedSeries) -> Finding:
    """How good the arterial input is: its height, its time, and the noise floor."""
    series, brain, arrival = prepared.series, prepared.brain, prepared.bolus.arrival
    te = 1.0 if series.echo_time is None else series.echo_time
    mean = series.signal[:, brain][:, :: max(int(brain.sum()) // 5000, 1)].mean(axis=1, dtype=np.float64)
    drop = -np.log(np.maximum(mean, 1e-9) / max(float(mean[:arrival].mean()), 1e-9)) / te
    stop = end_of_first_pass(prepared.bolus, series.frames)
    higher = float(aif.curve.max() / drop[:stop].max()) if drop[:stop].max() > 0 else 0.0
    later = _center(aif.curve[:stop]) - _center(drop[:stop])
    numbers: dict[str, float | int | None] = {
        "voxels": None if aif.voxels is None else int(aif.voxels.sum()),
        "peak_over_brain": round(higher, 3),
        "later_by_frames": round(later, 3),
        "lowest_share": None,
    }
    reasons: list[tuple[Light, str]] = [
        (
            light_of(higher, *_PEAK_OVER_BRAIN),
            f"it is {higher:.1f} times as high as the brain's mean curve, like tissue",
        ),
        (light_of(later, *_LATEST), f"it comes {later:.1f} frames after the brain's mean curve"),
    ]
    if aif.voxels is not None:
        curves = series.signal[:, aif.voxels].astype(np.float64)
        before = baseline_signal(curves, arrival)
        lowest = float(np.median(curves.min(axis=0)[before > 0] / before[before > 0])) if (before > 0).any() else 0.0
        numbers["lowest_share"] = round(lowest, 4)
        reasons.append(
            (light_of(lowest, *_FLOOR), f"its signal falls to {lowest:.2f} of its level, where noise is all")
        )
    odd = [(light, reason) for light, reason in reasons if light != "green"]
    if not odd:
        return Finding(
            "aif", "Arterial input", "green", "The arterial input is high, early and above noise.", "", numbers
        )
    worst: Light = "red" if any(light == "red" for light, _ in odd) else "yellow"
    meaning = f"The arterial input is doubtful: {' and '.join(reason for _, reason in odd)}; absolute values are off."
    return Finding("aif", "Arterial input", worst, meaning, "Choose arteries by hand, or read ratios only.", numbers)


def on_maps(prepared: PreparedSeries, cbv: np.ndarray, mtt: np.ndarray | None = None) -> Finding:
    """Whether the maps are those of a living brain.

    :param cbv: (Z, Y, X) any unit
    :param mtt: (Z, Y, X) seconds
    """
    brain = prepared.brain
    mean = trimmed_mean(cbv[brain])
    negative = float(np.mean(cbv[brain] < 0))
    numbers: dict[str, float | None] = {"negative_share": round(negative, 4), "median_mtt_s": None}
    reasons = []
    if not mean > 0 or negative > 0.4:
        reasons.append(f"{100 * negative:.0f} % of the brain has negative blood volume")
    if mtt is not None and (mtt[brain] > 0).any():
        median = float(np.median(mtt[brain][mtt[brain] > 0]))
        numbers["median_mtt_s"] = round(median, 4)
        if not _TRANSIT[0] <= median <= _TRANSIT[1]:
            reasons.append(f"the mean transit time is {median:.2g} s")
    if not reasons:
        return Finding("living", "Plausibility", "green", "The values are those of a living brain.", "", numbers)
    meaning = f"No living brain has such values: {' and '.join(reasons)}."
    return Finding("living", "Plausibility", "red", meaning, "Check the kind of data, the times and the AIF.", numbers)


def _center(curve: np.ndarray) -> float:
    """Center of the upper part of a curve, frames."""
    high = np.maximum(curve - 0.3 * curve.max(), 0)
    return float(np.arange(len(curve)) @ high / high.sum()) if high.sum() > 0 else 0.0
