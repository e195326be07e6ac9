"""The curves of one slice, -ln(S/S0) over the brain's mean area, and the maps that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from stunet_perfusion.curve_fit.first_pass import FirstPass, FittedFirstPass
from stunet_perfusion.curve_fit.physiological_noise import remove_physiological_noise
from stunet_perfusion.kinetics.concentration import baseline_signal


@dataclass(frozen=True, eq=False)
class SliceCurves:
    """The curves of a slice, computed once for all that is made of them.

    :param found: what they are measured by
    :param baseline: (Y, X) S0, in the unit of the signal
    :param curves: (T, Y, X) float32, -ln(S/S0) over the brain's mean area; 0 in air
    """

    found: FirstPass
    baseline: np.ndarray
    curves: np.ndarray

    @overload
    @staticmethod
    def of(signal: np.ndarray, found: FittedFirstPass, frames: int | None = None) -> FittedSliceCurves: ...
    @overload
    @staticmethod
    def of(signal: np.ndarray, found: FirstPass, frames: int | None = None) -> SliceCurves: ...
    @staticmethod
    def of(signal: np.ndarray, found: FirstPass, frames: int | None = None) -> SliceCurves:
        """In single precision, which is far finer than the noise of any scan; the reference is computed otherwise.

        :param signal: (T, Y, X) of the prepared series, every frame of it; any shape after T will do
        :param frames: how many of the first frames are wanted, None for all; no fewer than those of the first pass
        """
        baseline = baseline_signal(signal, found.baseline_frames)
        tissue = baseline > found.air
        divisor = np.where(tissue, baseline, np.float32(1))
        factor = np.where(tissue, np.float32(-1 / found.brain_area), np.float32(0))
        curves = np.empty((frames or len(signal), *baseline.shape), np.float32)
        # One frame stays in a processor's cache through all the steps; a slice does not.
        for frame, curve in zip(signal, curves, strict=False):
            np.divide(frame, divisor, out=curve)
            # Without a logarithm, as `concentration` has it.
            np.log(curve, out=curve, where=curve > 0)
            curve *= factor
        if isinstance(found, FittedFirstPass):
            return FittedSliceCurves(found, baseline, curves)
        return SliceCurves(found, baseline, curves)

    def blood_volume(self) -> np.ndarray:
        """(Y, X) float32, the closed form of the first pass: `first_pass_cbv` up to a factor that the arterial input
        would give, in multiples of the brain's mean; 0 in air.
        """
        return self.curves[: self.found.stop].sum(axis=0)

    def noise(self) -> np.ndarray:
        """(Y, X) float32, the standard deviation of the curves' noise before the bolus; 0 in air."""
        tissue = self.baseline > self.found.air
        of_signal = np.float32(self.found.noise / self.found.brain_area)
        return np.divide(of_signal, self.baseline, out=np.zeros(tissue.shape, np.float32), where=tissue)


@dataclass(frozen=True, eq=False)
class FittedSliceCurves(SliceCurves):
    """Curves that are also measured by the brain's mean curve."""

    found: FittedFirstPass

    def fitted_blood_volume(self) -> np.ndarray:
        """(Y, X) float32, how much of the brain's mean curve is in the voxels' curves, without what the noise of the
        body adds; all frames are needed, and a slice as it lies.
        """
        return self._steadied

    def fit_noise(self) -> np.ndarray:
        """(Y, X) float32, the standard deviation that the noise of the signal gives that; 0 in air."""
        return self._fitted[1]

    def arrival(self) -> np.ndarray:
        """(Y, X) float32, how early the voxels' curves come, in standard deviations of its noise; 0 in air."""
        return self.found.fit.arrival(self.curves, self.noise())

    @cached_property
    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        return self.found.fit.measure(self.curves, self.noise())

    @cached_property
    def _steadied(self) -> np.ndarray:
        found, (volume, noise) = self.found, self._fitted
        weights, arrival = found.fit.weights, found.baseline_frames
        return remove_physiological_noise(volume, noise, self.curves, self.baseline, weights, arrival, found.stop)

    def correlated_noise(self) -> np.ndarray:
        """(Y, X) float32, the standard deviation that correlated noise adds to the fit's average with neighbors, for
        which a network that knows only white noise does not allow; 0 in air.
        """
        return self.fit_noise() * np.float32(self.found.correlated_noise / self.found.fit.noise_gain)
