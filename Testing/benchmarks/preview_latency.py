"""How long somebody who drags the dose slider waits: for the repainted frame, and after its release for the CBV map.

    python Testing/benchmarks/preview_latency.py [--slices 20] [--threads N] [--repeats 5]

A brain-like series of 64 frames of 256 x 256, the shipped checkpoint, and a worker that is warm, which the first
preview makes it. Times of previews are from sending the request to having the arrays of one slice in memory. Prints one
JSON document, in milliseconds, the best of the repeats.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from science.worker_client import FINAL, WorkerClient
from stunet_perfusion.benchmarks.case import brain_like_series
from stunet_perfusion.dose.preview import DosePreview
from stunet_perfusion.dose.simulate import METHODS
from stunet_perfusion.preprocessing.preparation import PreparedSeries, prepare
from stunet_perfusion.series import DscSeries

#: A frame of the bolus.
FRAME = 20


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None, help="of the worker; one less than there are by default")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    series = brain_like_series((64, options.slices, 256, 256))
    times: dict[str, Any] = {"dragging": measure_dragging(prepare(series), options.repeats)}
    with tempfile.TemporaryDirectory() as folder:
        times["worker"] = measure_worker(Path(folder), series, options.threads, options.repeats)
    print(json.dumps(times, indent=2))


def measure_dragging(prepared: PreparedSeries, repeats: int) -> dict[str, Any]:
    """In the process of the slider: one frame, a voxel's curve, and all frames of the middle slice."""
    z, row, column = prepared.brain.shape[0] // 2, 128, 128

    def look(what: str, preview: DosePreview, dose: float, method: str) -> np.ndarray:
        if what == "frame":
            return preview.frame(z, FRAME, dose, method)
        return preview.slice(z, dose, method) if what == "slice" else preview.voxel(z, row, column, dose, method)

    times: dict[str, Any] = {}
    for method in METHODS:
        for what in ("frame", "voxel", "slice"):
            warm = DosePreview(prepared)
            look(what, warm, 0.5, method)
            times[f"{method}, {what}"] = {
                "first": _milliseconds(repeats, lambda n: look(what, DosePreview(prepared), n / (repeats + 1), method)),  # noqa: B023
                "next": _milliseconds(repeats, lambda n: look(what, warm, n / (repeats + 1), method)),  # noqa: B023
            }
    return times


def measure_worker(folder: Path, series: DscSeries, threads: int | None, repeats: int) -> dict[str, Any]:
    """From the release of the slider to the first and to the exact map of one slice."""
    started = perf_counter()
    worker = WorkerClient(folder)
    worker.wait_for_ready()
    times: dict[str, Any] = {"ready": 1000 * (perf_counter() - started)}
    np.save(folder / "input.npy", series.signal)
    request = {
        "signal": "input.npy",
        "times": series.times.tolist(),
        "ijk_to_ras": series.grid.ijk_to_ras.tolist(),
        "echo_time": series.echo_time,
    }
    z = series.grid.shape[0] // 2
    times["open"] = _milliseconds(1, lambda n: worker.ask("open", series="head", **request))
    times["arterial input"] = _milliseconds(1, lambda n: worker.ask("aif", series="head"))
    for method in METHODS:
        rounds = [_preview(worker, z, dose, method, threads) for dose in np.linspace(0.2, 0.8, repeats + 1)]
        times[f"{method}, cold"] = dict(zip(("first", "exact"), rounds[0], strict=True))
        warm = [min(column) for column in zip(*rounds[1:], strict=True)]
        times[f"{method}, warm"] = dict(zip(("first", "exact"), warm, strict=True))
    worker.ask("shutdown")
    worker.process.wait()
    return times


def _preview(worker: WorkerClient, z: int, dose: float, method: str, threads: int | None) -> tuple[float, float]:
    """Milliseconds to the first and to the exact map of a slice."""
    started = perf_counter()
    number = worker.send("preview", series="head", slices=[z], dose=dose, method=method, threads=threads)
    times = []
    for stage in ("first", "exact"):
        while not (
            parts := [each for each in worker.replies if each.get("id") == number and each.get("stage") == stage]
        ):
            worker.poll()
        for name in ("cbv", "uncertainty", "closed_form"):
            np.load(worker.folder / parts[0][name])
        times.append(1000 * (perf_counter() - started))
    worker.wait_for(number, *FINAL)
    return times[0], times[1]


def _part(worker: WorkerClient, number: int, stage: str) -> dict[str, Any] | None:
    """The reply that names the slice at a stage, if it has come."""
    of_stage = (reply for reply in worker.replies if reply.get("id") == number and reply.get("stage") == stage)
    return next(of_stage, None)


def _milliseconds(repeats: int, work: Callable[[int], Any]) -> float:
    """The best of some repeats, each of which is told its number from 1 on."""
    times = []
    for number in range(1, repeats + 1):
        started = perf_counter()
        work(number)
        times.append(1000 * (perf_counter() - started))
    return min(times)


if __name__ == "__main__":
    main()
