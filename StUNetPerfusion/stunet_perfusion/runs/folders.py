"""A folder is not what is computed from, where one file in it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stunet_perfusion.reading.folder_series import find_series


def series_of_folder(path: Path, which: str | None) -> dict[str, Any]:
    """The `series` and `which` of a request: of a folder with one file that holds the series, that file.

    So a report tells which file of a BIDS data set was used, and does not care for all the others.

    :raises InputError: a folder with several series, none of which was chosen
    """
    found = find_series(path, which) if path.is_dir() else None
    if found is None or len(found.files) > 1:
        return {"series": path, "which": which}
    return {"series": found.files[0], "which": None}
