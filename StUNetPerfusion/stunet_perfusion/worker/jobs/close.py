"""Let go of a series."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Close
from stunet_perfusion.worker.session import Session


def run(request: Close, job: Job, session: Session) -> dict[str, Any]:
    """Forget the series and what was found out about it."""
    session.let_go(request.series)
    return {}
