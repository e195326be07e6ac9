"""A sample of the brain's voxels, in runs of neighbors: enough to find the brain's mean at other doses."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.curve_fit.noise_covariance import RUN
from stunet_perfusion.preprocessing.preparation import PreparedSeries

#: Voxels that the brain's mean at another dose is found in.
_SAMPLED_VOXELS = 10_000


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
    slices, rows, columns = np.unravel_index(voxels, brain.shape)
    return series.signal[:, slices, rows, columns]


def _starts(brain: np.ndarray, axis: int, run: int) -> np.ndarray:
    """Flat indices of voxels that are the first of `run` neighbors along an axis, all in the brain."""
    first = brain.copy()
    along, of_brain = np.moveaxis(first, axis, 0), np.moveaxis(brain, axis, 0)
    for ahead in range(1, run):
        along[:-ahead] &= of_brain[ahead:]
        along[-ahead:] = False
    return np.flatnonzero(first)
