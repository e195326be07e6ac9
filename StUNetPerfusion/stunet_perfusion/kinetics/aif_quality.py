"""How far an arterial input can be trusted: its size, how far off its unit is, and whether noise cut its peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stunet_perfusion.kinetics.aif import ArterialInput
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: White matter holds 2 to 3 ml of blood per 100 ml. Where it seems to hold more, in the artery's unit, the artery's
#: curve is too small: its voxels hold tissue, and blood in vessels changes relaxation less than in capillaries.
EXPECTED_WHITE_MATTER = 0.025
_SUSPICIOUS = 2.0

#: At the noise floor a magnitude signal is about 1.3 times the noise; a mean this close to it has lost its peak.
_FLOOR = 3.0

#: Fewer voxels are noisy.
_FEW_VOXELS = 5


@dataclass(frozen=True)
class AifQuality:
    """What is known of an arterial input.

    :param voxels: that it is the mean of, or None for a curve from a file
    :param peak: largest delta R2*, 1/s, or without unit where TE is not known
    :param lowest_signal: share of the baseline that is left at the peak
    :param excess: how many times CBV in the artery's unit is too high, judged by white matter; None where unknown
    :param at_noise_floor: the artery's signal falls to the noise
    """

    voxels: int | None
    peak: float
    lowest_signal: float
    excess: float | None
    at_noise_floor: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a reader has to know, for people."""
        found = []
        if self.at_noise_floor:
            found.append(
                "The artery's signal falls to the noise floor: the peak of the AIF is cut off, so that CBF and the "
                "artery's unit of CBV come out too high; nCBV does not depend on it."
            )
        if self.excess is not None and self.excess > _SUSPICIOUS:
            found.append(
                f"In the AIF's unit white matter holds {100 * self.excess * EXPECTED_WHITE_MATTER:.0f} ml/100 ml of "
                f"blood, {self.excess:.1f} times what is known: the artery's voxels hold tissue; read nCBV instead."
            )
        if self.voxels is not None and self.voxels < _FEW_VOXELS:
            found.append(f"The AIF is the mean of {self.voxels} voxels only, and noisy.")
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return {
            "voxels": self.voxels,
            "peak": self.peak,
            "lowest_signal": self.lowest_signal,
            "excess": self.excess,
            "at_noise_floor": self.at_noise_floor,
        }


def judge_aif(aif: ArterialInput, prepared: PreparedSeries, white_matter_cbv: float | None = None) -> AifQuality:
    """Judge an arterial input.

    :param white_matter_cbv: CBV of normal white matter as a fraction of the artery's, where white matter is known
    """
    series, arrival = prepared.series, prepared.bolus.arrival
    peak = float(aif.curve.max())
    lowest = float(np.exp(-peak * (1.0 if series.echo_time is None else series.echo_time)))
    floor, count = False, None
    if aif.voxels is not None and aif.voxels.any():
        count = int(aif.voxels.sum())
        signal = series.signal[:, aif.voxels]
        noise = signal[:arrival].std(axis=0, ddof=1) if arrival > 2 else np.zeros(count)
        floor = bool(np.median(signal.min(axis=0)) < _FLOOR * np.median(noise))
    partial = None if white_matter_cbv is None else white_matter_cbv / EXPECTED_WHITE_MATTER
    return AifQuality(count, peak, lowest, partial, floor)
