"""A dynamic susceptibility contrast (DSC) series, the grid that it lives on, and what makes it usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from stunet_perfusion.support.errors import InputError, Setting

#: Fewer frames cannot hold a baseline, a first pass and a tail.
FEWEST_FRAMES = 16

#: Interpolation during an earlier resampling undershoots to slightly negative values here and there.
#: More than this share of negative voxels is not that, but an image that is no magnitude image.
LARGEST_NEGATIVE_SHARE = 0.01

#: More of the image than this beyond the field of view is no field of view.
LARGEST_SHARE_BEYOND = 0.6

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a volume are in the patient.

    :param shape: voxels as (Z, Y, X), the order of arrays: slices, rows, columns
    :param ijk_to_ras: 4x4 matrix from voxel indices (column i, row j, slice k) to millimeters in the patient,
        right-anterior-superior, as in NIfTI and in 3D Slicer
    """

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    @classmethod
    def from_lps(cls, shape: Sequence[int], origin: np.ndarray, spacing: np.ndarray, direction: np.ndarray) -> Grid:
        """The grid of a SimpleITK, DICOM or NRRD geometry.

        :param shape: voxels as (Z, Y, X)
        :param origin: (3,) center of the first voxel, mm, left-posterior-superior
        :param spacing: (3,) voxel size along i, j, k, mm
        :param direction: (3, 3) unit vectors of i, j, k in its columns, or the 9 numbers of it row by row
        """
        lps = np.eye(4)
        lps[:3, :3] = np.asarray(direction, dtype=float).reshape(3, 3) * np.asarray(spacing, dtype=float)
        lps[:3, 3] = origin
        slices, rows, columns = (int(n) for n in shape)
        return cls((slices, rows, columns), _RAS_TO_LPS @ lps)

    @property
    def spacing(self) -> np.ndarray:
        """(3,) voxel size along i, j, k in millimeters."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def lps_origin(self) -> np.ndarray:
        """(3,) center of the first voxel, mm, left-posterior-superior."""
        return (_RAS_TO_LPS @ self.ijk_to_ras)[:3, 3]

    @property
    def lps_direction(self) -> np.ndarray:
        """(3, 3) unit vectors of i, j, k in columns, left-posterior-superior."""
        return (_RAS_TO_LPS @ self.ijk_to_ras)[:3, :3] / self.spacing

    def matches(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Whether every voxel of both grids is at the same place, to `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        last = np.array(self.shape[::-1]) - 1
        corners = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], float)
        return bool(np.abs((self.ijk_to_ras - other.ijk_to_ras) @ corners.T).max() <= tolerance_mm)


@dataclass(frozen=True)
class SimulatedDose:
    """How the dose of a series was lowered in software. Files carry it, so that no simulation passes for a scan.

    :param dose: share of the injected dose that is kept, in (0, 1)
    :param method: `equation1` or `noise-matched`, see `dose.simulate`
    :param seed: of the noise that `noise-matched` added; None where no noise was added
    """

    dose: float
    method: str
    seed: int | None = None

    @property
    def sentence(self) -> str:
        """For notes and reports."""
        return f"The series is a simulation at {100 * self.dose:g} % of the dose ({self.method})."


@dataclass(frozen=True, eq=False)
class DscSeries:
    """A DSC series: the one value that all of the package works on.

    :param signal: (T, Z, Y, X) float32, scanner units, not negative
    :param times: (T,) float64, seconds, increasing; the first need not be 0
    :param grid: geometry of every frame
    :param echo_time: TE in seconds, or None where the file does not say
    :param name: what messages call it, usually the file's name
    :param notes: what was understood or decided while reading, one sentence each, for people
    :param simulated: how its dose was lowered in software, or None for a scan
    """

    signal: np.ndarray
    times: np.ndarray
    grid: Grid
    echo_time: float | None = None
    name: str = "series"
    notes: tuple[str, ...] = ()
    simulated: SimulatedDose | None = None

    @property
    def frames(self) -> int:
        """The number of frames, T."""
        return self.signal.shape[0]

    @property
    def frame_interval(self) -> float:
        """Seconds between two frames (median). For single-shot EPI this is the repetition time."""
        return float(np.median(np.diff(self.times)))

    def dropping_first(self, frames: int) -> DscSeries:
        """The same series without its first `frames` frames. Shares the signal's memory."""
        return replace(self, signal=self.signal[frames:], times=self.times[frames:]) if frames else self

    def with_note(self, note: str) -> DscSeries:
        """The same series with one more note."""
        return replace(self, notes=(*self.notes, note))


def is_evenly_spaced(times: np.ndarray) -> bool:
    """Whether all steps in time are the same to a microsecond."""
    steps = np.diff(times)
    return bool(np.abs(steps - np.median(steps)).max(initial=0) < 1e-6)


def check_series(series: DscSeries) -> DscSeries:
    """Refuse what no later step could use.

    Looks at one slice at a time, so that a large series costs no second copy.

    :returns: the series, with a note where something odd was seen that does no harm
    :raises InputError: fewer than 16 frames, times that repeat or go back, NaN or infinite signal, nothing but
        zeros, negative signal, or a signal that is constant in time
    """
    frames = series.frames
    if frames < FEWEST_FRAMES:
        raise InputError(
            series.name,
            f"has {frames} frames, and a bolus passage needs at least {FEWEST_FRAMES}",
            "give the complete dynamic series",
        )
    _check_times(series)
    series = _outside_of_field_of_view(series)
    any_signal = any_change = False
    negative = 0
    for z in range(series.signal.shape[1]):
        frames_of_slice = series.signal[:, z]
        lowest, highest = frames_of_slice.min(axis=0), frames_of_slice.max(axis=0)
        if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
            raise InputError(
                series.name,
                f"has voxels that are not a number or infinite (first in slice {z})",
                "export the series again, or replace these voxels before loading it",
            )
        any_signal |= bool(highest.any() or lowest.any())
        any_change |= bool((highest > lowest).any())
        if lowest.min(initial=0) < 0:
            negative += int((frames_of_slice < 0).sum())
    if not any_signal:
        raise InputError(series.name, "holds nothing but zeros", "check that the right series was exported")
    if not any_change:
        raise InputError(
            series.name,
            "is constant in time, so no contrast bolus passes",
            "give the dynamic series, not a repeated or averaged volume",
        )
    share = negative / series.signal.size
    if share > LARGEST_NEGATIVE_SHARE:
        raise InputError(
            series.name,
            f"is negative in {100 * share:.1f} % of its voxels, and an MR magnitude signal is not",
            "check the rescale slope and intercept, or give the magnitude images",
        )
    if negative:
        return series.with_note(f"{negative} voxels are slightly negative, as interpolation leaves them.")
    return series


def _outside_of_field_of_view(series: DscSeries) -> DscSeries:
    """The series with zeros where a registration has left no numbers: beyond the image that it had, and in frames that
    it left empty.

    :returns: the series itself where all are numbers
    """
    signal = series.signal
    missing = np.stack([np.isnan(signal[:, z].min(axis=0)) for z in range(signal.shape[1])])
    if not missing.any():
        return series
    empty = [frame for frame, image in enumerate(signal) if np.isnan(image).all()]
    if len(empty) > series.frames - FEWEST_FRAMES:
        return series
    rest = np.delete(signal, empty, axis=0) if empty else signal
    throughout = np.isnan(rest).all(axis=0)
    sometimes = np.isnan(rest).any(axis=0) & ~throughout
    # Where the head moved, the edge of the image moved with it: what lies beyond it in some frames touches it.
    parts, _ = ndimage.label(throughout | sometimes)
    at_edge = np.unique(np.concatenate([parts[:, [0, -1]].ravel(), parts[:, :, [0, -1]].ravel()]))
    beyond = throughout | np.isin(parts, at_edge[at_edge > 0])
    if beyond.mean() > LARGEST_SHARE_BEYOND:
        return series
    mended = np.where(beyond, np.float32(0), signal)
    mended[empty] = 0
    notes = []
    if beyond.any():
        notes.append(
            f"{np.count_nonzero(beyond)} voxels that are not a number lie outside of the field of view and are 0."
        )
    if empty:
        notes.append(f"{len(empty)} frames that are not numbers are taken as empty.")
    return replace(series, signal=mended, notes=(*series.notes, *notes))


def _check_times(series: DscSeries) -> None:
    steps = np.diff(series.times)
    if not np.isfinite(series.times).all():
        way_out = "give the time between frames in seconds"
        raise InputError(series.name, "has frame times that are not numbers", way_out, Setting.FRAME_INTERVAL)
    if (steps <= 0).any():
        frame = int(np.argmax(steps <= 0)) + 1
        word = "repeats the time of" if steps[frame - 1] == 0 else "is earlier than"
        raise InputError(
            series.name,
            f"frame {frame} ({series.times[frame]:g} s) {word} frame {frame - 1} ({series.times[frame - 1]:g} s)",
            "give the time between frames in seconds, to space them evenly",
            Setting.FRAME_INTERVAL,
        )
    interval = series.frame_interval
    if not 0.05 <= interval <= 20:
        raise InputError(
            series.name,
            f"has {interval:g} s between frames, and DSC series have 0.05 to 20 s",
            "check the unit of time, or give the time between frames in seconds",
            Setting.FRAME_INTERVAL,
        )
