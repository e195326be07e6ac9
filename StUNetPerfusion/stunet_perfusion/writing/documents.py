"""JSON documents: reports, and the sidecar of a series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stunet_perfusion.reading.sidecar import sidecar_path
from stunet_perfusion.reading.simulated_dose import SIDECAR_KEY, document_of
from stunet_perfusion.series import DscSeries, is_evenly_spaced
from stunet_perfusion.support.staged import staged_file


def write_json(path: str | Path, document: dict[str, Any]) -> None:
    """Write a JSON document that every reader accepts: UTF-8, no NaN.

    :raises OutputError: it cannot be written
    """
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with staged_file(path) as file:
        file.write_bytes(_encoded(text))


def _encoded(text: str) -> bytes:
    """Names of files may hold bytes that are no text; JSON tells them by their numbers."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return (json.dumps(json.loads(text), indent=2, ensure_ascii=True) + "\n").encode("ascii")


def write_sidecar(path: str | Path, series: DscSeries) -> None:
    """Write the BIDS-style JSON file of the series at `path`: TE and TR, or the times of uneven frames, and a
    simulated dose.

    :raises OutputError: it cannot be written
    """
    document: dict[str, Any] = {} if series.echo_time is None else {"EchoTime": series.echo_time}
    if is_evenly_spaced(series.times):
        document["RepetitionTime"] = round(series.frame_interval, 9)
    else:
        document["VolumeTiming"] = [round(float(time), 9) for time in series.times]
    if series.simulated is not None:
        document[SIDECAR_KEY] = document_of(series.simulated)
    write_json(sidecar_path(Path(path)), document)
