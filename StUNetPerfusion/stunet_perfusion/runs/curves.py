"""The curves that a report keeps: mean signal of brain and white matter over their baseline."""

from __future__ import annotations

from typing import Any

import numpy as np

from stunet_perfusion.preprocessing.brain import mean_curve
from stunet_perfusion.preprocessing.preparation import PreparedSeries


def describe_curves(prepared: PreparedSeries, white_matter: np.ndarray | None) -> dict[str, Any]:
    """Signal in percent of the baseline, frame by frame, as JSON.

    :param prepared: as the maps were computed from it
    :param white_matter: (Z, Y, X) bool, or None
    """
    regions = {"brain": prepared.brain}
    if white_matter is not None:
        regions["white_matter"] = white_matter
    times = prepared.series.times
    document: dict[str, Any] = {"times_s": np.round(times - times[0], 3).tolist(), "unit": "% of the baseline"}
    for name, region in regions.items():
        curve = mean_curve(prepared.series, region)
        level = curve[: prepared.bolus.arrival].mean()
        document[name] = np.round(100 * curve / level, 2).tolist() if level > 0 else None
    return document
