"""Open a series."""

from __future__ import annotations

from typing import Any

from stunet_perfusion.worker.job import Job
from stunet_perfusion.worker.open_series import open_series
from stunet_perfusion.worker.protocol import Open
from stunet_perfusion.worker.session import Session


def run(request: Open, job: Job, session: Session) -> dict[str, Any]:
    """Look at the series, and keep what was found."""
    session.let_go(request.series)
    job.progress(0.0, "Looking at the series")
    opened = open_series(
        request,
        session.folder,
        mended_file=session.folder / f"mended-{job.number}.npy",
        progress=job.progress,
        check_cancelled=job.check_cancelled,
    )
    job.check_cancelled()
    facts = opened.facts
    files = job.save(brain=facts.brain)
    session.keep(request.series, opened)
    dropped = facts.dropped_frames
    return {
        "series": request.series,
        "frames": facts.series.frames + dropped + facts.dropped_last,
        "dropped_frames": dropped,
        "baseline_frames": facts.bolus.arrival,
        "arrival_frame": dropped + facts.bolus.arrival,
        "peak_frame": dropped + facts.bolus.peak,
        "frame_interval_s": facts.series.frame_interval,
        "echo_time_s": facts.series.echo_time,
        "brain_voxels": int(facts.brain.sum()),
        "brain": files["brain"],
        "notes": list(facts.series.notes),
        "quality": None if facts.quality is None else facts.quality.document(),
    }
