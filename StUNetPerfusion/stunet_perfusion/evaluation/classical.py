"""Maps in closed form, the classical rows of the tables.

All of them are relative: the sum of a voxel's concentration over that of the brain's mean curve. An artery would be
another factor for the whole map, which no score depends on, and which fails where an artery is hard to find.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from stunet_perfusion.concentration import concentration_curves
from stunet_perfusion.equation1_trace import share_kept, undo_equation1
from stunet_perfusion.evaluation.methods import Method, MethodMap
from stunet_perfusion.first_pass import SliceCurves, find_first_pass, texture_of_brain
from stunet_perfusion.network_quantities import CORRECTION_TO_FIT, CURVES_AND_FIT, MAPS, PIXELS
from stunet_perfusion.networks.guided_average import GuidedAverage
from stunet_perfusion.preparation import PreparedSeries
from stunet_perfusion.reference import first_pass_cbv, reference_cbv
from stunet_perfusion.slice_input import slice_for_network
from stunet_perfusion.standardize import out_of_box, plan_standardization

VERBENA = "verbena"
UNDONE = "undone"
CLOSED_FORM = "closed-form"

#: What names of smoothed maps begin with.
SMOOTHED = "smoothed-"

#: Full width at half maximum of a Gaussian over its standard deviation.
_FWHM = 2.3548


def classical_methods(smoothing: tuple[float, ...] = (3.0, 6.0)) -> list[Method]:
    """Verbena's map, the closed form with a mean baseline, the same over the first pass, and smoothed.

    The fit of the brain's mean curve and its average over like neighbors are ours, and stand for how far a network is
    from what needs no learning. Verbena's map of a series in which Equation 1 is undone says what the paper's table
    cannot measure: Equation 1 takes no information away.

    :param smoothing: full widths at half maximum of the Gaussian filters in the plane, mm
    """
    methods = [
        Method(VERBENA, "Verbena", "classical", lambda prepared, *_: MethodMap(closed_form(prepared, 1))),
        Method(
            UNDONE,
            "Verbena, Equation 1 undone",
            "classical",
            lambda prepared, *_: MethodMap(with_equation1_undone(prepared)),
            tables=("paper",),
        ),
        Method(
            CLOSED_FORM, "closed form, mean baseline", "floor", lambda prepared, *_: MethodMap(closed_form(prepared))
        ),
        Method(
            "first-pass",
            "closed form, first pass",
            "classical",
            lambda prepared, *_: MethodMap(first_pass_cbv(prepared.series, prepared.bolus, mean_curve(prepared))),
            tables=("truth",),
        ),
        Method(
            "curve-fit",
            "fit of the mean curve",
            "classical",
            lambda prepared, *_: MethodMap(fitted_cbv(prepared)),
            tables=("truth",),
        ),
        Method(
            "averaged-fit",
            "fit, like neighbors averaged",
            "classical",
            lambda prepared, *_: MethodMap(averaged_fit(prepared)),
            tables=("truth",),
        ),
    ]
    for width in smoothing:
        methods.append(
            Method(
                f"{SMOOTHED}{width:g}mm",
                f"closed form, {width:g} mm smooth",
                "classical",
                lambda prepared, *_, width=width: MethodMap(smoothed(closed_form(prepared), prepared, width)),
                tables=("truth",),
            )
        )
    return methods


def closed_form(prepared: PreparedSeries, baseline_frames: int | None = None) -> np.ndarray:
    """(Z, Y, X) float32 CBV relative to the brain's mean.

    :param baseline_frames: frames that S0 is the mean of: 1 as Verbena has it; None takes all before arrival
    """
    frames = prepared.bolus.arrival if baseline_frames is None else baseline_frames
    return reference_cbv(prepared.series, frames, mean_curve(prepared))


def with_equation1_undone(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 Verbena's map of the series as it was before Equation 1, whose share its noise tells."""
    series, share = prepared.series, share_kept(texture_of_brain(prepared))
    undone = replace(series, signal=undo_equation1(series.signal, prepared.bolus.arrival, share))
    return closed_form(replace(prepared, series=undone), 1)


def fitted_cbv(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 CBV by the fit of the brain's mean curve, relative to the brain's mean; see `template_fit`."""
    found = find_first_pass(prepared, fitted=True)
    return np.stack(
        [SliceCurves.of(plane, found).fitted_blood_volume() for plane in np.moveaxis(prepared.series.signal, 1, 0)]
    )


def averaged_fit(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 the same, averaged over like neighbors as our network begins; see `GuidedAverage`."""
    # Of the whole image, so that no pixel is resampled.
    plan = plan_standardization(
        prepared, size=max(prepared.brain.shape[1:]), quantity=CURVES_AND_FIT, target=CORRECTION_TO_FIT, box=PIXELS
    )
    average = GuidedAverage()

    def averaged(plane: np.ndarray) -> np.ndarray:
        maps = slice_for_network(plan, CORRECTION_TO_FIT, plane).given[-MAPS[CURVES_AND_FIT] :]
        _, around = average(torch.from_numpy(maps[None]))
        return out_of_box(plan.box, around[0, 0].numpy(), plane.shape[1:])

    return np.stack([averaged(plane) for plane in np.moveaxis(prepared.series.signal, 1, 0)])


def mean_curve(prepared: PreparedSeries) -> np.ndarray:
    """(T,) mean concentration over the brain, in the unit of `concentration`, with a mean baseline."""
    series, brain = prepared.series, prepared.brain
    total = np.zeros(series.frames)
    for z in np.flatnonzero(brain.any(axis=(1, 2))):
        curves = concentration_curves(series.signal[:, z][:, brain[z]], prepared.bolus.arrival, series.echo_time)
        total += np.nan_to_num(curves).sum(axis=1, dtype=np.float64)
    return total / brain.sum()


def smoothed(cbv: np.ndarray, prepared: PreparedSeries, width: float) -> np.ndarray:
    """A map smoothed in the plane by a Gaussian, within the brain: what is outside has no weight.

    :param width: full width at half maximum, mm
    """
    sigma = width / _FWHM / prepared.series.grid.spacing[1::-1]
    weight = prepared.brain.astype(np.float64)
    over = ndimage.gaussian_filter(cbv * weight, (0, *sigma))
    under = ndimage.gaussian_filter(weight, (0, *sigma))
    return np.where(prepared.brain, over / np.maximum(under, 1e-9), cbv).astype(np.float32)
