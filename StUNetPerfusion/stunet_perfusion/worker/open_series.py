"""A series that stays open between requests: what was found out about it, and the way to its voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from stunet_perfusion.curve_fit.equation1_detection import notes_on_equation1
from stunet_perfusion.preprocessing.mending import parse_mend
from stunet_perfusion.preprocessing.preparation import PreparedSeries
from stunet_perfusion.preprocessing.scan import prepare_scan
from stunet_perfusion.series import DscSeries, Grid, check_series
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.support.progress import CheckCancelled, Progress, never_cancelled, no_progress
from stunet_perfusion.worker.arrays import read_array, read_mask
from stunet_perfusion.worker.protocol import Open


@dataclass(frozen=True, eq=False)
class OpenSeries:
    """Everything about a series but its voxels, which stay in their file.

    A mapping of the file is made for each job and let go afterwards, so that the memory of a series that is open and
    not worked on is not taken.

    :param path: .npy of the signal, (T, Z, Y, X) float32
    :param facts: the series with its steady frames only, brain and bolus; its signal holds no memory
    :param drop_frames: as it was asked for
    :param own_file: the file holds a mended series, and goes with it
    """

    path: Path
    facts: PreparedSeries
    drop_frames: int | Literal["auto"]
    own_file: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.facts.series.name

    def mapped(self) -> PreparedSeries:
        """The prepared series at full dose, to be looked at: its signal cannot be changed."""
        return self._with_steady_frames_of(read_array(self.path, mapped=True))

    def loaded(self) -> tuple[np.ndarray, PreparedSeries]:
        """The prepared series at full dose as a copy in memory, to be consumed.

        It is read and not copied from a mapping, so that it is there only once.

        :returns: (T, Z, Y, X) float32, all frames of the input, and the prepared series, which shares their memory
        """
        signal = read_array(self.path)
        return signal, self._with_steady_frames_of(signal)

    def _with_steady_frames_of(self, signal: np.ndarray) -> PreparedSeries:
        steady = signal[self.facts.dropped_frames : len(signal) - self.facts.dropped_last]
        if steady.shape != self.facts.series.signal.shape or steady.dtype != np.float32:
            raise InputError(self.name, "is not what it was when it was opened", "open it again")
        return with_signal(self.facts, steady)


def open_series(
    request: Open,
    folder: Path,
    *,
    mended_file: Path | None = None,
    progress: Progress = no_progress,
    check_cancelled: CheckCancelled = never_cancelled,
) -> OpenSeries:
    """Check a series and find its steady frames, brain and bolus.

    :param folder: what the names of files are relative to
    :param mended_file: where the signal is put if it has to be mended; None mends nothing
    :raises InputError: as `check_series` and `prepare`, or arguments that do not belong together
    """
    path = folder / request.signal
    received = _series(request, read_array(path, mapped=True))
    series = check_series(received)
    mask = None if request.mask is None else read_mask(folder / request.mask, series.grid.shape, "brain mask")
    mend = parse_mend(request.mend if mended_file is not None else "off")
    prepared = prepare_scan(
        series,
        mask=mask,
        drop_frames=request.drop_frames,
        mend=mend,
        bolus=request.bolus,
        progress=progress,
        check_cancelled=check_cancelled,
    )
    for note in notes_on_equation1(prepared):
        prepared = replace(prepared, series=prepared.series.with_note(note))
    is_mended = prepared.quality is not None and bool(prepared.quality.mended)
    is_mended = mended_file is not None and (is_mended or series.signal is not received.signal)
    if is_mended and mended_file is not None:
        # Only the frames that are used were mended for them; the others are put in front and behind as they were.
        whole = np.array(series.signal)
        whole[prepared.dropped_frames : len(whole) - prepared.dropped_last] = prepared.series.signal
        np.save(mended_file, whole)
        path = mended_file
    nothing = np.broadcast_to(np.float32(0), prepared.series.signal.shape)
    return OpenSeries(path, with_signal(prepared, nothing), request.drop_frames, is_mended)


def with_signal(prepared: PreparedSeries, signal: np.ndarray) -> PreparedSeries:
    """The same with other voxels.

    :param signal: (T, Z, Y, X), steady frames only
    """
    return replace(prepared, series=replace(prepared.series, signal=signal))


def _series(request: Open, signal: np.ndarray) -> DscSeries:
    if signal.ndim != 4 or signal.dtype != np.float32 or not signal.flags.c_contiguous:
        found = f"{signal.dtype} {signal.shape}"
        raise InputError(request.name, f"comes as an array of {found}", "give float32 (T, Z, Y, X), C-ordered")
    try:
        times = np.array(request.times, dtype=np.float64)
        ijk_to_ras = np.array(request.ijk_to_ras, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(request.name, f"has times or a matrix that are no numbers ({error})", "give numbers") from None
    if times.shape != signal.shape[:1] or ijk_to_ras.shape != (4, 4):
        fact = f"has {times.shape} times and a matrix of {ijk_to_ras.shape} for {signal.shape[0]} frames"
        raise InputError(request.name, fact, "give one time a frame, and a 4x4 matrix")
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    if not np.isfinite(ijk_to_ras).all() or not abs(np.linalg.det(ijk_to_ras[:3, :3])) > 1e-6 * spacing.prod():
        raise InputError(request.name, "has a matrix whose axes lie in one plane", "check the volume's geometry")
    if request.echo_time is not None and not 0 < request.echo_time < 1:
        raise InputError(request.name, f"has an echo time of {request.echo_time:g} s", "give 0.01 to 0.1 s, or none")
    return DscSeries(signal, times, Grid(signal.shape[1:], ijk_to_ras), request.echo_time, request.name)
