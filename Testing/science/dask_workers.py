"""Dask workers that are threads of this process: no processes to wait for, and code that a test may replace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import distributed

from stunet_perfusion.cohort.cluster import Workers


@contextmanager
def workers_in_this_process(count: int | None = 1, device: str = "cpu") -> Iterator[Workers]:
    """Stands in for `cohort.cluster.local_workers`."""
    cluster = distributed.LocalCluster(
        n_workers=count or 1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        silence_logs="ERROR",
    )
    with cluster, distributed.Client(cluster) as client:
        yield Workers(client, "cpu", {})
