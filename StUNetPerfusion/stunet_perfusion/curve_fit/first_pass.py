"""The first pass of the bolus, measured in a unit that depends neither on dose, TE nor frame interval.

`-ln(S/S0)` is proportional to dose, TE and relaxivity, and its sum over the frames of the first pass also to the
inverse of the frame interval. The brain's mean of that sum, from the same series, is proportional to all of them, too.
Divided by it, the sum of a voxel's curve is the voxel's blood volume in multiples of the brain's mean, at any dose and
with any protocol.

The mean is taken over the voxels between the 5th and the 95th percentile, so that neither vessels nor voxels without
signal count. There are tens of thousands of them, so that noise does not move it.
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
