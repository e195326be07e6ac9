"""The classical rows of the tables: maps that nothing is learned for.

All of them are relative: the sum of a voxel's concentration over that of the brain's mean curve. An artery would be
another factor for the whole map, which no score depends on, and which fails where an artery is hard to find.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from stunet_perfusion.curve_fit.curve_noise import brain_noise_covariance
from stunet_perfusion.curve_fit.equation1_detection import dose_from_noise, undo_equation1
from stunet_perfusion.curve_fit.first_pass_measurement import find_first_pass
from stunet_perfusion.curve_fit.slice_curves import SliceCurves
from stunet_perfusion.evaluation.methods import Method, MethodMap
from stunet_perfusion.inference.box import out_of_box
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.standardize import plan_standardization
from stunet_perfusion.kinetics.cbv_scale import CLOSED_FORM_UNIT
from stunet_perfusion.kinetics.closed_form import closed_form, mean_curve, smoothed
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.networks.nonlocal_means import NonlocalMeans
from stunet_perfusion.networks.quantities import CURVES_AND_FIT, MAPS, PIXELS
from stunet_perfusion.preprocessing.preparation import PreparedSeries

VERBENA = "verbena"


UNDONE = "undone"


CLOSED_FORM = "closed-form"


#: What names of smoothed maps begin with.
SMOOTHED = "smoothed-"


def classical_methods(smoothing: tuple[float, ...] = (3.0, 6.0)) -> list[Method]:
    """Verbena's map, the closed form with a mean baseline, the same over the first pass, and smoothed.

    The fit of the brain's mean curve and its non-local means are ours, and stand for how far a network is
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
            "nonlocal-means",
            "fit, non-local means",
            "classical",
            lambda prepared, *_: MethodMap(nonlocal_means_fit(prepared)),
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


def with_equation1_undone(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 Verbena's map of the series as it was before Equation 1, whose share its noise tells."""
    series, share = prepared.series, dose_from_noise(brain_noise_covariance(prepared))
    undone = replace(series, signal=undo_equation1(series.signal, prepared.bolus.arrival, share))
    return closed_form(replace(prepared, series=undone), 1)


def fitted_cbv(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 CBV by the fit of the mean curve, relative to the brain's mean; see `mean_curve_fit`."""
    found = find_first_pass(prepared, fitted=True)
    return np.stack(
        [SliceCurves.of(plane, found).fitted_blood_volume() for plane in np.moveaxis(prepared.series.signal, 1, 0)]
    )


def nonlocal_means_fit(prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 the same after non-local means, as our network begins; see `NonlocalMeans`."""
    # Of the whole image, so that no pixel is resampled.
    plan = plan_standardization(prepared, size=max(prepared.brain.shape[1:]), quantity=CURVES_AND_FIT, box=PIXELS)
    average = NonlocalMeans()
    zero = np.float32(1 / CLOSED_FORM_UNIT)

    def averaged(plane: np.ndarray) -> np.ndarray:
        of_slice = slice_for_network(plan, plane)
        maps = torch.from_numpy(of_slice.given[None, -MAPS[CURVES_AND_FIT] :])
        difference, _ = average(maps)
        # On top of the fit as it is, since the maps that are compared are cut in vessels.
        fit = np.float32(0) if of_slice.corrected is None else of_slice.corrected
        values = fit + zero + np.float32(of_slice.unit) * difference[0].numpy()
        return out_of_box(plan.box, values, plane.shape[1:])

    return np.stack([averaged(plane) for plane in np.moveaxis(prepared.series.signal, 1, 0)])
