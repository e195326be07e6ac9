"""What a checkpoint says of itself."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.networks.checkpoint_document import describe
from stunet_perfusion.support.resources import shipped_checkpoint
from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.protocol import Describe
from stunet_perfusion.worker.session import Session


def run(request: Describe, job: Job, session: Session) -> dict[str, Any]:
    """Read its header, not its weights."""
    return describe(shipped_checkpoint() if request.checkpoint is None else session.folder / request.checkpoint)
