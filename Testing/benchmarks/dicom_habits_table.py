"""The table of DICOM habits: how each is written, and whether the same series comes out of it.

    cd Testing; python -m benchmarks.dicom_habits_table [--rows 32] [--slices 6] [--frames 24]

Prints a Markdown table. The signal is compared bit for bit; of times, corners of the grid and TE, the largest
difference is given.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
import pydicom

from science.dicom_habits import HABITS, whole_numbers
from stunet_perfusion.reading import read_series
from stunet_perfusion.series import DscSeries, Grid
from stunet_perfusion.support.errors import InputError


def farthest(grid: Grid, other: Grid) -> float:
    """The largest distance between the same corner of two grids, mm."""
    last = np.array(grid.shape[::-1]) - 1
    corners = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], float).T
    return float(np.linalg.norm(((grid.ijk_to_ras - other.ijk_to_ras) @ corners)[:3], axis=0).max())


def row(habit: str, series: DscSeries, folder: Path) -> list[str]:
    """What came of a habit."""
    HABITS[habit](folder, series)
    files = sorted(folder.iterdir())
    syntax = pydicom.dcmread(files[0], stop_before_pixels=True).file_meta.TransferSyntaxUID.name
    try:
        back = read_series(folder)
    except InputError as error:
        return [habit, str(len(files)), syntax, f"refused: {error}", "", "", "", ""]
    told = next(note for note in back.notes if "sorted into frames" in note)
    rule = re.search(r"frames by (\w+)", told).group(1)
    return [
        habit,
        str(len(files)),
        syntax.split(",")[0].removesuffix(" Image Compression (Lossless Only)"),
        rule,
        "equal" if np.array_equal(back.signal, series.signal) else "DIFFERS",
        f"{np.abs(back.times - series.times).max():.0e} s",
        f"{farthest(back.grid, series.grid):.0e} mm",
        f"{1000 * abs(back.echo_time - series.echo_time):.0e} ms",
    ]


def main() -> None:
    """Write, read and compare all habits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    series = whole_numbers(arguments.frames, (arguments.slices, arguments.rows, arguments.rows - 2))
    head = ["Habit", "Files", "Transfer syntax", "Frames by", "Signal", "Times", "Geometry", "TE"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for habit in HABITS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join(row(habit, series, Path(folder)))} |", flush=True)


if __name__ == "__main__":
    main()
