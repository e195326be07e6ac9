"""Non-local means, guided by the fit: noise is removed from a map before anything is learned."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from stunet_perfusion.networks.quantities import (
    ARRIVAL_GAIN,
    FIT_OVER_NOISE_GAIN,
    LEAST_NOISE_RATIO,
    SMALLEST_FIT_NOISE,
)

#: Neighbors up to so many pixels away along rows and columns.
_REACH = 3

#: Standard deviations of the weights: over distance, in pixels; over the baseline, in the brain's standard deviations;
#: over the smoothed fit, in those of the fit's noise; over smoothed bolus arrival, in those of its noise.
_DISTANCE, _BASELINE, _FIT, _ARRIVAL = 2.0, 0.2, 2.0, 2.0

#: Smooths values before they are compared, in pixels: noise alone would tell neighbors apart that are alike.
_SMOOTHING = 0.4

#: Weights less than e to minus this are taken for that. The smallest numbers that there are, denormal ones, would cost
#: processors a hundred times as much.
_LARGEST_EXPONENT = 60.0

#: Air has no more than the least noise that there is.
_LOG_NOISE_OF_AIR = math.log(LEAST_NOISE_RATIO) + 1e-3


class NonlocalMeans(nn.Module):
    """Averages each pixel's fit with neighbors of the same tissue: near, similar in the baseline, which has hardly any
    noise, and similar in the fit and in bolus arrival within their noise. Where the fit has little noise it hardly
    changes, at any dose.

    These are the non-local means of Buades et al. 2005, with pixels for patches, the known noise of each pixel as the
    width of the filter, the inverse of its variance as a further weight, and the baseline as guide. Nothing is learned.

    It takes the maps of `CURVES_AND_FIT`. Where there is neither baseline nor noise, in air and beyond a slice, a pixel
    counts for nothing and stays as it is.
    """

    #: Maps that it adds, and rows beyond an output row, on either side, that can change it.
    outputs = 3
    reach = _REACH + 1

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """:param maps: (N, 5, Y, X) fit, fit over noise, logarithm of the noise, baseline, bolus arrival over its
            noise; see `CURVES_AND_FIT`
        :returns: (N, Y, X) what the average differs from the fit by, in units of the fit's noise; and (N, 3, Y, X) the
            averages of fit and fit over noise, and the logarithm of how many pixels they are over
        """
        with torch.no_grad():
            return self._average(maps.float())

    def _average(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fit, over_noise, log_noise, baseline, arrival = (maps[:, n : n + 1] for n in range(5))
        tissue = ((log_noise > _LOG_NOISE_OF_AIR) & (baseline > 0)).float()
        noise = SMALLEST_FIT_NOISE * torch.exp(log_noise)
        precision = tissue * torch.exp(-2 * log_noise)
        compared = _smooth(torch.cat([fit, arrival], dim=1) * tissue) / _smooth(tissue).clamp(min=0.05)
        smoothed, arrival = compared[:, :1], compared[:, 1:]
        of_noise = 2**-0.5 / (_FIT * noise)
        # What is in the same standard deviations everywhere; those of the fit are the pixel's own.
        guides = torch.cat([baseline / _BASELINE, arrival / (ARRIVAL_GAIN * _ARRIVAL)], dim=1) * 2**-0.5

        around = functional.pad(torch.cat([guides, smoothed, precision, fit, over_noise], dim=1), [_REACH] * 4)
        rows, columns = maps.shape[2:]
        own = torch.cat([fit, over_noise], dim=1)
        total, weights = torch.zeros_like(own), torch.zeros_like(fit)
        for down in range(2 * _REACH + 1):
            for right in range(2 * _REACH + 1):
                shifted = around[:, :, down : down + rows, right : right + columns]
                apart = ((down - _REACH) ** 2 + (right - _REACH) ** 2) / (2 * _DISTANCE**2)
                weight = (shifted[:, :2] - guides).square_().sum(dim=1, keepdim=True)
                weight += (shifted[:, 2:3] - smoothed).mul_(of_noise).square_()
                weight.add_(apart).clamp_(max=_LARGEST_EXPONENT).neg_().exp_().mul_(shifted[:, 3:4])
                total.addcmul_(weight, shifted[:, 4:])
                weights += weight
        average = torch.where(tissue > 0, total / weights.clamp(min=1e-12), own)
        difference = (average[:, 1:] - over_noise) / FIT_OVER_NOISE_GAIN
        pixels = torch.where(tissue > 0, weights / precision.clamp(min=1e-12), torch.ones_like(fit))
        return difference.squeeze(1), torch.cat([average, pixels.log()], dim=1)


def _smooth(values: torch.Tensor) -> torch.Tensor:
    """A normal average over 3 x 3 pixels of (N, C, Y, X), zero beyond the image."""
    beside = math.exp(-1 / (2 * _SMOOTHING**2))
    around = functional.pad(values, [1] * 4)
    rows = around[:, :, 1:-1] + beside * (around[:, :, :-2] + around[:, :, 2:])
    return (rows[..., 1:-1] + beside * (rows[..., :-2] + rows[..., 2:])) / (1 + 2 * beside) ** 2
