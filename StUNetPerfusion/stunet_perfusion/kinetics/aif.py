"""The arterial input function (AIF): found automatically, from a vessel mask, or from a text file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.cluster.vq import kmeans2

from stunet_perfusion.kinetics.concentration import baseline_signal, concentration_curves
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.progress import CheckCancelled, never_cancelled
from stunet_perfusion.support.voxels import voxels_inside

#: Criteria of Mouridsen et al., Magn Reson Med 55:524, 2006.
AREA_PERCENTILE = 90.0
IRREGULARITY_PERCENTILE = 75.0
CLUSTERS = 5
CLUSTERING_STEPS = 30
ROUNDS = 2

#: A cluster of fewer voxels is an accident of noise, unless no larger one exists.
FEWEST_VOXELS = 5

#: An arterial curve peaks at least so many standard deviations of its values before the bolus.
LEAST_PEAK = 5.0

#: More candidates than this tell no more about where the arteries are. The rest is left out at random, since their
#: curves would take a third of the memory of a large series.
MOST_CANDIDATES = 20_000

#: k-means ends in a local optimum; the best of so many starts is taken.
_STARTS = 4


@dataclass(frozen=True, eq=False)
class ArterialInput:
    """An arterial input function.

    :param curve: (T,) float64 delta R2* in 1/s, or TE * delta R2* without unit where TE is not known; one value for
        each frame of the prepared series
    :param source: where it comes from, for people
    :param voxels: (Z, Y, X) bool, the voxels that it is the mean of, or None for a curve from a file
    """

    curve: np.ndarray
    source: str
    voxels: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ArterialInputOfVoxels(ArterialInput):
    """An arterial input function that was measured in the series."""

    voxels: np.ndarray = field(kw_only=True)


def automatic_aif(
    prepared: PreparedSeries,
    baseline_frames: int | None = None,
    *,
    seed: int = 0,
    check_cancelled: CheckCancelled = never_cancelled,
) -> ArterialInputOfVoxels:
    """Find the AIF by cluster analysis (Mouridsen et al., Magn Reson Med 55:524, 2006).

    Of the brain's voxels those stay whose area under the concentration curve is at or above the 90th percentile and
    whose curve of unit area has an irregularity (integral of the squared second derivative) at or below the 75th.
    Their curves of unit area are clustered by k-means with five clusters; the cluster whose mean curve has the lowest
    first moment is clustered once more, and the AIF is the mean concentration of the lowest of these.

    :param prepared: (T, Z, Y, X) series with brain mask
    :param baseline_frames: frames that S0 is the mean of; None takes all before arrival
    :param seed: of the starts of k-means; the same seed gives the same AIF
    :raises InputError: no voxel of the brain takes up contrast
    """
    baseline_frames = prepared.bolus.arrival if baseline_frames is None else baseline_frames
    series = prepared.series
    candidates = _at_most(MOST_CANDIDATES, _candidates(prepared, baseline_frames, check_cancelled), seed)
    curves = _curves_of(candidates, series, baseline_frames)
    weights = np.gradient(series.times)
    unit = curves / (weights @ curves)
    arterial = np.arange(unit.shape[1])
    for _ in range(ROUNDS):
        arterial = arterial[_earliest_cluster(unit[:, arterial].T, series.times, weights, seed, check_cancelled)]
    voxels = np.zeros(series.grid.shape, dtype=bool)
    voxels.flat[np.flatnonzero(candidates)[arterial]] = True
    curve = curves[:, arterial].mean(axis=1, dtype=np.float64)
    return ArterialInputOfVoxels(curve, f"automatic, mean of {len(arterial)} voxels", voxels=voxels)


def aif_from_vessels(
    prepared: PreparedSeries, vessel_mask: np.ndarray, baseline_frames: int | None = None
) -> ArterialInputOfVoxels:
    """The mean concentration inside a vessel mask.

    Each voxel's signal is turned into concentration first and the concentrations are averaged, so that a voxel
    counts by its contrast and not by its brightness. Voxels without baseline signal are left out.

    :param vessel_mask: (Z, Y, X) bool
    :param baseline_frames: frames that S0 is the mean of; None takes all before arrival
    :raises InputError: a mask of another shape, without usable voxels, or without a bolus in it
    """
    baseline_frames = prepared.bolus.arrival if baseline_frames is None else baseline_frames
    series = prepared.series
    if vessel_mask.shape != series.grid.shape:
        raise InputError(
            "vessel mask",
            f"has {vessel_mask.shape} voxels (slices, rows, columns), and the series has {series.grid.shape}",
            "give a mask on the grid of the series",
        )
    total, used = np.zeros(series.frames), np.zeros(series.grid.shape, dtype=bool)
    for z in np.flatnonzero(vessel_mask.any(axis=(1, 2))):
        signal = series.signal[:, z][:, vessel_mask[z]]
        usable = baseline_signal(signal, baseline_frames) > 0
        total += concentration_curves(signal[:, usable], baseline_frames, series.echo_time).sum(
            axis=1, dtype=np.float64
        )
        used[z][vessel_mask[z]] = usable
    count = np.count_nonzero(used)
    if not count:
        raise InputError("vessel mask", "has no voxel with signal", "mark voxels inside arteries")
    curve = _checked_curve(total / count, "vessel mask", prepared.bolus.arrival)
    return ArterialInputOfVoxels(curve, f"vessel mask, mean of {count} voxels", voxels=used)


def aif_from_file(
    path: str | Path, prepared: PreparedSeries, is_signal: bool = False, baseline_frames: int | None = None
) -> ArterialInput:
    """An AIF from a text file with one value a line and frame.

    Empty lines and lines that begin with # are passed over. The file may count the frames with or without the first
    ones that were left out as not in steady state.

    :param path: delta R2* in 1/s, or the signal
    :param is_signal: the values are the MR signal, and are turned into concentration as the voxels are
    :param baseline_frames: frames that S0 is the mean of; None takes all before arrival
    :raises InputError: no such file, a line that is no number, a number of lines that is not the number of frames,
        values that cannot be an AIF, or delta R2* in 1/s for a series whose TE is not known
    """
    path = Path(path)
    baseline_frames = prepared.bolus.arrival if baseline_frames is None else baseline_frames
    series, dropped = prepared.series, prepared.dropped_frames
    if not is_signal and series.echo_time is None:
        raise InputError(
            path.name,
            f"holds delta R2* in 1/s, and the tissue of {series.name} cannot be had in that unit without its TE",
            "give the echo time in seconds, or an arterial signal",
            Setting.ECHO_TIME,
            Setting.AIF_IS_SIGNAL,
        )
    values = _read_numbers(path)
    if len(values) == series.frames + dropped + prepared.dropped_last:
        values = values[dropped : dropped + series.frames]
    elif len(values) != series.frames:
        frames = f"{series.frames}" if not dropped else f"{series.frames + dropped} ({series.frames} steady)"
        raise InputError(
            path.name,
            f"has {len(values)} values, and {series.name} has {frames} frames",
            "give one value a line for each frame",
        )
    if is_signal:
        if (values <= 0).any():
            raise InputError(path.name, "has signal values that are not positive", "give the arterial MR signal")
        values = concentration_curves(values, baseline_frames, series.echo_time)
    elif abs(values[: prepared.bolus.arrival].mean()) > 0.5 * np.abs(values).max():
        raise InputError(
            path.name,
            "does not begin near zero as delta R2* does before the bolus",
            "say so where these values are the signal",
            Setting.AIF_IS_SIGNAL,
        )
    return ArterialInput(_checked_curve(values, path.name, prepared.bolus.arrival), f"file {path.name}")


def _read_numbers(path: Path) -> np.ndarray:
    if not path.is_file():
        raise InputError(path, "does not exist or is no file", "give a text file with one value a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, "cannot be read as text", "give a text file with one value a line") from error
    values = []
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        try:
            values.append(float(word))
        except ValueError:
            values.append(np.nan)
        if not np.isfinite(values[-1]):
            raise InputError(
                path.name, f"line {number} is no number: '{word[:40]}'", "give one value a line for each frame"
            )
    return np.array(values, dtype=np.float64)


def _checked_curve(curve: np.ndarray, subject: str, arrival: int) -> np.ndarray:
    if not curve.sum() > 0:
        raise InputError(
            subject, "gives an AIF whose area is not positive, so no contrast passes", "choose other arteries"
        )
    if curve.max() < LEAST_PEAK * curve[:arrival].std():
        raise InputError(
            subject, "gives an AIF that does not rise out of its noise before the bolus", "choose other arteries"
        )
    return curve


def _candidates(prepared: PreparedSeries, baseline_frames: int, check_cancelled: CheckCancelled) -> np.ndarray:
    """(Z, Y, X) bool: brain voxels with a large area under a regular curve.

    Both percentiles are those of all voxels of the brain. Among the voxels of large area alone, arteries would be
    the irregular ones, as their curves are the narrowest.
    """
    series, brain = prepared.series, prepared.brain
    weights = np.gradient(series.times).astype(np.float32)
    areas, irregularities = [], []
    for z in np.flatnonzero(brain.any(axis=(1, 2))):
        check_cancelled()
        signal = voxels_inside(series.signal[:, z], brain[z])
        curves = concentration_curves(signal, baseline_frames, series.echo_time)
        area = weights @ curves
        irregularity = _irregularity(curves, series.times)
        # A signal that reaches zero has no logarithm: such a voxel has no curve worth clustering.
        usable = (signal.min(axis=0) > 0) & (area != 0)
        areas.append(np.where(usable, area, -np.inf))
        irregularities.append(np.divide(irregularity, area**2, out=np.full_like(area, np.inf), where=usable))
    areas, irregularities = np.concatenate(areas), np.concatenate(irregularities)
    usable = np.isfinite(areas) & np.isfinite(irregularities)
    least = np.percentile(areas[usable], AREA_PERCENTILE) if usable.any() else 0.0
    if not least > 0:
        raise InputError(
            series.name,
            "has hardly a voxel in the brain that takes up contrast, so no AIF is found",
            "check the brain mask, or give a vessel mask or the AIF itself",
            Setting.VESSELS,
            Setting.AIF,
        )
    large = usable & (areas >= least)
    regular = large & (irregularities <= np.percentile(irregularities[usable], IRREGULARITY_PERCENTILE))
    candidates = np.zeros(brain.shape, dtype=bool)
    # In a mask of few voxels the two criteria may exclude each other.
    candidates[brain] = regular if regular.any() else large
    return candidates


def _at_most(count: int, mask: np.ndarray, seed: int) -> np.ndarray:
    """A random subset of `count` voxels of a mask, or the mask itself where it has not more."""
    voxels = np.flatnonzero(mask)
    if len(voxels) <= count:
        return mask
    subset = np.zeros_like(mask)
    subset.flat[np.random.default_rng(seed).choice(voxels, count, replace=False)] = True
    return subset


def _irregularity(curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,) integral of the squared second derivative of (T, n) curves over the time."""
    steps, between = np.diff(times).astype(np.float32), ((times[2:] - times[:-2]) / 2).astype(np.float32)
    total = np.zeros_like(curves[0])
    before = (curves[1] - curves[0]) / steps[0]
    # Frame by frame, so that nothing of the size of all curves is made.
    for frame in range(2, len(curves)):
        slope = curves[frame] - curves[frame - 1]
        slope /= steps[frame - 1]
        before -= slope
        np.square(before, out=before)
        before /= between[frame - 2]
        total += before
        before = slope
    return total


def _curves_of(chosen: np.ndarray, series: DscSeries, baseline_frames: int) -> np.ndarray:
    """(T, n) float32 concentrations of the chosen voxels; those of all voxels never exist at once."""
    curves = [
        concentration_curves(voxels_inside(series.signal[:, z], chosen[z]), baseline_frames, series.echo_time)
        for z in np.flatnonzero(chosen.any(axis=(1, 2)))
    ]
    return np.concatenate(curves, axis=1)


def _earliest_cluster(
    unit: np.ndarray, times: np.ndarray, weights: np.ndarray, seed: int, check_cancelled: CheckCancelled
) -> np.ndarray:
    """Indices of the curves in the cluster whose mean curve has the lowest first moment.

    :param unit: (n, T) curves of unit area
    """
    clusters = min(CLUSTERS, _distinct(unit), max(len(unit) // FEWEST_VOXELS, 1))
    if clusters < 2:
        return np.arange(len(unit))
    labels = _best_clustering(unit.astype(np.float64), clusters, seed, check_cancelled)
    sizes = np.bincount(labels, minlength=clusters)
    fewest = FEWEST_VOXELS if (sizes >= FEWEST_VOXELS).any() else 1
    moments = np.full(clusters, np.inf)
    for cluster in np.flatnonzero(sizes >= fewest):
        moments[cluster] = (weights * times) @ unit[labels == cluster].mean(axis=0)
    return np.flatnonzero(labels == np.argmin(moments))


def _distinct(unit: np.ndarray) -> int:
    """How many of the curves are different, up to some more than there are to be clusters."""
    # Curves that begin differently are different; only where hardly any do, all of each is compared.
    beginnings = len(np.unique(unit[:, 0]))
    return beginnings if beginnings >= CLUSTERS else len(np.unique(unit, axis=0))


def _best_clustering(points: np.ndarray, clusters: int, seed: int, check_cancelled: CheckCancelled) -> np.ndarray:
    """(n,) labels of the k-means clustering with the smallest sum of squares among several starts."""
    generator = np.random.default_rng(seed)
    best, smallest = np.zeros(len(points), dtype=int), np.inf
    for _ in range(_STARTS):
        check_cancelled()
        centers, labels = _cluster(points, clusters, generator)
        distances = points - centers[labels]
        squares = float(np.vdot(distances, distances))
        if squares < smallest:
            best, smallest = labels, squares
    return best


def _cluster(points: np.ndarray, clusters: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centers and labels of one k-means clustering, which ends where nothing changes any more."""
    with warnings.catch_warnings():
        # A cluster that loses its last curve stays empty, and is passed over later.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centers, labels = kmeans2(points, clusters, iter=1, minit="++", seed=generator)
        for _ in range(CLUSTERING_STEPS - 1):
            before = centers
            centers, labels = kmeans2(points, before, iter=1, minit="matrix", check_finite=False)
            if np.array_equal(centers, before):
                break
    return centers, labels
