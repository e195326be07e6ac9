"""Where the cases of a cohort are computed: workers on this machine, or those of a cluster.

On this machine every worker is a process with one thread, and all talk through the loopback interface only, encrypted:
no other machine and no other user can reach them. There is no dashboard. With GPUs there is one worker a GPU, which
alone sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stunet_perfusion.support.errors import InputError, Setting
from stunet_perfusion.support.processors import processors

if TYPE_CHECKING:
    from distributed import Client

#: A case asks for one of these where it is computed on a GPU; workers say how many they have.
GPU = "GPU"

#: Only this machine can reach it.
_LOOPBACK = "127.0.0.1"
_ANY_PORT = f"{_LOOPBACK}:0"

#: The libraries take 1 GB, a usual clinical series 1 to 3.
_MEMORY_FOR_A_CASE = 4e9

#: Share of the memory that workers may use together.
_MEMORY_SHARE = 0.9

#: Of every worker's process. Dask's own choice gives freed memory back at once, and a network asks for it again at
#: once: that costs as much time as the network itself. Arrays of the size of a series (above 32 MiB) are given back.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
    "MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "MALLOC_TRIM_THRESHOLD_": 1 << 30,
}

#: A worker keeps its arrays in memory, and is ended where it would take what others need.
_CONFIG = {
    "distributed.nanny.pre-spawn-environ": _ENVIRONMENT,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # A case that ends its worker twice is taken as one that does not fit.
    "distributed.scheduler.allowed-failures": 2,
}

#: What goes wrong with a case comes back with the case. What is logged besides is of connections that workers and
#: scheduler close in any order when all is done: a heartbeat that comes too late is an error there, with a traceback.
_LOGGED = "CRITICAL"

_SECONDS_TO_CONNECT = 30


@dataclass(frozen=True)
class Workers:
    """Who computes.

    :param client: of the scheduler
    :param device: for every case, as torch names it
    :param resources: what every case asks for
    """

    client: Client
    device: str
    resources: dict[str, int]


@contextmanager
def local_workers(count: int | None, device: str) -> Iterator[Workers]:
    """Workers on this machine, for as long as the block lasts.

    :param count: how many; None takes as many as processors and memory allow, or one a GPU
    :param device: `auto`, `cpu`, `cuda` for all GPUs, or one as torch names it
    :raises InputError: a device that is not there, or Dask is not installed
    """
    dask, distributed = _import_packages("dask", "distributed", "cryptography")[:2]
    place = _cuda_if_there(device)
    if place.startswith("cuda"):
        gpus = _visible_gpus(place)
        specs = {n: {"env": {"CUDA_VISIBLE_DEVICES": gpu}, "resources": {GPU: 1}} for n, gpu in enumerate(gpus)}
        place, resources = "cuda:0", {GPU: 1}
    elif place == "cpu":
        specs, resources = {n: {} for n in range(count or _default_count())}, {}
    else:
        specs, resources = {0: {"resources": {GPU: 1}}}, {GPU: 1}
    with dask.config.set(_CONFIG):
        cluster = _cluster(distributed, specs)
        with cluster, distributed.Client(cluster) as client:
            yield Workers(client, place, resources)


@contextmanager
def remote_workers(address: str, device: str) -> Iterator[Workers]:
    """The workers of a Dask scheduler that runs already.

    :param address: for example tcp://node17:8786
    :param device: `auto` takes GPUs where any worker declares some (`dask worker --resources GPU=1`), else CPUs
    :raises InputError: nobody answers there, no worker has the device, or Dask is not installed
    """
    (distributed,) = _import_packages("distributed")
    try:
        client = distributed.Client(address, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        way_out = "start 'dask scheduler' there, or compute on this machine without one"
        raise InputError(f"scheduler {address}", f"does not answer ({reason})", way_out, Setting.SCHEDULER) from None
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        with_gpu = [worker for worker in workers if worker.get("resources", {}).get(GPU)]
        if device == "auto":
            device = "cuda:0" if with_gpu else "cpu"
        on_gpu = device != "cpu"
        if on_gpu and workers and not with_gpu:
            fact = f"no worker declares a GPU for {device}"
            way_out = "start workers with 'dask worker --resources GPU=1', or choose the CPU"
            raise InputError(f"scheduler {address}", fact, way_out, Setting.DEVICE)
        yield Workers(client, "cuda:0" if device == "cuda" else device, {GPU: 1} if on_gpu else {})


def _import_packages(*names: str) -> list[Any]:
    found = []
    for name in names:
        try:
            found.append(import_module(name))
        except ImportError:
            way_out = "run: pip install 'stunet-perfusion[cohort]'"
            raise InputError(name, "is not installed, and 'batch' needs it", way_out) from None
    return found


def _cuda_if_there(device: str) -> str:
    from stunet_perfusion.support.devices import choose_device

    chosen = choose_device(device)
    return "cuda" if device == "auto" and chosen.startswith("cuda") else chosen


def _visible_gpus(device: str) -> list[str]:
    """Names of the GPUs to use, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    _, _, number = device.partition(":")
    return [names[int(number)]] if number else names


def _default_count() -> int:
    return max(1, min(processors(), int(_MEMORY_SHARE * _total_memory() / _MEMORY_FOR_A_CASE)))


def _total_memory() -> int:
    from distributed.system import MEMORY_LIMIT

    return MEMORY_LIMIT


def _cluster(distributed: Any, specs: Mapping[int, dict[str, Any]]) -> Any:
    """A scheduler and a worker process for each of `specs`, which are options of `distributed.Nanny`.

    Whoever can talk to a scheduler can run code as its user, and other users of this machine reach the loopback
    interface too: a certificate that only this process and its workers have keeps them out.
    """
    security = distributed.Security.temporary()
    common = {"host": _LOOPBACK, "protocol": "tls://", "security": security, "dashboard": False}
    memory = int(_MEMORY_SHARE * _total_memory() / len(specs))
    of_worker = common | {"nthreads": 1, "memory_limit": memory, "silence_logs": _LOGGED}
    return distributed.SpecCluster(
        scheduler={"cls": distributed.Scheduler, "options": common | {"port": 0, "dashboard_address": _ANY_PORT}},
        workers={name: {"cls": distributed.Nanny, "options": of_worker | own} for name, own in specs.items()},
        security=security,
        silence_logs=_LOGGED,
    )
