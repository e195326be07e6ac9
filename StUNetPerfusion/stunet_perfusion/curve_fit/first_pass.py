"""The first pass of the bolus in units that know neither dose, TE nor frame interval.

`-ln(S/S0)` is proportional to the dose, to TE and to the relaxivity, and its sum over the frames of the first pass to
the inverse of the frame interval besides. One number of the same series carries all of these: the mean over the brain
of that sum. Divided by it, what a voxel's curve sums up to is its blood volume in multiples of the brain's mean,
whatever was injected and however it was scanned. Half the dose halves both.

The mean is over voxels, tens of thousands of them, so that noise does not move it; it is taken between the 5th and 95th
percentile of the voxels, so that vessels and voxels without signal do not either.
"""

from __future__ import annotations

from dataclasses import dataclass

from stunet_perfusion.curve_fit.mean_curve_fit import MeanCurveFit

#: A voxel whose baseline is darker than this share of the brain's median is air: noise over noise, and no curve.
AIR = 0.1


@dataclass(frozen=True)
class FirstPass:
    """What a series' curves are measured by.

    :param baseline_frames: frames that S0 is the mean of
    :param stop: the frame after the last of the first pass
    :param frame_interval: s
    :param brain_area: mean over the brain of sum_t -ln(S/S0) over the first pass, without unit
    :param air: baseline signal below which a voxel is air
    :param noise: standard deviation over the baseline frames of a voxel's signal, the median over the brain
    """

    baseline_frames: int
    stop: int
    frame_interval: float
    brain_area: float
    air: float
    noise: float

    @property
    def curve_noise(self) -> float:
        """Standard deviation of the noise in a curve before the bolus, the median over the brain."""
        return self.noise * AIR / (self.air * self.brain_area) if self.air > 0 else 0.0


@dataclass(frozen=True)
class FittedFirstPass(FirstPass):
    """A first pass whose curves are also measured by the brain's mean curve.

    :param fit: of the brain's mean curve
    :param correlated_noise: standard deviation that noise shared by neighbors and frames leaves in the average of a
        voxel's fit with its neighbors', beyond white noise's and over `noise`; see `noise_covariance`
    """

    fit: MeanCurveFit
    correlated_noise: float

    @classmethod
    def of(cls, found: FirstPass, fit: MeanCurveFit, correlated_noise: float) -> FittedFirstPass:
        """The same first pass with a fit."""
        of_series = found.baseline_frames, found.stop, found.frame_interval
        return cls(*of_series, found.brain_area, found.air, found.noise, fit, correlated_noise)
