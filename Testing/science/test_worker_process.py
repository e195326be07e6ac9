"""The worker as a process: what is printed in it, what is missing, how it ends, and what is left when it is killed."""

import sys
import time

import numpy as np
import pytest

from science.worker_case import brain, fill, make_case, opening
from science.worker_client import FINAL, WorkerClient

#: Arguments of all requests that compute with the network.
REQUEST = {"series": "head", "checkpoint": "quick.safetensors", "device": "cpu", "threads": 1}

#: How often the worker is killed.
KILLS = 20


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path)
    return tmp_path


def broken_job(name, body):
    """Code that puts `body` before what a job does. It knows `request`, `job` and `session`."""
    return f"""
import os, subprocess, sys
import stunet_perfusion.worker.jobs.{name} as broken
original = broken.run
def run(request, job, session):
    {body}
    return original(request, job, session)
broken.run = run
"""


def test_what_libraries_print_does_not_get_between_the_replies(folder):
    """Python, C, and children print; a child reads the standard input. The replies are on the standard output."""
    body = (
        "print('noise', flush=True); os.write(1, b'{half a reply'); os.system('echo child');"
        " assert subprocess.run([sys.executable, '-c', 'input()'], capture_output=True).returncode == 1"
    )
    worker = WorkerClient(folder, broken_job("close", body), to_file=False)
    requests = [worker.send("close", series=str(n)) for n in range(3)]
    assert [worker.wait_for(number, *FINAL)["result"] for number in requests] == [{}, {}, {}]
    assert worker.ask("shutdown") == {}
    assert worker.process.wait() == 0
    assert [reply["event"] for reply in worker.replies] == ["ready"] + 4 * ["done"]
    errors = worker.errors.read_text()
    assert errors.count("noise") == errors.count("{half a reply") == errors.count("child") == 3


def test_packages_that_are_missing_or_broken_are_named_and_the_rest_works(folder):
    """Without torch, and without everything else that 3D Slicer does not bring along."""
    code = """
import sys
for name in ("torch", "nibabel", "nrrd", "skimage", "typer", "rich", "nilearn"):
    sys.modules[name] = None
class HalfInstalled:
    def find_spec(self, name, path=None, target=None):
        if name == "safetensors":
            raise ImportError("libsafetensors.so: cannot open shared object file\\nor so")
sys.meta_path.insert(0, HalfInstalled())
"""
    worker = WorkerClient(folder, code)
    found = worker.ask("environment")
    assert found["missing"] == ["nibabel", "skimage", "torch"]
    assert found["torch"] is None
    assert found["packages"]["torch"] is None
    assert found["packages"]["numpy"] == np.__version__
    assert found["broken"]["safetensors"].startswith("safetensors is installed, but cannot be loaded (ImportError: lib")
    assert "\n" not in found["broken"]["safetensors"]
    assert (found["devices"], found["auto"]) == ([], None)

    worker.ask("open", **opening(make_case()))
    assert worker.ask("describe", checkpoint="quick.safetensors")["network"] == "hess"
    assert set(worker.ask("reference", series="head", leakage_correction=True)["maps"]) == {"cbv", "cbf", "mtt", "k2"}
    for do, arguments in (("predict", {}), ("preview", {"slices": [1]})):
        reply = worker.answer(do, **REQUEST, **arguments)
        assert reply["message"].startswith("torch: is not installed, and this computation needs it; install it")
    reply = worker.answer("compare", map="mask.npy", reference="mask.npy", mask="mask.npy")
    assert reply["message"].startswith("skimage: is not installed")
    worker.kill()


def test_the_sample_is_handed_over_whole(tmp_path):
    """A small stand-in for the sample, whose making has tests of its own."""
    code = """
import numpy as np
import stunet_perfusion.phantom.sample as sample
from stunet_perfusion.series import DscSeries, Grid
def make_sample(progress):
    progress(0.5, "Drawing")
    signal, times, grid = np.full((20, 2, 3, 4), 7, np.float32), np.arange(20) * 1.5, Grid((2, 3, 4), np.eye(4))
    series = DscSeries(signal, times, grid, 0.03, "S")
    masks = [np.arange(24).reshape(2, 3, 4) == n for n in range(4)]
    return sample.Sample(series, *masks, np.arange(24, dtype=np.float32).reshape(2, 3, 4))
sample.make_sample = make_sample
"""
    worker = WorkerClient(tmp_path, code)
    found = worker.ask("sample")
    assert (found["name"], found["echo_time"]) == ("S", 0.03)
    assert found["times"] == [1.5 * frame for frame in range(20)]
    assert found["ijk_to_ras"] == np.eye(4).tolist()
    arrays = {name: np.load(tmp_path / found[name]) for name in ("signal", "brain", "tumor", "nawm", "vessels", "cbv")}
    assert arrays["signal"].shape == (20, 2, 3, 4)
    for number, name in enumerate(("brain", "tumor", "nawm", "vessels")):
        assert arrays[name].dtype == bool
        assert np.flatnonzero(arrays[name]) == [number]
    assert arrays["cbv"].ravel().tolist() == list(range(24))
    worker.kill()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("MemoryError()", "memory: is not enough for this series"),
        ("PermissionError(13, 'Permission denied', 'a.npy')", "a.npy: cannot be read or written: Permission denied"),
        ("RuntimeError('first line\\nsecond')", "met an error that it does not know (RuntimeError: first line second)"),
    ],
)
def test_whatever_a_job_dies_of_the_worker_lives_on(tmp_path, error, sentence):
    worker = WorkerClient(tmp_path, broken_job("close", f"if request.series == 'bad': raise {error}"))
    reply = worker.answer("close", series="bad")
    assert reply["event"] == "failed"
    assert sentence in reply["message"]
    logged = "log" in worker.events_of(reply["id"])
    assert logged == (not error.startswith("Memory")), "what nobody thought of comes with a log"
    assert worker.ask("close", series="good") == {}
    worker.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of files")
def test_a_full_disk_costs_one_sentence_and_no_file(folder):
    worker = WorkerClient(folder, "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))")
    worker.ask("open", **opening(make_case()))
    reply = worker.answer("low_dose", series="head", dose=0.5)
    assert reply["message"] == f"{folder / '2'}: cannot be written: the disk is full; free some space"
    assert not (folder / "2").exists()
    assert worker.ask("aif", series="head")["unit"] == "1/s"
    worker.kill()


def test_a_session_folder_that_is_not_there_is_refused(tmp_path):
    worker = WorkerClient(tmp_path, "import sys; sys.argv[sys.argv.index('--session') + 1] = 'nowhere'")
    assert worker.process.wait(30) == 2
    assert "nowhere: does not exist or is no folder" in worker.errors.read_text()


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_of_the_standard_input_ends_the_process(folder, busy):
    """At once when it waits, and in the middle of a prediction that would take much longer."""
    worker = WorkerClient(folder)
    worker.wait_for_ready()
    if busy:
        worker.ask("open", **opening(make_case()))
        number = worker.send("predict", **REQUEST | {"checkpoint": "slow.safetensors"})
        while not any("Predicting slice" in reply.get("message", "") for reply in worker.replies):
            worker.poll()
            time.sleep(0.002)
        assert not set(FINAL) & set(worker.events_of(number))
    worker.process.stdin.close()
    assert worker.process.wait() == 0


def whole_run(worker):
    """Everything that a user does, as requests that are sent in one go; the ids are the same in every worker."""
    dose = {"dose": 0.5, "method": "noise-matched"}
    return [
        worker.send("open", **opening(make_case())),
        worker.send("reference", series="head"),
        worker.send("preview", **REQUEST, **dose, slices=[1]),
        worker.send("low_dose", series="head", **dose),
        worker.send("predict", **REQUEST, **dose),
    ]


def check_named_files(worker):
    """Whatever a complete reply names is there and whole."""
    worker.poll()
    done = {reply["id"]: reply["result"] for reply in worker.replies if reply["event"] == "done"}
    shapes = {
        "low_dose": [(result["signal"], make_case().signal.shape) for result in done.values() if "signal" in result],
        "maps": [
            (result[name], brain().shape)
            for result in done.values()
            for name in ("cbv", "standardized", "uncertainty", "closed_form", "brain")
            if name in result
        ],
        "parts": [(reply["cbv"], brain().shape[1:]) for reply in worker.replies if reply["event"] == "part"],
    }
    for name, shape in (each for kind in shapes.values() for each in kind):
        assert np.load(worker.folder / name).shape == shape
    return done


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed in another way there")
def test_killed_at_any_moment_it_leaves_nothing_that_harms_the_next(folder):
    """Twenty times SIGKILL, from before it is ready to after its last answer, in one and the same folder."""
    started = time.monotonic()
    worker = WorkerClient(folder)
    last = whole_run(worker)[-1]
    expected = worker.wait_for(last, "done")["result"]
    duration = time.monotonic() - started
    maps = {name: np.load(folder / expected[name]) for name in ("cbv", "uncertainty", "standardized")}
    worker.kill()
    inputs = {name: (folder / name).read_bytes() for name in ("input.npy", "mask.npy", "quick.safetensors")}

    answered = []
    for kill in range(KILLS):
        moment = time.monotonic() + duration * kill / (KILLS - 1)
        worker = WorkerClient(folder)
        numbers = whole_run(worker)
        if kill == KILLS - 1:
            worker.wait_for(numbers[-1], "done")
        while time.monotonic() < moment and worker.process.poll() is None:
            time.sleep(0.001)
        worker.kill()
        answered.append(len(check_named_files(worker)))
        assert {name: (folder / name).read_bytes() for name in inputs} == inputs

    assert answered[0] == 0, "killed before it could do anything"
    assert answered[-1] == 5, "killed after everything was done"
    worker = WorkerClient(folder)
    found = worker.wait_for(whole_run(worker)[-1], "done")["result"]
    for name, values in maps.items():
        np.testing.assert_array_equal(np.load(folder / found[name]), values)
    assert not list(folder.rglob(".*")), "the next worker takes the half-written files of a killed one away"
    worker.kill()
