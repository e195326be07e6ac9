"""How long a whole case and a preview take on this machine, and how much memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from stunet_perfusion.benchmarks.deconvolution import ECHO_TIME, FRAME_INTERVAL, brain_like_curves
from stunet_perfusion.dose.simulate import simulate_slice
from stunet_perfusion.inference.input_kinds import slice_for_network
from stunet_perfusion.inference.predict import PredictionSettings, plan_for, predict_prepared
from stunet_perfusion.inference.strips import predict_slice, predict_slice_progressively, take_apart
from stunet_perfusion.networks.checkpoint import Checkpoint
from stunet_perfusion.networks.folding import fold_batch_normalization
from stunet_perfusion.networks.memory_layout import use_channels_last
from stunet_perfusion.preprocessing.preparation import prepare
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.progress import Progress, no_progress

#: A low dose that has to be simulated, so that all of the work is measured.
DOSE = 0.5

#: What a case's seconds are told by, beside the words of its progress.
NETWORK = "Network"


@dataclass(frozen=True)
class CaseSpeed:
    """A case in numbers.

    :param case: seconds from a series in memory to its CBV map
    :param stages: how many of these each of its stages took, by the words that its progress says; the network is one
        of them, and lasts while any slice is in it. What runs beside the network (the arterial input, the closed
        form, other slices before and after it) is in none of them, but takes processors from it.
    :param preview: seconds from a dose to the first map of one slice, everything being in memory
    :param refined: seconds from a dose to the exact map of one slice
    :param memory_ratio: the most memory that the process held beyond what it held before, over that of the series; None
        where the operating system does not say
    """

    case: float
    stages: dict[str, float]
    preview: float
    refined: float
    memory_ratio: float | None

    @property
    def outside_network(self) -> float:
        """Share of a case's seconds in which the network does not run."""
        return 1 - self.stages[NETWORK] / self.case


class StageClock:
    """Seconds that a computation's stages take, one after another."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", perf_counter()
        self._inside: dict[str, int] = {}
        self._lock = Lock()

    def enter(self, stage: str) -> None:
        """From now on the time is that of another stage, except while a function is in one of its own."""
        with self._lock:
            self._count()
            self._stage = stage

    def progress(self, fraction: float, message: str) -> None:
        """A `Progress`: what it says is the stage, up to the number of a slice."""
        self.enter(re.split(r" \d", message)[0])

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, while which it is another stage. It may run in several threads at once: the stage lasts
        while any of them is in it."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._add(stage, 1)
            try:
                return function(*args, **kwargs)
            finally:
                self._add(stage, -1)

        return timed

    def _add(self, stage: str, change: int) -> None:
        with self._lock:
            self._count()
            self._inside[stage] = self._inside.get(stage, 0) + change

    def _count(self) -> None:
        """The time since the last change is that of the stage that it was in."""
        now = perf_counter()
        stage = next((stage for stage, runs in self._inside.items() if runs), self._stage)
        if stage:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


def measure_case(
    checkpoint: Checkpoint,
    shape: tuple[int, int, int, int] = (64, 20, 256, 256),
    device: str = "cpu",
    progress: Progress = no_progress,
) -> CaseSpeed:
    """Predict a brain-like case, and preview a slice of it.

    The peak of memory is that of the whole process until now, so measure it before anything else.

    :param shape: frames, slices, rows, columns
    """
    before = _peak_memory()
    progress(0.0, "Making a brain-like series")
    series = brain_like_series(shape)
    size = series.signal.nbytes
    preview, refined = _measure_preview(series, checkpoint, device)
    progress(0.2, "Predicting a case")
    clock = StageClock()
    clock.enter("Looking at the series")
    predict_prepared(
        prepare(series),
        checkpoint,
        PredictionSettings(dose=DOSE, device=device),
        predict=clock.around(NETWORK, predict_slice),
        consume=True,
        progress=clock.progress,
    )
    clock.enter("")
    after = _peak_memory()
    ratio = None if before is None or after is None else (after - before) / size
    return CaseSpeed(sum(clock.seconds.values()), clock.seconds, preview, refined, ratio)


def brain_like_series(shape: tuple[int, int, int, int], seed: int = 0) -> DscSeries:
    """An ellipsoid of gray and white matter, CSF and arteries, in which curves repeat.

    :param shape: frames, slices, rows, columns
    """
    frames, *volume = shape
    curves, aif = brain_like_curves(2048, frames, seed=seed)
    generator = np.random.default_rng(seed)
    curves = np.concatenate([curves, 0.25 * np.repeat(aif[:, None], 16, axis=1).astype(np.float32)], axis=1)
    signals = 600 * np.exp(-np.float32(ECHO_TIME) * curves)
    z, y, x = (np.linspace(-1, 1, size) for size in volume)
    inside = (z[:, None, None] / 1.5) ** 2 + (y[:, None] / 0.9) ** 2 + (x / 0.75) ** 2 <= 1
    signal = np.zeros(shape, np.float32)
    for plane, mask in zip(np.moveaxis(signal, 1, 0), inside, strict=True):
        plane[:, mask] = signals[:, generator.integers(signals.shape[1], size=int(mask.sum()))]
    grid = Grid.from_lps(tuple(volume), np.zeros(3), np.array([0.9, 0.9, 5.0]), np.eye(3))
    return DscSeries(signal, np.arange(frames) * FRAME_INTERVAL, grid, ECHO_TIME, "brain-like series")


def _measure_preview(series: DscSeries, checkpoint: Checkpoint, device: str) -> tuple[float, float]:
    """Seconds to the first map of the middle slice, and to the exact one."""
    prepared, info = prepare(series), checkpoint.info
    plan = plan_for(prepared, info)
    network = use_channels_last(fold_batch_normalization(checkpoint.network)).to(device)
    stages = take_apart(network, info.input.frames)
    signal = prepared.series.signal[:, len(prepared.brain) // 2]
    times: list[tuple[float, float]] = []
    # The first round warms up what a worker has warm.
    for _ in range(3):
        start = perf_counter()
        lowered = simulate_slice(signal, prepared.bolus.arrival, DOSE, "equation1", np.random.default_rng(0))
        frames = slice_for_network(plan, lowered, noise=info.noise_error > 0).given
        averages = predict_slice_progressively(network, frames, info.strip, stages=stages, device=device)
        next(averages)
        first = perf_counter()
        next(averages)
        times.append((first - start, perf_counter() - start))
    to_first, to_exact = zip(*times[1:], strict=True)
    return min(to_first), min(to_exact)


def _peak_memory() -> int | None:
    """Bytes that this process has held at most until now, or None where the operating system does not say (Windows)."""
    if sys.platform == "win32":
        return None
    import resource

    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
