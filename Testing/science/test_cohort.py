"""Many cases: none stops another, only what is missing is computed, and nothing depends on who computed it."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import distributed
import numpy as np
import psutil
import pytest

from science.dask_workers import workers_in_this_process
from science.small_cases import SHAPE, small_checkpoint, small_series, write_small_case
from stunet_perfusion import __version__
from stunet_perfusion.cases import Case, read_cases, write_cases
from stunet_perfusion.cli import batch, main
from stunet_perfusion.cohort import jobs
from stunet_perfusion.cohort.batch import compute
from stunet_perfusion.cohort.cluster import GPU, Workers, local_workers, remote_workers
from stunet_perfusion.cohort.jobs import CaseJob, CaseOutcome
from stunet_perfusion.inference.predict import PredictionSettings
from stunet_perfusion.metrics import compare_maps
from stunet_perfusion.reading import read_map
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.writing import write_map

#: The cases that can be computed.
GOOD = ("a", "b", "c", "d", "e")


@pytest.fixture
def cohort(tmp_path) -> Path:
    """Five cases and three broken ones: no file, no image, and a mask of nothing."""
    small_checkpoint(tmp_path / "small.safetensors")
    cases = [write_small_case(tmp_path, name, seed) for seed, name in enumerate(GOOD)]
    (tmp_path / "text.nii.gz").write_text("no image")
    write_map(tmp_path / "empty.nii.gz", np.zeros(SHAPE, bool), small_series().grid)
    cases[2:2] = [
        Case("missing", tmp_path / "missing.nii.gz"),
        Case("text", tmp_path / "text.nii.gz"),
        replace(cases[0], name="empty", files={"mask": tmp_path / "empty.nii.gz"}),
    ]
    write_cases(tmp_path / "cases.csv", cases)
    return tmp_path


def words(folder: Path, *options: str) -> list[str]:
    arguments = ["batch", str(folder / "cases.csv"), "--output", str(folder / "out"), "--device", "cpu"]
    return [*arguments, "--checkpoint", str(folder / "small.safetensors"), "--stride", "16", *options]


def summary(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "out" / "summary.csv", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """Names of the cases that are computed, by workers in this process."""
    names: list[str] = []
    real = jobs._compute

    def noting(job: CaseJob):
        names.append(job.case.name)
        return real(job)

    monkeypatch.setattr(jobs, "_compute", noting)
    monkeypatch.setattr(batch, "local_workers", workers_in_this_process)
    return names


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing of a process that has ended since it was listed."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def kill_a_worker_that_computes(output: Path, parent: subprocess.Popen[str]) -> None:
    """Wait until a case has been begun, and end a worker without warning."""
    while parent.poll() is None:
        workers = [child for child in psutil.Process(parent.pid).children() if "spawn_main" in command_of(child)]
        begun = [path.parent for path in output.glob(".stunet-perfusion-*")]
        if begun and workers:
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
            return
        time.sleep(0.005)
    pytest.fail(f"it ended before a case was begun: {parent.communicate()}")


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process as POSIX does")
def test_a_worker_is_killed_and_everything_comes_out_as_in_single_runs(cohort):
    process = subprocess.Popen(
        [sys.executable, "-m", "stunet_perfusion", *words(cohort, "--workers", "1", "--json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kill_a_worker_that_computes(cohort / "out", process)
    printed, errors = process.communicate()
    assert process.returncode == 1, "some cases failed"
    assert errors == ""
    document = json.loads(printed)
    assert document == json.loads((cohort / "out" / "report.json").read_text())
    failed = {entry["case"]: entry["error"] for entry in document["cases"] if entry["status"] == "failed"}
    assert list(failed) == ["missing", "text", "empty"]
    assert failed["missing"].startswith("[series]: does not exist; check the path")
    assert failed["text"].startswith("[series].nii.gz: is not a NIfTI file")
    assert failed["empty"].startswith("[mask].nii.gz: is empty")
    assert not list((cohort / "out").rglob(".stunet-perfusion-*")), "what was begun is removed"
    for name in GOOD:
        single = ["predict", str(cohort / name / "dsc.nii.gz"), "--mask", str(cohort / name / "mask.nii.gz")]
        single += ["--checkpoint", str(cohort / "small.safetensors"), "--stride", "16", "--device", "cpu", "--json"]
        assert main([*single, "--output", str(cohort / "single" / name)]) == 0
        for quantity in ("cbv", "cbv_standardized", "cbv_uncertainty"):
            one, grid = read_map(cohort / "single" / name / f"{quantity}.nii.gz")
            of_cohort, other_grid = read_map(cohort / "out" / name / f"{quantity}.nii.gz")
            assert grid.matches(other_grid)
            # A worker has one thread, and adds up in another order.
            np.testing.assert_allclose(of_cohort, one, rtol=1e-5, atol=1e-5 * float(np.abs(one).max()))


def test_a_cohort_that_is_done_is_kept_without_loading_what_computes(cohort, computed):
    """Torch and Dask alone take seconds to load."""
    write_cases(cohort / "cases.csv", [case for case in read_cases(cohort / "cases.csv") if case.name in "ab"])
    assert main(words(cohort)) == 0
    assert sorted(computed) == ["a", "b"]
    code = "import sys; from stunet_perfusion.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words(cohort)], check=True, capture_output=True, text=True)
    assert "0 cases computed, 2 kept from before, 0 failed." in done.stderr
    assert not {"torch", "distributed", "skimage", "nibabel", "matplotlib", "scipy.stats"} & set(done.stdout.split())
    assert main(words(cohort, "--stride", "40")) == 2, "what cannot be computed is still refused"


def test_only_what_is_missing_failed_or_made_otherwise_is_computed(cohort, computed, capsys):
    everyone = sorted([*GOOD, "missing", "text", "empty"])
    assert main(words(cohort)) == 1
    assert sorted(computed) == everyone
    before = {path: path.stat().st_mtime_ns for path in (cohort / "out").glob("*/cbv.nii.gz")}

    computed.clear()
    (cohort / "out" / "b" / "cbv.nii.gz").unlink()
    (cohort / "out" / "d" / "report.json").write_text("{")
    capsys.readouterr()
    assert main(words(cohort)) == 1
    assert sorted(computed) == ["b", "d", "empty", "missing", "text"]
    assert "2 cases computed, 3 kept from before, 3 failed." in capsys.readouterr().err
    for name in ("a", "c", "e"):
        path = cohort / "out" / name / "cbv.nii.gz"
        assert path.stat().st_mtime_ns == before[path]
    assert {row["status"] for row in summary(cohort).values()} == {"computed", "kept", "failed"}
    assert all(summary(cohort)[name]["nrcbv"] for name in GOOD), "numbers of kept cases stay in the table"

    computed.clear()
    assert main(words(cohort, "--batch", "2")) == 1
    assert sorted(computed) == ["empty", "missing", "text"], "how fast it is computed changes no result"

    computed.clear()
    assert main(words(cohort, "--dose", "0.5")) == 1
    assert sorted(computed) == everyone

    computed.clear()
    write_small_case(cohort, "c", seed=17)
    assert main(words(cohort, "--dose", "0.5")) == 1
    assert sorted(computed) == ["c", "empty", "missing", "text"]

    computed.clear()
    small_checkpoint(cohort / "small.safetensors", seed=5)
    write_cases(cohort / "cases.csv", [Case(name, cohort / name / "dsc.nii.gz") for name in GOOD])
    assert main(words(cohort, "--dose", "0.5")) == 0
    assert sorted(computed) == list(GOOD)

    computed.clear()
    assert main(words(cohort, "--dose", "0.5")) == 0
    assert computed == []


def test_numbers_scores_and_own_columns_stand_in_the_summary(cohort, computed):
    case = write_small_case(cohort, "a")
    reference = np.linspace(0.5, 1, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    write_map(cohort / "a" / "truth.nii.gz", reference, small_series().grid)
    files = {**case.files, "reference": cohort / "a" / "truth.nii.gz"}
    write_cases(cohort / "cases.csv", [replace(case, files=files, facts={"grade": "IV"})])
    assert main(words(cohort)) == 0
    row = summary(cohort)["a"]
    cbv, _ = read_map(cohort / "out" / "a" / "cbv.nii.gz")
    brain, tumor, nawm = (
        read_map(cohort / "a" / f"{name}.nii.gz")[0].astype(bool) for name in ("mask", "tumor", "nawm")
    )
    # Voxels are 2 x 2 x 5 mm.
    assert float(row["brain_ml"]) == pytest.approx(0.02 * brain.sum(), rel=1e-5)
    assert float(row["tumor_ml"]) == pytest.approx(0.02 * tumor.sum(), rel=1e-5)
    assert float(row["cbv_brain"]) == pytest.approx(cbv[brain].mean(dtype=float), rel=1e-5)
    assert float(row["nrcbv"]) == pytest.approx(cbv[tumor].mean() / cbv[nawm].mean(), rel=1e-4)
    expected = compare_maps(cbv, reference, brain, tumor, nawm)
    for name in ("l1", "l2", "ssim", "tumor_l1", "pearson", "concordance", "nrcbv_reference"):
        assert float(row[name]) == pytest.approx(expected[name], rel=1e-4)
    assert (row["subject"], row["part"], row["status"], row["grade"]) == ("person-a", "test", "computed", "IV")
    report = json.loads((cohort / "out" / "report.json").read_text())
    assert report["provenance"]["versions"]["stunet-perfusion"] == __version__
    assert report["provenance"]["inputs"]["cases"]["path"] == "../cases.csv"
    assert main(["repeat", str(cohort / "out" / "a" / "report.json"), "--json"]) == 0


def test_a_tumor_that_is_gone_costs_its_numbers_and_not_the_map(cohort, computed, capsys):
    case = write_small_case(cohort, "a")
    elsewhere = replace(small_series().grid, ijk_to_ras=2 * small_series().grid.ijk_to_ras)
    write_map(cohort / "a" / "truth.nii.gz", np.ones(SHAPE, np.float32), elsewhere)
    files = {**case.files, "tumor": cohort / "empty.nii.gz", "reference": cohort / "a" / "truth.nii.gz"}
    write_cases(cohort / "cases.csv", [replace(case, files=files)])
    for status in ("computed", "kept"):
        assert main(words(cohort)) == 0
        row = summary(cohort)["a"]
        assert (row["status"], row["nrcbv"], row["tumor_ml"], row["l1"]) == (status, "", "", "")
        assert row["cbv_nawm"]
        assert row["notes"].startswith("tumor left out: [tumor].nii.gz: is empty")
        assert "is on another grid than the series" in row["notes"]
        assert "tumor left out" in (cohort / "out" / "overview.html").read_text()


def test_the_overview_stands_alone_with_a_picture_of_every_case(cohort, computed):
    cases = [write_small_case(cohort, "a"), Case("<i>b&c".replace("<", "(").replace(">", ")"), cohort / "no.nii")]
    write_cases(cohort / "cases.csv", [replace(cases[0], part="test"), cases[1]])
    assert main(words(cohort)) == 1
    page = (cohort / "out" / "overview.html").read_text()
    assert "1 of 2 cases done" in page
    assert "<b>(i)b&amp;c</b>: " in page
    assert "Research use only: not for diagnosis." in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,iVBORw0KGgo"), "the signature of a PNG"
    assert "http" not in page


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--stride", "40"), "error: --stride: 40 is not between 1 and the 16 rows of a strip"),
        (("--dose", "0"), "error: dose: 0 is not in (0, 1]"),
        (("--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "error: --workers: contradicts --scheduler"),
        (("--checkpoint", "nowhere.safetensors"), "error: "),
    ],
)
def test_what_is_wrong_for_all_cases_is_said_before_any_is_computed(cohort, computed, capsys, options, sentence):
    assert main(words(cohort, *options)) == 2
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1
    assert computed == []
    assert not (cohort / "out").exists()


def test_who_stops_it_is_told_how_to_go_on(cohort, computed, monkeypatch, capsys):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "compute", stopped)
    assert main(words(cohort)) == 2
    expected = "error: stopped; finished cases are kept, and the same command goes on from there\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("package", ["dask", "distributed", "cryptography"])
def test_without_a_package_it_is_said_how_to_get_it(cohort, monkeypatch, capsys, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(words(cohort)) == 2
    way_out = "run: pip install 'stunet-perfusion[cohort]'"
    assert capsys.readouterr().err == f"error: {package}: is not installed, and 'batch' needs it; {way_out}\n"


def test_a_case_that_no_worker_survives_has_failed():
    class Future:
        def result(self):
            raise distributed.KilledWorker("task", None, 3)

    from stunet_perfusion.cohort.batch import _outcome

    outcome = _outcome(Future(), "huge")
    assert outcome.status == "failed"
    assert outcome.error.startswith("huge: ended its worker again and again, most likely because it needs more memory")


def test_what_workers_log_while_they_end_is_not_printed(capfd):
    def heartbeat_that_comes_too_late():
        logging.getLogger("distributed.worker").error("Failed to communicate with scheduler during heartbeat.")

    with local_workers(1, "cpu") as workers:
        workers.client.submit(heartbeat_that_comes_too_late).result()
    assert capfd.readouterr().err == ""


def test_local_workers_are_processes_that_nobody_else_reaches():
    with local_workers(1, "cpu") as workers:
        assert (workers.device, workers.resources) == ("cpu", {})
        pid = workers.client.submit(os.getpid).result()
        assert pid != os.getpid()
        environment = workers.client.submit(lambda: dict(os.environ)).result()
        assert environment["OMP_NUM_THREADS"] == "1"
        assert int(environment["MALLOC_TRIM_THRESHOLD_"]) >= 1e9, "memory is not given back between two layers"
        listening = {
            connection.laddr.ip
            for process in (psutil.Process(), psutil.Process(pid))
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        assert workers.client.scheduler.address.startswith("tls://"), "other users of this machine stay out"


@contextmanager
def scheduler(*resources: dict[str, int]):
    """A scheduler with a worker for each of `resources`, that others can connect to."""
    workers = {
        n: {"cls": distributed.Worker, "options": {"nthreads": 1, "resources": own, "dashboard": False}}
        for n, own in enumerate(resources)
    }
    addresses = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0", "dashboard": False}
    spec = {"cls": distributed.Scheduler, "options": addresses}
    with distributed.SpecCluster(workers, spec, silence_logs="ERROR") as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_without_gpus_computes_on_cpus():
    with scheduler({}) as address:
        with remote_workers(address, "auto") as workers:
            assert (workers.device, workers.resources) == ("cpu", {})
        with (
            pytest.raises(
                InputError,
                match=r"no worker declares a GPU for cuda; start workers with 'dask worker --resources GPU=1'",
            ),
            remote_workers(address, "cuda"),
        ):
            pass


def test_cases_go_to_the_workers_that_have_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "stunet_perfusion.cohort.batch.run_job",
        lambda job: CaseOutcome(job.case.name, "computed", {}, str(distributed.get_worker().name)),
    )
    cases = [CaseJob(Case(str(n), tmp_path), tmp_path, tmp_path, PredictionSettings(), str(n)) for n in range(6)]
    with scheduler({}, {GPU: 1}, {}) as address, remote_workers(address, "auto") as workers:
        assert (workers.device, workers.resources) == ("cuda:0", {GPU: 1})
        outcomes = compute(cases, workers)
        assert [(outcome.name, outcome.error) for outcome in outcomes] == [(str(n), "1") for n in range(6)]
        everywhere = compute(cases, Workers(workers.client, "cpu", {}))
        assert len(everywhere) == 6


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("stunet_perfusion.cohort.cluster._SECONDS_TO_CONNECT", 0.2)
    with (
        pytest.raises(
            InputError, match=r"^scheduler tcp://127.0.0.1:9: does not answer .*start 'dask scheduler' there"
        ),
        remote_workers("tcp://127.0.0.1:9", "auto"),
    ):
        pass
