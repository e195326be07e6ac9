"""Which numbers of a case stand in the summary."""

from __future__ import annotations

#: Scores against a reference map that the summary shows, as `compare_maps` names them.
SCORES = ("l1", "l2", "ssim", "tumor_l1", "pearson", "concordance", "nrcbv_reference")

#: How good the series is, as `QualityReport` measures it: light 0 green, 1 yellow, 2 red.
QUALITY = (
    "quality",
    "temporal_snr",
    "contrast_to_noise",
    "signal_drop",
    "bolus_width_s",
    "displacement_mm",
    "damaged_slices",
    "drift_percent",
)

#: Numbers in which a case may be unlike the others of its cohort.
COMPARED = (
    "brain_ml",
    "nawm_ml",
    "cbv_nawm",
    "nrcbv",
    "uncertainty_brain",
    *QUALITY[1:5],
)

#: All numbers of a case, in the order of the summary. CBV has the unit of the map, ratios and scores have none. White
#: matter is that of the table, or else what was found.
NUMBERS = (
    "brain_ml",
    "tumor_ml",
    "nawm_ml",
    "cbv_brain",
    "cbv_tumor",
    "cbv_nawm",
    "nrcbv",
    "uncertainty_brain",
    *SCORES,
    *QUALITY,
    "seconds",
)
