"""A head with a bolus, three slices, invented; and what happens to real series, one damage each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stunet_perfusion.series import DscSeries, Grid

FRAMES, SLICES, SIZE = 60, 3, 64


@dataclass(frozen=True, eq=False)
class Head:
    """A series with its truth. Maps are (Z, Y, X)."""

    series: DscSeries
    cbv: np.ndarray
    brain: np.ndarray
    tumor: np.ndarray
    white: np.ndarray

    def changed(self, change) -> DscSeries:
        """The series with its signal changed: `change` takes and returns (T, Z, Y, X) float64."""
        signal = np.asarray(change(self.series.signal.astype(np.float64)), np.float32)
        times = np.arange(len(signal)) * self.series.frame_interval
        return replace(self.series, signal=signal, times=times)


def gamma(t: np.ndarray, arrival: float, rise: float) -> np.ndarray:
    """A first pass that is 1 at `arrival + rise`."""
    g = np.clip(t - arrival, 0, None) / rise
    return g**3 * np.exp(3 - 3 * g)


def make_head(
    frames: int = FRAMES, slices: int = SLICES, noise: float = 6.0, interval: float = 1.5, seed: int = 1
) -> Head:
    """Gray and white matter in waves, a tumor, two arteries, a bolus and what recirculates."""
    scale = SIZE / 96
    z, y, x = np.mgrid[:slices, :SIZE, :SIZE]
    y, x = y / scale, x / scale
    size = 1 - 0.04 * z
    brain = ((y - 48) / (40 * size)) ** 2 + ((x - 48) / (33 * size)) ** 2 < 1
    gray = np.sin(x / 5 + z) + np.sin(y / 6 - z) > 0.5
    tumor = ((y - 34) ** 2 + (x - 64) ** 2 < 64) & brain
    white = ~gray & brain & (x < 44) & (((y - 48) / 32) ** 2 + ((x - 48) / 26) ** 2 < 1)
    artery = ((y - 50) ** 2 + (x - 46) ** 2 < 8) | ((y - 30) ** 2 + (x - 30) ** 2 < 8)
    cbv = np.where(artery, 0.4, np.where(tumor, 0.07, brain * np.where(gray, 0.042, 0.02)))
    t = np.arange(frames) * 1.0
    slow = gamma(t, 12, 7) + 0.12 * (1 - np.exp(-np.clip(t - 20, 0, None) / 8))
    fast = gamma(t, 11, 5) + 0.12 * (1 - np.exp(-np.clip(t - 18, 0, None) / 8))
    curve = np.where(artery, 1.25 * fast[:, None, None, None], slow[:, None, None, None])
    s0 = brain * (600 + 90 * gray + 60 * np.cos(y / 9))
    generator = np.random.default_rng(seed)
    signal = np.abs(s0 * np.exp(-11 * cbv * curve) + generator.normal(0, noise, curve.shape))
    grid = Grid.from_lps((slices, SIZE, SIZE), np.zeros(3), np.array([2.4 / scale, 2.4 / scale, 5.0]), np.eye(3))
    series = DscSeries(signal.astype(np.float32), t * interval, grid, 0.03, "dsc")
    return Head(series, cbv, brain, tumor, white)
