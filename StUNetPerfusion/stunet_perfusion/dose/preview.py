"""The lower dose while somebody drags a slider: single frames and curves, as soon as they are looked at.

Everything here equals `dose.simulate_slice` with the generator of the slice, `np.random.default_rng([seed, z])`, bit
for bit, and any frame costs the same. What does not depend on the dose, the baseline and the noise, is kept for what
was looked at last.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from stunet_perfusion.dose.simulate import (
    Method,
    NoisyBaseline,
    centered_mean,
    check_dose,
    frame_generator,
    lower_by_equation1,
    lower_with_noise,
    moving_average,
)
from stunet_perfusion.kinetics.concentration import baseline_signal
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Frames of equation 1's moving average, as `simulate_slice` takes them by default.
WINDOW = 5

#: Slices whose baseline is kept, 1 MB each for 256 x 256: all that a view across them shows.
_SLICES_KEPT = 64

#: Frames of slices whose noise is kept, 0.25 MB each for 256 x 256: a curve, or one frame of a view across the slices.
_NOISE_KEPT = 128


class DosePreview:
    """A series whose lower doses are looked at.

    :param prepared: steady frames only, at full dose; only read
    """

    def __init__(self, prepared: PreparedSeries) -> None:
        self._signal = prepared.series.signal
        self._baseline_frames = prepared.bolus.arrival
        self._slices: OrderedDict[int, _Slice] = OrderedDict()
        self._noise = _Noise(self._signal.shape[2:])

    def frame(self, z: int, frame: int, dose: float, method: Method, seed: int = 0) -> np.ndarray:
        """One frame of one slice.

        :param z: number of the slice
        :param frame: number of the frame in the prepared series
        :param dose: share of the dose that is kept, in (0, 1]
        :param method: "equation1" or "noise-matched"
        :param seed: of the noise
        :returns: (Y, X) float32
        :raises InputError: as `simulate_slice`
        """
        check_dose(dose, method, WINDOW)
        if dose == 1:
            return self._signal[frame, z].astype(np.float32)
        return self._slice(z).frame(frame, dose, method, seed)

    def slice(self, z: int, dose: float, method: Method, seed: int = 0) -> np.ndarray:
        """All frames of one slice: (T, Y, X) float32. Parameters as of `frame`."""
        result = np.empty((len(self._signal), *self._signal.shape[2:]), np.float32)
        for frame in range(len(result)):
            result[frame] = self.frame(z, frame, dose, method, seed)
        return result

    def voxel(self, z: int, row: int, column: int, dose: float, method: Method, seed: int = 0) -> np.ndarray:
        """The whole curve of one voxel: (T,) float32. The other parameters are as of `frame`."""
        check_dose(dose, method, WINDOW)
        if dose == 1:
            return self._signal[:, z, row, column].astype(np.float32)
        return self._slice(z).voxel(row, column, dose, method, seed)

    def _slice(self, z: int) -> _Slice:
        if z not in self._slices:
            self._slices[z] = _Slice(self._signal[:, z], z, self._baseline_frames, self._noise)
            if len(self._slices) > _SLICES_KEPT:
                self._slices.popitem(last=False)
        self._slices.move_to_end(z)
        return self._slices[z]


class _Slice:
    """One slice with what was found out about it when it was needed first.

    :param signal: (T, Y, X), steady frames only
    :param z: number of the slice
    :param baseline_frames: number of first frames without contrast
    :param noise: of the series
    """

    def __init__(self, signal: np.ndarray, z: int, baseline_frames: int, noise: _Noise) -> None:
        self._signal = signal if signal.dtype == np.float32 else signal.astype(np.float32)
        self._z = z
        self._baseline_frames = baseline_frames
        self._mean: np.ndarray | None = None
        self._baseline: NoisyBaseline | None = None
        self._noise = noise

    def frame(self, frame: int, dose: float, method: Method, seed: int) -> np.ndarray:
        signal = self._signal[frame]
        if method == "equation1":
            average = centered_mean(self._signal, frame, WINDOW)
            return lower_by_equation1(signal, average, self._baseline_mean(), dose)
        noise = self._noise.at(self._z, frame, seed).copy()
        return lower_with_noise(signal, self._noisy_baseline(), dose, noise)

    def voxel(self, row: int, column: int, dose: float, method: Method, seed: int) -> np.ndarray:
        signal = self._signal[:, row, column].copy()
        if method == "equation1":
            # Over so few frames numpy adds one after another in a curve as in a slice.
            average = moving_average(signal, WINDOW)
            return lower_by_equation1(signal, average, self._baseline_mean()[row, column], dose)
        noise = np.array([self._noise.at(self._z, frame, seed)[row, column] for frame in range(len(signal))])
        return lower_with_noise(signal, self._noisy_baseline().at(row, column), dose, noise)

    def _baseline_mean(self) -> np.ndarray:
        """Taken over the whole slice for a single voxel as well: a mean of a curve alone is rounded differently."""
        if self._mean is None:
            self._mean = baseline_signal(self._signal, self._baseline_frames)
        return self._mean

    def _noisy_baseline(self) -> NoisyBaseline:
        if self._baseline is None:
            self._baseline = NoisyBaseline.of(self._signal, self._baseline_frames)
        return self._baseline


class _Noise:
    """The noise of single frames of slices, as `simulate_slice` draws it; what was looked at last is kept.

    :param shape: (Y, X)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._drawn: OrderedDict[tuple[int, int, int], np.ndarray] = OrderedDict()

    def at(self, z: int, frame: int, seed: int) -> np.ndarray:
        """(Y, X) float32. Not to be changed."""
        key = (seed, z, frame)
        if key not in self._drawn:
            self._drawn[key] = frame_generator(seed, z, frame).standard_normal(self._shape, dtype=np.float32)
            if len(self._drawn) > _NOISE_KEPT:
                self._drawn.popitem(last=False)
        self._drawn.move_to_end(key)
        return self._drawn[key]
