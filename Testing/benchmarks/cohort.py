"""What `stunet-perfusion batch` promises, shown on phantoms.

    python Testing/benchmarks/cohort.py [--cases 24] [--slices 8] [--stride 8] [--throughput-cases 8]

1. A cohort with three broken cases, one worker of two killed in the middle: the others come out as in single runs of
   `predict`, and the broken ones are named.
2. The same command again computes the broken ones only; with two maps removed, those two besides.
3. Throughput of two workers with one thread each, over that of one. Workers are started, and the libraries loaded,
   before the clock is.

Needs a machine with two idle cores. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from stunet_perfusion.cases import Case, read_cases, write_cases
from stunet_perfusion.cohort.batch import compute
from stunet_perfusion.cohort.cluster import local_workers
from stunet_perfusion.cohort.jobs import make_job
from stunet_perfusion.inference.predict import PredictionSettings
from stunet_perfusion.phantom import Protocol, make_phantom, mni_anatomy
from stunet_perfusion.reading import read_map
from stunet_perfusion.runs.provenance import sha256_of_path
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.writing import write_map, write_series

_MAPS = ("cbv", "cbv_standardized", "cbv_uncertainty")
_PROGRAM = [sys.executable, "-m", "stunet_perfusion"]


@dataclass(frozen=True)
class Cohort:
    """Where everything is.

    :param folder: of cases and results
    :param stride: rows from strip to strip
    """

    folder: Path
    stride: int

    @property
    def table(self) -> Path:
        """The table of cases."""
        return self.folder / "cases.csv"

    @property
    def output(self) -> Path:
        """Results of `batch`."""
        return self.folder / "out"

    def command(self, *options: str) -> list[str]:
        """The command line of `batch`."""
        words = [
            "batch",
            str(self.table),
            "--output",
            str(self.output),
            "--device",
            "cpu",
            "--stride",
            str(self.stride),
        ]
        return [*_PROGRAM, *words, "--json", *options]


def make_cases(folder: Path, count: int, slices: int) -> None:
    """Phantoms of one head with a tumor and a seed each, of which the last three are broken in different ways."""
    anatomy = mni_anatomy()
    cases = []
    for seed in range(count):
        every = range(2, 20, max(18 // slices, 1))
        phantom = make_phantom(anatomy, tumor="random", protocol=Protocol(), seed=seed, slices=every)
        case = folder / f"case-{seed:02d}"
        write_series(case / "dsc.nii.gz", phantom.series())
        files = {"mask": phantom.mask, "tumor": phantom.tumor, "nawm": phantom.nawm, "reference": phantom.cbv}
        for name, values in files.items():
            write_map(case / f"{name}.nii.gz", values, phantom.grid)
        paths = {name: case / f"{name}.nii.gz" for name in files}
        cases.append(Case(case.name, case / "dsc.nii.gz", case.name, files=paths))
    cut, gone, frozen = (case.series for case in cases[-3:])
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    gone.unlink()
    write_series_without_bolus(frozen)
    write_cases(folder / "cases.csv", cases)


def write_series_without_bolus(path: Path) -> None:
    """Replace a series by its first frame, repeated."""
    import nibabel

    image = nibabel.load(path)
    signal = np.repeat(np.asarray(image.dataobj[..., 5:6]), image.shape[3], axis=3)
    nibabel.save(nibabel.Nifti1Image(signal, image.affine, image.header), path)


def kill_a_worker(output: Path, parent: int, finished: int) -> int:
    """Wait until so many cases are done and another has begun, end a worker that computes, and return its id."""
    while True:
        done = len(list(output.glob("*/case.json")))
        begun = list(output.glob(".stunet-perfusion-*"))
        children = psutil.Process(parent).children()
        workers = [child for child in children if any("spawn_main" in word for word in child.cmdline())]
        if done >= finished and begun and workers:
            busiest = max(workers, key=lambda worker: worker.cpu_percent(0.2))
            os.kill(busiest.pid, signal.SIGKILL)
            return busiest.pid
        time.sleep(0.02)


def run_with_a_killed_worker(cohort: Cohort) -> dict[str, Any]:
    """The whole cohort on two workers, of which one is killed."""
    started = time.monotonic()
    with open(cohort.folder / "batch.json", "w") as log:
        process = subprocess.Popen(cohort.command("--workers", "2"), stdout=log)
        killed = kill_a_worker(cohort.output, process.pid, finished=4)
        process.wait()
    errors = {row["case"]: row["error"] for row in _summary(cohort) if row["status"] == "failed"}
    return {"killed_worker": killed, "seconds": time.monotonic() - started, "errors": errors}


def compare_with_single_runs(cohort: Cohort) -> dict[str, Any]:
    """How far maps are from those of `predict`, over their standard deviation."""
    largest, identical, equal = 0.0, 0, 0
    done = {row["case"] for row in _summary(cohort) if row["status"] != "failed"}
    for case in read_cases(cohort.table):
        if case.name not in done:
            continue
        single = cohort.folder / "single" / case.name
        words = ["predict", str(case.series), "--mask", str(case.files["mask"]), "--output", str(single), "--json"]
        words += ["--stride", str(cohort.stride), "--device", "cpu"]
        subprocess.run([*_PROGRAM, *words], check=True, stdout=subprocess.DEVNULL)
        differences = []
        for name in _MAPS:
            one, of_cohort = (
                read_map(place / case.name / f"{name}.nii.gz")[0] for place in (single.parent, cohort.output)
            )
            # Where strips do not overlap, the map of their spread is 0 everywhere.
            differences.append(float(np.abs(of_cohort - one).max()) / (float(one.std()) or 1.0))
        largest = max(largest, *differences)
        identical += max(differences) == 0
        equal += max(differences) < 1e-4
    return {"equal_to_single_runs": equal, "bit_for_bit": identical, "largest_difference_over_sd": largest}


def run_again(cohort: Cohort) -> dict[str, Any]:
    """Which cases are computed by the same command, and after two maps were removed."""
    found = {}
    for label, removed in (("again", ()), ("two_removed", ("case-00", "case-05"))):
        for name in removed:
            (cohort.output / name / "cbv.nii.gz").unlink()
        started = time.monotonic()
        subprocess.run(cohort.command("--workers", "2"), check=False, stdout=subprocess.DEVNULL)
        rows = _summary(cohort)
        found[label] = {
            "kept": sum(row["status"] == "kept" for row in rows),
            "computed": [row["case"] for row in rows if row["status"] == "computed"],
            "failed": [row["case"] for row in rows if row["status"] == "failed"],
            "seconds": time.monotonic() - started,
        }
    return found


def measure_throughput(cohort: Cohort, count: int, repeats: int) -> dict[str, Any]:
    """Cases a minute by one worker and by two, best of `repeats`."""
    checkpoint = shipped_checkpoint()
    settings = PredictionSettings(stride=cohort.stride)
    cases = read_cases(cohort.table)[:count]
    digest = sha256_of_path(checkpoint)
    best: dict[int, float] = {}
    for repeat in range(repeats):
        for workers in (1, 2):
            folder = cohort.folder / f"throughput-{workers}-{repeat}"
            jobs = [make_job(case, folder, checkpoint, digest, settings) for case in cases]
            with local_workers(workers, "cpu") as place:
                place.client.run(_load_libraries)
                started = time.monotonic()
                outcomes = compute(jobs, place)
                seconds = time.monotonic() - started
            if any(outcome.status != "computed" for outcome in outcomes):
                raise RuntimeError(f"cases failed: {[outcome.error for outcome in outcomes if outcome.error]}")
            best[workers] = min(best.get(workers, seconds), seconds)
    return {
        "cases": len(cases),
        "cases_a_minute": {str(workers): 60 * len(cases) / seconds for workers, seconds in best.items()},
        "two_over_one": best[1] / best[2],
    }


def _load_libraries() -> None:
    import stunet_perfusion.cohort.jobs  # noqa: F401


def _summary(cohort: Cohort) -> list[dict[str, str]]:
    with open(cohort.output / "summary.csv", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Make the cohort, and show the three promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=24, help="of which three are broken")
    parser.add_argument("--slices", type=int, default=8, help="of every phantom")
    parser.add_argument("--stride", type=int, default=8, help="rows from strip to strip")
    parser.add_argument("--throughput-cases", type=int, default=8, help="0 leaves the throughput out")
    parser.add_argument("--repeats", type=int, default=2, help="of the throughput; the best counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cohort = Cohort(Path(folder), options.stride)
        make_cases(cohort.folder, options.cases, options.slices)
        found: dict[str, Any] = {"cases": options.cases, "cores": os.cpu_count()}
        found["killed"] = run_with_a_killed_worker(cohort) | compare_with_single_runs(cohort)
        found |= run_again(cohort)
        if options.throughput_cases:
            found["throughput"] = measure_throughput(cohort, options.throughput_cases, options.repeats)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
