"""How the head moved during a series, and the series as if it had not.

Every frame is registered to the mean of the first steady ones by six numbers, three shifts and three turns about the
middle of the brain. Gauss and Newton's method on the image itself (Friston et al. 1996, Magn Reson Med 35:346; as
AFNI's 3dvolreg and SPM's realignment do it) finds them in a few steps. Contrast agent darkens tissue by up to 70 %,
which a registration could take for motion: so the same least squares have terms for what the bolus does, the image
itself and the strongest changes over time that were seen once the frames were roughly in place. Frames are resampled
once, by SimpleITK's cubic splines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from stunet_perfusion.series import DscSeries
from stunet_perfusion.support.progress import CheckCancelled, Progress, never_cancelled, no_progress

#: Frames that the others are registered to.
_REFERENCE_FRAMES = 5

#: Voxels that are looked at, at most.
_MOST_VOXELS = 25_000

#: Motion explains this share of the change that it is seen by, and is no larger than this, mm.
_LEAST_EXPLAINED, _FARTHEST = 0.15, 40.0

#: Correlation of the edges in two groups of frames, below which they are noise.
_LEAST_ALIKE = 0.3

#: Fewer voxels tell no motion.
_FEWEST_VOXELS = 400

#: Slices from which on motion across them is looked for.
_FEWEST_SLICES = 5

#: Steps of each registration, and the shift in mm below which it has ended.
_STEPS, _ENOUGH = 6, 0.01

#: Times that all frames are registered, and changes over time that are not taken for motion.
_TURNS, _TERMS = 2, 3

#: How far a head may be thought to move without any evidence, mm and radians.
_PRIOR = (5.0, 0.05)

#: Motion is mended from this displacement on, mm; less is not told from noise and from the bolus.
LEAST_DISPLACEMENT = 0.8

#: Slices are thick, so that motion across them is less easily told, mm.
LEAST_DISPLACEMENT_ACROSS = 2.0

#: While the bolus passes, what it does to the image is less easily told from motion, mm.
LEAST_DISPLACEMENT_IN_BOLUS = 2.5

#: A cubic spline needs so many voxels along each axis.
_SPLINE = 4

#: Frames that moved by less are left as they are, mm.
_STILL = 0.05


@dataclass(frozen=True, eq=False)
class Motion:
    """How the head moved.

    :param shifts: (T, 6) along columns, rows and slices in mm, and turns about the same axes in radians
    :param displacement: (T,) root mean square over the brain of how far its voxels moved, mm
    :param center: (3,) about which the head turns, mm along columns, rows, slices from the first voxel
    :param quiet: (T,) bool, frames in which there is little contrast agent
    :param in_plane: (T,) the part of the displacement that lies in the plane of the slices
    """

    shifts: np.ndarray
    displacement: np.ndarray
    in_plane: np.ndarray
    center: np.ndarray
    quiet: np.ndarray

    @property
    def largest(self) -> float:
        """The largest displacement, mm."""
        return float(self.displacement.max(initial=0.0))

    @property
    def is_seen(self) -> bool:
        """Whether the head moved for certain."""
        calm = float(self.displacement[self.quiet].max(initial=0.0))
        in_plane = float(self.in_plane[self.quiet].max(initial=0.0))
        across = calm >= LEAST_DISPLACEMENT_ACROSS
        return in_plane >= LEAST_DISPLACEMENT or across or self.largest >= LEAST_DISPLACEMENT_IN_BOLUS


class _Registration:
    """Everything about the reference that is the same for all frames."""

    def __init__(self, series: DscSeries, brain: np.ndarray, reference: np.ndarray) -> None:
        self.spacing = np.asarray(series.grid.spacing, float)
        self.shape = brain.shape
        smooth = (0.7 if len(brain) >= _FEWEST_SLICES else 0.0, 1.0, 1.0)
        self.smooth = smooth
        self.image = self.smoothed(reference)
        around = ndimage.binary_dilation(brain, np.ones((1, 3, 3)), iterations=2)
        edge = np.zeros_like(around)
        # What lies at the edge of the image may come from outside of it.
        edge[:, 2:-2, 2:-2] = True
        if len(brain) >= _FEWEST_SLICES:
            edge[0] = edge[-1] = False
        voxels = np.flatnonzero(around & edge)
        self.voxels = voxels[:: max(len(voxels) // _MOST_VOXELS, 1)]
        k, j, i = np.unravel_index(self.voxels, brain.shape)
        inside = np.argwhere(brain)
        self.center = (inside.mean(axis=0) * self.spacing[::-1])[::-1]
        places = self.places = np.stack([i, j, k], axis=1) * self.spacing - self.center
        gradient = np.stack(
            [
                np.gradient(self.image, axis=2 - axis).ravel()[self.voxels] / self.spacing[axis]
                if self.shape[2 - axis] > 1
                else np.zeros(len(self.voxels))
                for axis in range(3)
            ],
            axis=1,
        )
        turns = np.cross(places, gradient)
        self.moves = np.concatenate([gradient, turns], axis=1)
        self.free = np.ones(6, bool)
        if len(brain) < _FEWEST_SLICES:
            # Two thick slices do not tell a shift across them, nor a turn out of their plane.
            self.free[[2, 3, 4]] = False
        self.target = self.image.ravel()[self.voxels]
        step = max(len(inside) // 5000, 1)
        self.brain_places = inside[::step, ::-1] * self.spacing - self.center
        bright = self.target / max(float(np.median(self.target)), 1e-6)
        scaled = places / np.maximum(np.abs(places).max(axis=0), 1e-6)
        self.nuisance = np.column_stack([self.target, self.target * bright, self.target[:, None] * scaled])
        self.usual, _ = np.linalg.qr(self.nuisance)

    def smoothed(self, frame: np.ndarray) -> np.ndarray:
        """(Z, Y, X) float32, so that the image is nearly linear over a step."""
        return ndimage.gaussian_filter(np.asarray(frame, np.float32), self.smooth)

    def solver(self, more: np.ndarray | None, deviation: np.ndarray) -> np.ndarray:
        """(6, n) by which a difference from the reference becomes a shift, by weighted least squares.

        :param more: (n, k) what changes without motion
        :param deviation: (n,) of what else is in the voxels
        """
        weight = 1 / deviation
        nuisance = self.nuisance if more is None else np.column_stack([self.nuisance, more])
        orthogonal, _ = np.linalg.qr(nuisance * weight[:, None])
        moves = self.moves[:, self.free] * weight[:, None]
        moves = moves - orthogonal @ (orthogonal.T @ moves)
        prior = np.repeat(_PRIOR, 3)[self.free]
        normal = moves.T @ moves + np.diag(prior**-2.0)
        solver = np.zeros((6, len(self.voxels)))
        solver[self.free] = np.linalg.solve(normal, moves.T) * weight
        return solver

    def has_structure(self, image: np.ndarray) -> bool:
        """Whether there are edges to go by, and not noise alone: those of another image are the same.

        :param image: (Z, Y, X) of other frames, that the head may have moved before by little
        """
        other = self.smoothed(image)
        along = [axis for axis in (1, 2) if self.shape[axis] > 1]
        alike = [
            np.corrcoef(
                np.gradient(self.image, axis=axis).ravel()[self.voxels],
                np.gradient(other, axis=axis).ravel()[self.voxels],
            )[0, 1]
            for axis in along
        ]
        return bool(np.nanmin(alike) > _LEAST_ALIKE)

    def unexplained(self, smooth: np.ndarray, shift: np.ndarray) -> float:
        """How much of a frame, moved back, is not the reference made darker."""
        seen = self.seen(smooth, shift)
        return float(np.sum((seen - self.usual @ (self.usual.T @ seen)) ** 2))

    def displacement(self, shifts: np.ndarray) -> np.ndarray:
        """(T,) mm."""
        return self.displacements(shifts)[0]

    def displacements(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,) mm, and its part in the plane."""
        moved = shifts[:, None, :3] + np.cross(shifts[:, None, 3:], self.brain_places[None])
        squares = (moved**2).mean(axis=1)
        return np.sqrt(squares.sum(axis=1)), np.sqrt(squares[:, :2].sum(axis=1))

    def seen(self, smooth: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """(n,) a smoothed frame at the voxels of the reference, moved back."""
        if not np.any(shift):
            return smooth.ravel()[self.voxels].astype(np.float64)
        there = (self.places @ _matrix(shift).T - shift[:3] + self.center) / self.spacing
        return ndimage.map_coordinates(smooth, there.T[::-1], order=1, mode="nearest", output=np.float64)


def motion_of(
    series: DscSeries,
    brain: np.ndarray,
    unsteady: int,
    damaged: np.ndarray,
    quiet: np.ndarray,
    *,
    thorough: bool = False,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> Motion:
    """Find how the head moved: at a glance where it did not, thoroughly where it did.

    :param brain: (Z, Y, X) bool
    :param unsteady: first frames that are not in steady state
    :param damaged: (T,) bool, frames that tell nothing; they are thought to be where the one before is
    :param quiet: (T,) bool, frames in which there is little contrast agent
    :param thorough: look thoroughly in any case
    """
    good = np.flatnonzero(~damaged & (np.arange(series.frames) >= unsteady))
    first = good[:_REFERENCE_FRAMES]
    nothing = np.zeros((series.frames, 6))
    still = Motion(nothing, nothing[:, 0], nothing[:, 0], np.zeros(3), quiet)
    if len(first) < _REFERENCE_FRAMES or not quiet[good].any():
        return still
    registration = _Registration(series, brain, series.signal[first].mean(axis=0))
    if len(registration.voxels) < _FEWEST_VOXELS:
        return still
    second = good[_REFERENCE_FRAMES:][: max(_REFERENCE_FRAMES, 1)]
    if not registration.has_structure(series.signal[second].mean(axis=0)):
        return still
    raw = np.stack(
        [registration.seen(registration.smoothed(frame), np.zeros(6)) for frame in series.signal[good]], axis=1
    )
    change = raw - registration.target[:, None]
    noise = np.full(len(change), _noise(raw))
    shifts = np.zeros((series.frames, 6))
    # With a term for what the bolus does in the frames in which the head moved, that motion is not seen; without any,
    # what is left of the bolus is taken for motion. So the way down and the way up are two terms, of which a motion
    # that happens once spoils only one.
    calm = quiet[good]
    solvers = [registration.solver(term, noise) for term in _ways_of_bolus(raw, calm)]
    glances = [solver @ change[:, calm] for solver in solvers]
    seen = [float(registration.displacement(each.T).max(initial=0.0)) for each in glances]
    most = int(np.argmax(seen))
    shifts[good] = (registration.solver(*_bolus_terms(raw, registration.target, noise, 2)) @ change).T
    shifts[good[calm]] = glances[most].T
    glance = Motion(shifts, *registration.displacements(shifts), registration.center, quiet)
    if not thorough and not glance.is_seen:
        return glance
    smooth = {int(frame): registration.smoothed(series.signal[frame]) for frame in good}
    work = _Work(progress, check_cancelled, int(calm.sum()) + _TURNS * len(good))
    candidates = [registration.solver(None, noise), *solvers]
    last = [smooth[int(frame)] for frame in good[calm][-3:]]
    for_calm = min(candidates, key=lambda solver: _left_unexplained(registration, solver, last))
    current = np.zeros(6)
    for frame in good[calm]:
        current, _ = _register(registration, for_calm, smooth[int(frame)], current, work)
        shifts[frame] = current
    for frame in good[~calm]:
        shifts[frame] = _nearest_start(registration, smooth[int(frame)], shifts, good[calm], frame)
    in_place = np.stack([registration.seen(smooth[int(frame)], shifts[frame]) for frame in good], axis=1)
    for _ in range(_TURNS):
        solver = registration.solver(*_bolus_terms(in_place, registration.target, noise, _TERMS))
        for number, frame in enumerate(good):
            start = shifts[frame]
            shifts[frame], in_place[:, number] = _register(registration, solver, smooth[int(frame)], start, work)
    for frame in np.flatnonzero(~np.isin(np.arange(series.frames), good)):
        before = good[good < frame]
        shifts[frame] = shifts[before[-1]] if len(before) else shifts[good[0]]
    found = Motion(shifts, *registration.displacements(shifts), registration.center, quiet)
    moved = good[found.displacement[good] >= LEAST_DISPLACEMENT]
    left = sum(registration.unexplained(smooth[int(frame)], shifts[frame]) for frame in moved)
    before = sum(registration.unexplained(smooth[int(frame)], np.zeros(6)) for frame in moved)
    if left > (1 - _LEAST_EXPLAINED) * before or found.largest > _FARTHEST:
        # What is seen is not motion: images of another kind, or without structure.
        return still
    return found


def _left_unexplained(registration: _Registration, solver: np.ndarray, frames: list[np.ndarray]) -> float:
    """What is left of frames after they were registered by a solver."""
    silent = _Work(no_progress, never_cancelled, 1)
    return sum(
        registration.unexplained(smooth, _register(registration, solver, smooth, np.zeros(6), silent)[0])
        for smooth in frames
    )


def _nearest_start(
    registration: _Registration, smooth: np.ndarray, shifts: np.ndarray, calm: np.ndarray, frame: int
) -> np.ndarray:
    """Where the head is thought to be in a frame in which the bolus passes: where it was before, or after, or between,
    whichever leaves least of the frame unexplained. The bolus leaves about the same in all three cases."""
    before, after = calm[calm < frame][-3:], calm[calm > frame][:3]
    if not len(before) or not len(after):
        return np.median(shifts[before if len(before) else after], axis=0)
    first, last = np.median(shifts[before], axis=0), np.median(shifts[after], axis=0)
    share = (frame - before[-1]) / (after[0] - before[-1])
    return min((first, first + share * (last - first), last), key=lambda shift: registration.unexplained(smooth, shift))


class _Work:
    """How far a registration is."""

    def __init__(self, progress: Progress, check_cancelled: CheckCancelled, total: int) -> None:
        self._progress, self._check, self._total, self._done = progress, check_cancelled, total, 0

    def another(self) -> None:
        """One frame more."""
        self._check()
        self._progress(self._done / self._total, "Looking how the head moved")
        self._done += 1


def _register(
    registration: _Registration, solver: np.ndarray, smooth: np.ndarray, start: np.ndarray, work: _Work
) -> tuple[np.ndarray, np.ndarray]:
    work.another()
    shift = start
    seen = registration.seen(smooth, shift)
    for _ in range(_STEPS):
        change = solver @ (seen - registration.target)
        shift = shift + change
        seen = registration.seen(smooth, shift)
        if registration.displacement(change[None])[0] < _ENOUGH:
            break
    return shift, seen


def _bolus_terms(
    curves: np.ndarray, target: np.ndarray, noise: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the bolus changes.

    :param curves: (n, T) voxels with the head in place
    :returns: (n, k) the strongest changes over time, and (n,) deviation of what is left of all changes
    """
    change = curves - target[:, None]
    values, vectors = np.linalg.eigh(change.T @ change)
    strongest = vectors[:, -count:]
    terms = change @ strongest
    left = change - terms @ strongest.T
    worst = np.sqrt(np.sort(left**2, axis=1)[:, -max(len(left[0]) // 8, 1) :].mean(axis=1))
    return terms / np.sqrt(np.maximum(values[-count:], 1e-12)), np.maximum(worst, noise)


def _ways_of_bolus(curves: np.ndarray, calm: np.ndarray) -> list[np.ndarray]:
    """(n, 1) each, what the bolus takes from the signal on its way down, and gives back on its way up.

    :param curves: (n, T) voxels
    :param calm: (T,) bool, frames with little contrast agent
    """
    passing = np.flatnonzero(~calm)
    if not len(passing):
        return [np.zeros((len(curves), 1))]
    peak = int(passing[np.argmin(curves[:, passing].mean(axis=0))])
    lowest = curves[:, max(peak - 1, 0) : peak + 2].mean(axis=1)
    before, after = curves[:, :peak][:, calm[:peak]][:, -3:], curves[:, peak:][:, calm[peak:]][:, :3]
    # Frames at the peak itself may be from either side of a motion.
    sooner = curves[:, max(peak - 2, 0) : peak].mean(axis=1) if peak > 1 else lowest
    later = curves[:, peak + 1 : peak + 3].mean(axis=1) if peak + 3 <= curves.shape[1] else lowest
    ways = []
    if before.shape[1]:
        ways.append((sooner - before.mean(axis=1))[:, None])
    if after.shape[1]:
        ways.append((after.mean(axis=1) - later)[:, None])
    return ways or [np.zeros((len(curves), 1))]


def _noise(curves: np.ndarray) -> float:
    """Standard deviation of a voxel's noise."""
    return 1.4826 * float(np.median(np.abs(np.diff(curves, axis=1)))) / np.sqrt(2)


def moved_back(
    signal: np.ndarray,
    motion: Motion,
    spacing: np.ndarray,
    *,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> tuple[np.ndarray, np.ndarray]:
    """The series as if the head had not moved.

    :param signal: (T, Z, Y, X) float32
    :param spacing: (3,) mm
    :returns: the new signal, and (Z, Y, X) the share of frames in which a voxel came from outside of the image
    """
    result = signal.copy()
    outside = np.zeros(signal.shape[1:])
    for frame, shift in enumerate(motion.shifts):
        check_cancelled()
        progress(frame / len(signal), f"Moving frame {frame + 1} back")
        if motion.displacement[frame] < _STILL:
            continue
        moved = _moved_back(signal[frame], shift, motion.center, np.asarray(spacing, float), sitk.sitkBSpline)
        result[frame] = np.clip(moved, 0, signal[frame].max())
        outside += _outside(signal.shape[1:], shift, motion.center, np.asarray(spacing, float))
    return result, outside / len(signal)


def _matrix(shift: np.ndarray) -> np.ndarray:
    """(3, 3) the turn of `_transform`."""
    return np.array(_transform(shift, np.zeros(3)).GetMatrix()).reshape(3, 3)


def _transform(shift: np.ndarray, center: np.ndarray) -> sitk.Euler3DTransform:
    """Where a point of the reference is in the frame: the image is moved by minus that."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(value) for value in center])
    transform.SetRotation(*(float(-value) for value in shift[3:]))
    transform.SetTranslation([float(-value) for value in shift[:3]])
    return transform


def _moved_back(
    frame: np.ndarray, shift: np.ndarray, center: np.ndarray, spacing: np.ndarray, interpolator: int
) -> np.ndarray:
    image = sitk.GetImageFromArray(np.ascontiguousarray(frame, dtype=np.float32))
    image.SetSpacing([float(step) for step in spacing])
    if min(frame.shape) < _SPLINE:
        interpolator = sitk.sitkLinear
    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(image)
    resample.SetTransform(_transform(shift, center))
    resample.SetInterpolator(interpolator)
    resample.UseNearestNeighborExtrapolatorOn()
    return sitk.GetArrayFromImage(resample.Execute(image))


def _outside(shape: tuple[int, int, int], shift: np.ndarray, center: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(Z, Y, X) whether a voxel comes from outside of the image."""
    k, j, i = np.indices(shape, sparse=True)
    places = np.stack(np.broadcast_arrays(i, j, k), axis=-1) * spacing - center
    there = (places @ _matrix(shift).T - shift[:3] + center) / spacing
    last = np.array(shape[::-1]) - 1
    return ((there < -0.5) | (there > last + 0.5)).any(axis=-1)
