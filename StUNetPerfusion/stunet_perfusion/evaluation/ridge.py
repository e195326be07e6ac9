"""The plainest thing that learns: a ridge regression of CBV on -ln S, voxel by voxel.

It sees of a voxel what a network sees (the same frames) and nothing of its neighbors, so whatever a network has beyond
it comes from space, or from what is not linear in -ln S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stunet_perfusion.evaluation.methods import TABLES, Method, MethodMap, Table
from stunet_perfusion.inference.standardize import frame_window
from stunet_perfusion.kinetics.cbv_scale import cbv_scale, recover_scale
from stunet_perfusion.kinetics.closed_form import mean_curve
from stunet_perfusion.kinetics.reference import first_pass_cbv
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.support.documents import read_json
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_json

FRAMES = 64

#: Strengths that are tried, relative to the mean of the features' own squares.
STRENGTHS = tuple(10.0**power for power in range(-9, 1))

#: Signals below this share of the brain's baseline have hardly a logarithm.
_LEAST_SIGNAL = 1e-3


@dataclass(frozen=True)
class RidgeFit:
    """Coefficients for one table and dose: z-score of CBV = intercept + weights . (-ln S of the frames).

    :param table: `paper` (target Verbena's map at full dose) or `truth`
    :param dose: share of the dose of the series that it was fitted to
    :param weights: one a frame
    :param strength: of the ridge, relative to the mean of the features' squares
    :param subjects: how many it was fitted to
    """

    table: Table
    dose: float
    intercept: float
    weights: tuple[float, ...]
    strength: float
    subjects: int


@dataclass(frozen=True, eq=False)
class Moments:
    """What the fit needs of one subject: sums over its brain voxels, each voxel weighing 1 / voxels.

    :param features: (1 + frames, 1 + frames) mean outer products of (1, -ln S)
    :param mixed: (1 + frames,) mean of (1, -ln S) times target
    :param target: mean square of the target
    """

    features: np.ndarray
    mixed: np.ndarray
    target: float

    def error(self, coefficients: np.ndarray) -> float:
        """Mean squared error of a linear model over the subject."""
        quadratic = coefficients @ self.features @ coefficients
        return float(self.target - 2 * coefficients @ self.mixed + quadratic)


def log_signal(prepared: PreparedSeries, z: int) -> np.ndarray:
    """-ln(S / mean baseline signal of the brain) in the frames that a network sees: (64, Y, X) float32.

    One number a series makes it free of the scanner's unit; everything else is left to the regression.
    """
    series = prepared.series
    window = frame_window(series.frames, prepared.bolus.arrival, FRAMES)
    unit = _brain_baseline(prepared)
    return -np.log(np.maximum(series.signal[window, z] / unit, _LEAST_SIGNAL)).astype(np.float32)


def _brain_baseline(prepared: PreparedSeries) -> float:
    before = prepared.series.signal[: prepared.bolus.arrival].mean(axis=0, dtype=np.float64)
    return float(before[prepared.brain].mean())


def moments(prepared: PreparedSeries, target: np.ndarray, brain: np.ndarray) -> Moments:
    """The sums of one subject, slice by slice.

    :param target: (Z, Y, X) CBV in any unit; it is standardized over the brain
    :param brain: (Z, Y, X) bool
    """
    target = cbv_scale(target, brain).to_standardized(target)
    features, mixed, square, count = np.zeros((FRAMES + 1, FRAMES + 1)), np.zeros(FRAMES + 1), 0.0, 0
    for z in np.flatnonzero(brain.any(axis=(1, 2))):
        x = log_signal(prepared, z)[:, brain[z]].astype(np.float64)
        x, y = np.vstack([np.ones(x.shape[1]), x]), target[z][brain[z]].astype(np.float64)
        features += x @ x.T
        mixed += x @ y
        square += float(y @ y)
        count += len(y)
    return Moments(features / count, mixed / count, square / count)


def fit(subjects: Sequence[Moments], table: Table, dose: float) -> RidgeFit:
    """The coefficients whose strength does best on subjects left out one by one.

    :raises InputError: no subject
    """
    if not subjects:
        raise InputError("ridge regression", "has nobody to be fitted to", "give training cases or heads")
    left_out = [[*subjects[:n], *subjects[n + 1 :]] for n in range(len(subjects))]
    if len(subjects) == 1:
        left_out = [[*subjects]]
    errors = [
        np.mean([one.error(solve(rest, strength)) for one, rest in zip(subjects, left_out, strict=True)])
        for strength in STRENGTHS
    ]
    strength = STRENGTHS[int(np.argmin(errors))]
    coefficients = solve(subjects, strength)
    return RidgeFit(table, dose, float(coefficients[0]), tuple(map(float, coefficients[1:])), strength, len(subjects))


def solve(subjects: Sequence[Moments], strength: float) -> np.ndarray:
    """(1 + frames,) intercept and weights; the intercept is not shrunk. Every subject weighs the same."""
    features = np.mean([one.features for one in subjects], axis=0)
    mixed = np.mean([one.mixed for one in subjects], axis=0)
    penalty = np.full(len(mixed), strength * np.trace(features[1:, 1:]) / (len(mixed) - 1))
    penalty[0] = 0
    return np.linalg.solve(features + np.diag(penalty), mixed)


def apply(coefficients: RidgeFit, prepared: PreparedSeries) -> np.ndarray:
    """(Z, Y, X) float32 predicted z-scores."""
    weights = np.array(coefficients.weights, np.float32)
    slices = [np.tensordot(weights, log_signal(prepared, z), 1) for z in range(len(prepared.brain))]
    return np.stack(slices) + np.float32(coefficients.intercept)


def write_ridge(path: Path, fits: Sequence[RidgeFit], trained_on: str) -> None:
    """Write coefficients as JSON, to be used again with `read_ridge`."""
    write_json(path, {"frames": FRAMES, "trained_on": trained_on, "fits": [asdict(one) for one in fits]})


def read_ridge(path: Path) -> tuple[list[RidgeFit], str]:
    """Read coefficients, and what they were fitted to.

    :raises InputError: no such file, or not what `write_ridge` wrote
    """
    try:
        document = read_json(path, "give the ridge.json of an earlier evaluation")
        fits = [RidgeFit(**entry | {"weights": tuple(entry["weights"])}) for entry in document["fits"]]
        if document["frames"] != FRAMES or any(len(one.weights) != FRAMES for one in fits):
            raise ValueError
        return fits, str(document["trained_on"])
    except InputError:
        raise
    except (ValueError, KeyError, TypeError):
        raise InputError(path, "holds no ridge regression", "give the ridge.json of an earlier evaluation") from None


def ridge_method(fits: Sequence[RidgeFit]) -> Method:
    """The floor as a method. Its maps are z-scores moved to a zero where the mean curve's CBV has it."""
    by_use = {(one.table, one.dose): one for one in fits}

    def compute(prepared: PreparedSeries, table: Table, dose: float) -> MethodMap:
        if (table, dose) not in by_use:
            raise InputError("ridge regression", f"was not fitted for {table} at dose {dose:g}", "fit it again")
        return MethodMap(with_zero(apply(by_use[table, dose], prepared), prepared))

    tables = tuple(table for table in TABLES if any(one.table == table for one in fits))
    return Method("ridge", "ridge on -ln S", "floor", compute, {"fits": [asdict(one) for one in fits]}, tables, False)


def with_zero(z_scores: np.ndarray, prepared: PreparedSeries) -> np.ndarray:
    """Z-scores as relative CBV with a zero, found as a network's is."""
    first_pass = first_pass_cbv(prepared.series, prepared.bolus, mean_curve(prepared))
    own = cbv_scale(z_scores, prepared.brain)
    z_scores = (z_scores - own.mean) / own.sd
    return recover_scale(z_scores, first_pass, prepared.brain).to_blood_volume(z_scores)
