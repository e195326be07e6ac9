"""One worker process: started when needed, listened to without blocking, ended in every way there is.

The workers here are a few lines each, so that each does what it should, or should not, at a known moment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs the package slicer-core, which this computer does not have")

#: Answers every request; "sleep" never ends and cannot be cancelled, "die" ends the process, "half" ends it in the
#: middle of a line.
OBEDIENT = """
import json, os, sys, threading, time
replies = open(sys.argv[sys.argv.index("--replies") + 1], "a", buffering=1)
say = lambda **reply: replies.write(json.dumps(reply) + chr(10))
def work(request):
    if request["do"] == "sleep":
        time.sleep(1000)
    elif request["do"] == "die":
        os._exit(3)
    elif request["do"] == "half":
        replies.write('{"id": %d, "event": "do' % request["id"]); replies.flush(); os._exit(3)
    say(id=request["id"], event="progress", fraction=0.5, message="half")
    say(id=request["id"], event="done", result={"echo": request.get("word")})
say(event="ready", pid=os.getpid())
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] != "cancel":
        threading.Thread(target=work, args=(request,), daemon=True).start()
os._exit(0)
"""


@pytest.fixture
def worker(tmp_path):
    from StUNetPerfusionLib.process.workerProcess import WorkerProcess

    script = tmp_path / "worker.py"
    script.write_text(OBEDIENT)
    process = WorkerProcess([sys.executable, str(script)])
    yield process
    process.stop()


def replies_to(worker, identifier: int) -> list[dict]:
    """All replies to a request, the last of which ends it."""
    from StUNetPerfusionLib.process.workerProcess import FINAL_EVENTS

    found = []
    while True:
        found += [reply for reply in worker.poll() if reply.get("id") == identifier]
        if found and found[-1]["event"] in FINAL_EVENTS:
            return found
        time.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_nothing_starts_before_the_first_request(worker):
    assert not worker.alive
    assert worker.pid is None
    replies = replies_to(worker, worker.send("say", {"word": "hello"}))
    assert [reply["event"] for reply in replies] == ["progress", "done"]
    assert replies[-1]["result"] == {"echo": "hello"}
    assert worker.alive
    assert worker.generation == 1


def test_stop_ends_the_process_and_removes_the_folder(worker):
    replies_to(worker, worker.send("say", {}))
    pid, folder = worker.pid, worker.folder
    pending = worker.send("sleep", {})
    worker.stop()
    assert gone(pid)
    assert not folder.exists()
    assert [reply["event"] for reply in worker.poll() if reply["id"] == pending] == ["failed"]
    replies_to(worker, worker.send("say", {}))
    assert worker.generation == 2
    assert worker.folder != folder


@pytest.mark.parametrize("how", ["die", "half"])
def test_a_worker_that_dies_fails_its_requests_in_one_sentence(worker, how):
    waiting = worker.send("sleep", {})
    (answer,) = replies_to(worker, worker.send(how, {}))
    assert answer["event"] == "failed"
    assert "ended unexpectedly" in answer["message"]
    assert "\n" not in answer["message"]
    assert not worker.alive
    assert worker.poll() == []
    assert waiting not in worker._open
    assert replies_to(worker, worker.send("say", {}))[-1]["event"] == "done"
    assert worker.generation == 2


def test_requests_that_died_unseen_are_answered_all_the_same(worker):
    """The next request starts a new worker before anybody polled."""
    lost = worker.send("sleep", {})
    os.kill(worker.pid, 9)
    while worker.alive:
        time.sleep(0.005)
    new = worker.send("say", {})
    assert [reply["event"] for reply in worker.poll() if reply.get("id") == lost] == ["failed"]
    assert replies_to(worker, new)[-1]["event"] == "done"


def test_what_one_worker_had_open_is_not_asked_of_the_next(worker):
    from StUNetPerfusionLib.process.workerProcess import WorkerError

    replies_to(worker, worker.send("say", {}))
    worker.kill()
    with pytest.raises(WorkerError, match="ended unexpectedly"):
        worker.send("say", {}, generation=1)


def test_a_worker_that_does_not_cancel_is_ended(worker, monkeypatch):
    from StUNetPerfusionLib.process import workerProcess

    monkeypatch.setattr(workerProcess, "CANCEL_GRACE", 0.05)
    stuck, other = worker.send("sleep", {}), worker.send("sleep", {})
    pid = worker.pid
    worker.cancel(stuck)
    answers = {}
    while len(answers) < 2:
        answers |= {reply["id"]: reply["event"] for reply in worker.poll() if "id" in reply}
        time.sleep(0.005)
    assert answers == {stuck: "cancelled", other: "failed"}
    assert gone(pid)


def test_a_program_that_is_not_there_is_said_in_one_sentence():
    from StUNetPerfusionLib.process.workerProcess import WorkerError, WorkerProcess

    process = WorkerProcess(["/nowhere/PythonSlicer"])
    with pytest.raises(WorkerError, match="could not be started"):
        process.send("say", {})
    process.stop()


def test_arrays_are_taken_with_their_files(worker):
    folder = worker.folder / "7"
    folder.mkdir()
    np.save(folder / "a.npy", np.arange(3))
    np.save(folder / "b.npy", np.arange(4))
    np.testing.assert_array_equal(worker.take("7/a.npy"), np.arange(3))
    assert folder.exists()
    worker.take("7/b.npy")
    assert not folder.exists()


@pytest.mark.parametrize("ending", ["", "os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_the_worker_ends_with_the_application(tmp_path, ending):
    """An application that ends well, that ends at once, and that is killed: the pipe closes in all cases."""
    (tmp_path / "worker.py").write_text(OBEDIENT)
    application = f"""
import os, signal, sys
from StUNetPerfusionLib.process.workerProcess import WorkerProcess
worker = WorkerProcess([sys.executable, {str(tmp_path / "worker.py")!r}])
worker.send("sleep", {{}})
print(worker.pid, worker.folder, flush=True)
{ending}
"""
    from gui import standins

    done = subprocess.run(
        [sys.executable, "-c", application],
        cwd=standins.MODULE_FILE.parent,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    pid, folder = done.stdout.split()
    while not gone(int(pid)):
        time.sleep(0.01)
    if not ending:
        assert not Path(folder).exists()


def test_folders_of_sessions_that_crashed_are_removed(tmp_path):
    """Those of processes that run, and what is not ours, stay."""
    from StUNetPerfusionLib.process.sessionFolder import makeSessionFolder

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f"StUNetPerfusion-{ended.pid}-abc", f"StUNetPerfusion-{os.getppid()}-abc", "StUNetPerfusion-mine", "other"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "input-1.npy").write_text("gigabytes")

    folder = makeSessionFolder(tmp_path)

    assert folder.name.startswith(f"StUNetPerfusion-{os.getpid()}-")
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], folder.name}
    assert makeSessionFolder(tmp_path) != folder
    assert folder.exists()
