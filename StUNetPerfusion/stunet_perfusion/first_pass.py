"""The first pass of the bolus in units that know neither dose, TE nor frame interval.

`-ln(S/S0)` is proportional to the dose, to TE and to the relaxivity, and its sum over the frames of the first pass to
the inverse of the frame interval besides. One number of the same series carries all of these: the mean over the brain
of that sum. Divided by it, what a voxel's curve sums up to is its blood volume in multiples of the brain's mean,
whatever was injected and however it was scanned. Half the dose halves both.

The mean is over voxels, tens of thousands of them, so that noise does not move it; it is taken between the 5th and 95th
percentile of the voxels, so that vessels and voxels without signal do not either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stunet_perfusion.body_noise import without_body_noise
from stunet_perfusion.bolus import Bolus, end_of_first_pass
from stunet_perfusion.by_slice import by_slice
from stunet_perfusion.concentration import area_under_curves, baseline_signal
from stunet_perfusion.dose import Method, simulate_slice
from stunet_perfusion.errors import InputError
from stunet_perfusion.noise_texture import RUN, noise_beyond_white, texture_of_noise
from stunet_perfusion.preparation import PreparedSeries
from stunet_perfusion.template_fit import TRIMMED, TemplateFit, fit_template
from stunet_perfusion.voxels import voxels_inside

#: A voxel whose baseline is darker than this share of the brain's median is air: noise over noise, and no curve.
AIR = 0.1

#: The largest -ln(S/S0) that a voxel of tissue has.
DEEPEST_DROP = 1.5

#: Voxels that the brain's mean at another dose is found in.
_SAMPLED_VOXELS = 10_000


@dataclass(frozen=True)
class FirstPass:
    """What a series' curves are measured by.

    :param baseline_frames: frames that S0 is the mean of
    :param stop: the frame after the last of the first pass
    :param frame_interval: s
    :param brain_area: mean over the brain of sum_t -ln(S/S0) over the first pass, without unit
    :param air: baseline signal below which a voxel is air
    :param noise: standard deviation over the baseline frames of a voxel's signal, the median over the brain
    :param fit: of the brain's mean curve, where it is wanted
    :param texture: standard deviation that noise unlike white noise leaves in the average of a voxel's fit with its
        neighbors', beyond white noise's and over `noise`; see `noise_texture`
    """

    baseline_frames: int
    stop: int
    frame_interval: float
    brain_area: float
    air: float
    noise: float = 0.0
    fit: TemplateFit | None = None
    texture: float = 0.0

    @property
    def curve_noise(self) -> float:
        """Standard deviation of the noise in a curve before the bolus, the median over the brain."""
        return self.noise * AIR / (self.air * self.brain_area) if self.air > 0 else 0.0


def find_first_pass(prepared: PreparedSeries, fitted: bool = False) -> FirstPass:
    """Look at a series once.

    :param fitted: fit the brain's mean curve, too
    :raises InputError: curves of the brain that sum up to nothing
    """
    signal, brain, bolus = prepared.series.signal, prepared.brain, prepared.bolus
    stop = end_of_first_pass(bolus, len(signal))

    def look_at(z: int) -> tuple[np.ndarray, ...]:
        curves = voxels_inside(signal[:stop, z], brain[z])
        return _areas(curves, bolus), baseline_signal(curves, bolus.arrival), _noise(curves, bolus)

    areas, baselines, noises = zip(*by_slice(look_at, np.flatnonzero(brain.any(axis=(1, 2)))), strict=True)
    area = trimmed_mean(np.concatenate(areas))
    if not area > 0:
        raise InputError(
            prepared.series.name,
            "takes up no contrast over the brain as a whole",
            "check the brain mask and the bolus with 'stunet-perfusion info'",
        )
    air = AIR * float(np.median(np.concatenate(baselines)))
    noise = float(np.median(np.concatenate(noises)))
    found = FirstPass(bolus.arrival, stop, prepared.series.frame_interval, area, air, noise)
    return _with_fit(found, sample_brain(prepared)) if fitted else found


def _with_fit(found: FirstPass, sample: np.ndarray) -> FirstPass:
    """:param sample: (T, n, neighbors) signal of voxels of the brain"""
    curves = SliceCurves.of(sample, found)
    fit = fit_template(
        curves.curves.reshape(len(sample), -1),
        curves.noise().ravel(),
        found.stop,
        found.brain_area,
        found.curve_noise,
        found.frame_interval,
    )
    return replace(found, fit=fit, texture=_texture(found, fit, sample, curves.baseline))


def _texture(found: FirstPass, fit: TemplateFit, sample: np.ndarray, baseline: np.ndarray) -> float:
    """:param baseline: (n, neighbors) of the sample"""
    if not found.noise > 0:
        return 0.0
    # Noise of S0 is in all frames alike.
    weights = fit.noise_weights.copy()
    weights[: found.baseline_frames] -= fit.weights.sum() / found.baseline_frames
    covariances = _texture_of_sample(sample, baseline, found.air, found.baseline_frames, found.stop)
    return noise_beyond_white(covariances, weights) / found.noise


def texture_of_brain(prepared: PreparedSeries) -> np.ndarray:
    """(RUN, lags) covariances of a series' noise, as `texture_of_noise`; 0 where a brain is too thin to tell."""
    sample, bolus = sample_brain(prepared), prepared.bolus
    baseline = baseline_signal(sample, bolus.arrival)
    air = AIR * float(np.median(baseline))
    return _texture_of_sample(sample, baseline, air, bolus.arrival, end_of_first_pass(bolus, len(sample)))


def _texture_of_sample(
    sample: np.ndarray, baseline: np.ndarray, air: float, baseline_frames: int, stop: int
) -> np.ndarray:
    """:param baseline: (n, neighbors) of the sample"""
    tissue = (baseline > air).all(axis=1)
    if sample.shape[-1] < RUN or not tissue.any():
        return np.zeros((RUN, 1))
    return texture_of_noise(sample[:, tissue] - baseline[tissue], baseline_frames, stop)


def sample_brain(prepared: PreparedSeries) -> np.ndarray:
    """Signal of some voxels of the brain, evenly spread: enough to find the brain's mean at other doses.

    :returns: (T, n, RUN), `RUN` neighbors along a row or a column together; (T, n, 1) where a brain is too thin for
        that
    """
    series, brain = prepared.series, prepared.brain
    run, starts = RUN, [_starts(brain, axis, RUN) for axis in (1, 2)]
    if not all(each.size for each in starts):
        run, starts = 1, [np.flatnonzero(brain)]
    step = max(sum(each.size for each in starts) * run // _SAMPLED_VOXELS, 1)
    ahead = (brain.shape[2], 1)
    voxels = np.concatenate(
        [each[::step, None] + along * np.arange(run) for each, along in zip(starts, ahead, strict=False)]
    )
    return series.signal[(slice(None), *np.unravel_index(voxels, brain.shape))]


def _starts(brain: np.ndarray, axis: int, run: int) -> np.ndarray:
    """Flat indices of voxels that are the first of `run` neighbors along an axis, all in the brain."""
    first = brain.copy()
    along, of_brain = np.moveaxis(first, axis, 0), np.moveaxis(brain, axis, 0)
    for ahead in range(1, run):
        along[:-ahead] &= of_brain[ahead:]
        along[-ahead:] = False
    return np.flatnonzero(first)


def first_pass_at_dose(
    sample: np.ndarray, bolus: Bolus, found: FirstPass, dose: float, method: Method, seed: int
) -> FirstPass:
    """What `find_first_pass` would find in the same series at a lower dose, up to the noise of a sample.

    :param sample: (T, n, neighbors) at full dose, as `sample_brain` takes it
    :param found: at full dose
    :raises InputError: as `simulate_slice`, or a dose so low that no contrast is left
    """
    if dose == 1:
        return found
    lowered = simulate_slice(sample, bolus.arrival, dose, method, np.random.default_rng([seed, sample.shape[1]]))
    ratio = trimmed_mean(_areas(lowered, bolus)) / trimmed_mean(_areas(sample, bolus))
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError("dose", f"at {dose:g} the brain takes up no contrast", "choose a higher dose")
    before, after = (float(np.median(_noise(each, bolus))) for each in (sample, lowered))
    noise = found.noise * after / before if before > 0 else 0.0
    at_dose = replace(found, brain_area=found.brain_area * ratio, noise=noise)
    return at_dose if found.fit is None else _with_fit(at_dose, lowered)


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

    @classmethod
    def of(cls, signal: np.ndarray, found: FirstPass, frames: int | None = None) -> SliceCurves:
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
        return cls(found, baseline, curves)

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

    def fitted_blood_volume(self) -> np.ndarray:
        """(Y, X) float32, how much of the brain's mean curve is in the voxels' curves, without what the noise of the
        body adds; all frames are needed, and a slice as it lies.
        """
        return self._steadied

    def fit_noise(self) -> np.ndarray:
        """(Y, X) float32, the standard deviation that the noise of the signal gives that; 0 in air."""
        return self._fitted[1]

    def earliness(self) -> np.ndarray:
        """(Y, X) float32, how early the voxels' curves come, in standard deviations of its noise; 0 in air."""
        return self.found.fit.earliness(self.curves, self.noise())

    @cached_property
    def _fitted(self) -> tuple[np.ndarray, np.ndarray]:
        return self.found.fit.measure(self.curves, self.noise())

    @cached_property
    def _steadied(self) -> np.ndarray:
        found, (volume, noise) = self.found, self._fitted
        weights, arrival = found.fit.weights, found.baseline_frames
        return without_body_noise(volume, noise, self.curves, self.baseline, weights, arrival, found.stop)

    def texture_noise(self) -> np.ndarray:
        """(Y, X) float32, the standard deviation that noise's texture adds to the fit's average with neighbors, for
        which a network that knows only white noise does not allow; 0 in air.
        """
        return self.fit_noise() * np.float32(self.found.texture / self.found.fit.noise_gain)


def noise_of_blood_volume(signal: np.ndarray, found: FirstPass) -> np.ndarray:
    """The standard deviation that the noise of the signal gives the closed form.

    Noise of standard deviation s in a signal S is s/S in its logarithm. It is independent from frame to frame, but for
    that of S0, which is the same in all frames of the first pass.

    :param signal: (T, Y, X) of the prepared series, every frame of it
    :returns: (Y, X) float32, multiples of the brain's mean; 0 in air
    """
    baseline = baseline_signal(signal, found.baseline_frames)
    tissue = baseline > found.air
    divisor = np.where(tissue, baseline, np.float32(1))
    # (S0/S)^2 of the frames that hold contrast. Where noise itself is taken for a deep drop, it would be counted as if
    # the signal were gone; and a signal that is gone has no drop, as in the curves.
    squares = np.full(baseline.shape, (found.stop - found.baseline_frames) ** 2 / found.baseline_frames, np.float32)
    for frame in signal[found.baseline_frames : found.stop]:
        ratio = frame / divisor
        np.copyto(ratio, 1, where=ratio <= 0)
        np.clip(ratio, np.float32(np.exp(-DEEPEST_DROP)), 1, out=ratio)
        squares += np.reciprocal(np.square(ratio, out=ratio), out=ratio)
    deviation = np.sqrt(squares, out=squares)
    deviation *= np.float32(found.noise / found.brain_area)
    deviation /= divisor
    return np.where(tissue, deviation, np.float32(0))


def trimmed_mean(values: np.ndarray) -> float:
    """Mean of the values between the 5th and the 95th percentile.

    :param values: (n,)
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return 0.0
    low, high = np.percentile(finite, TRIMMED)
    return float(finite[(finite >= low) & (finite <= high)].mean())


def _noise(curves: np.ndarray, bolus: Bolus) -> np.ndarray:
    """(n,) standard deviation of (T, n) signals before the bolus."""
    before = curves[: bolus.arrival]
    deviations = before - before.mean(axis=0)
    return np.sqrt(np.square(deviations, out=deviations).sum(axis=0) / np.float32(len(before) - 1))


def _areas(curves: np.ndarray, bolus: Bolus) -> np.ndarray:
    """(n,) sum over the first pass of (T, n) signals."""
    passage = curves[: end_of_first_pass(bolus, len(curves))]
    return area_under_curves(passage, baseline_signal(passage, bolus.arrival))
